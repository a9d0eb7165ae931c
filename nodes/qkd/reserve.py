"""The key that a link keeps back to authenticate itself, as operators do: put back first, released last.

::

    epoch begins    derived    r s s s s       a lane for each direction, filled by ``nodes.qkd.epochs``
    each tag        take       r   s s s       from the front, gone for good
    each block      refill     r     s s R S S at the back, from the block's first bits (``nodes.qkd.refill``): what
                                               the lane lacks, for one end may make more tags than the other
    some blocks on             R           S S the derived pads are used up: the next point, and every pad from now
                                               on, are key of the quantum channel

A tag takes one pad of its sender's lane and lanes are queues, so both ends stay in step as long as every tag that
one end makes the other checks, whatever is under way. After a block that gave a key, or that both ends refused
(``KeyRefused``), that is so; after any other end (a withdrawal, a forgery, a deadline) it may not be, and a new epoch
is due.

What is put back is masked by a stream of the epoch's secret. That takes nothing from key that is uniform, guards key
that is not quite, and lets no pad come again when the key does: in the next run of a lab with the same seed.

The reserve lives in memory only. A node that restarts begins a new epoch with a new reserve, agreed on by signatures;
were it stored, a copy of the file or a write lost in a crash could bring a pad a second time, and two tags under one
pad give the point away, and with it every later tag.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from nodes.errors import NodeError, ProgramInvalid
from nodes.qkd.bits import packed
from nodes.qkd.key import Key
from nodes.qkd.pads import PAD_BYTES, OneTimeKey

LANES = 2
MASK_BYTES = 32

DEFAULT_PADS = 64
"""Pads in a full lane: ten blocks of six tags that yield no key, before the link must stop."""


class ReserveExhausted(NodeError):
    """No pad is left, or too few for what is to come. The link stops: no pad ever serves two tags."""


class AuthenticationReserve:
    """The ``Pads`` of one conversation of an epoch: a lane of key for each direction. Its ``repr`` shows no key.

    ``roles`` are the two ends' roles in the same order at both ends, ``lanes`` the derived filling of each one's
    lane: a point and the pads of a full lane, 16 bytes each. ``mask`` is the 32-byte key of the stream that masks what
    is put back.
    """

    def __init__(self, epoch: str, roles: tuple[str, str], lanes: tuple[bytes, bytes], mask: bytes) -> None:
        self.epoch = epoch
        self.pads = len(lanes[0]) // PAD_BYTES - 1
        self._lanes = {role: _Lane(filling) for role, filling in zip(roles, lanes, strict=True)}
        self._masked = Cipher(ChaCha20(mask, nonce=bytes(16)), mode=None).encryptor()

    def __repr__(self) -> str:
        return f"<AuthenticationReserve of {self.epoch}: {self.remaining()} of {self.pads} pads>"

    @property
    def quantum(self) -> bool:
        """Whether all in both lanes came from the quantum channel: from now on tags do not rest on computing."""
        return all(lane.quantum for lane in self._lanes.values())

    def remaining(self) -> int:
        """Return how many tags either end can still make."""
        return min(lane.remaining() for lane in self._lanes.values())

    def require(self, pads: int) -> None:
        """Raise ``ReserveExhausted`` unless either end can make ``pads`` tags: to be asked before a block begins."""
        if self.remaining() < pads:
            raise ReserveExhausted(
                f"{self.remaining()} pads are left in {self.epoch} and {pads} may be needed: the link's key does "
                "not pay for its authentication; begin a new epoch, and look for what keeps the key rate low"
            )

    def take(self, sender: str) -> OneTimeKey:
        """Return the point and the next pad of the lane of ``sender``; the pad never comes again.

        Raises ``ReserveExhausted`` when the lane is empty, ``ProgramInvalid`` when ``sender`` has none.
        """
        lane = self._lanes.get(sender)
        if lane is None:
            raise ProgramInvalid(
                f"{self.epoch} is between {' and '.join(self._lanes)}; '{sender}' is neither of them"
            )
        key = lane.take()
        if key is None:
            raise ReserveExhausted(f"no pad of '{sender}' is left in {self.epoch}; begin a new epoch")
        return key

    def needed(self) -> tuple[int, ...]:
        """Return how many words of ``PAD_BYTES`` make each lane full again, in the order of the roles.

        While a tag is under way the two ends may find different numbers; one tells the other its own.
        """
        return tuple(lane.missing(self.pads) for lane in self._lanes.values())

    def refill(self, key: bytes, words: Sequence[int]) -> None:
        """Append so many ``words`` of ``key`` to each lane, in the order of the roles.

        Raises ``ProgramInvalid`` unless that is all of it.
        """
        if len(words) != LANES or min(words) < 0 or len(key) != PAD_BYTES * sum(words):
            raise ProgramInvalid(f"{len(key)} bytes are not {words} words of {PAD_BYTES} for {LANES} lanes")
        masked = self._masked.update(key)
        for lane, count in zip(self._lanes.values(), words, strict=True):
            lane.append(masked[: PAD_BYTES * count])
            masked = masked[PAD_BYTES * count :]


class Split(NamedTuple):
    """A block's key in two: what is put back, and what may be given to others. No bit is in both."""

    reserved: bytes
    released: Key

    def __repr__(self) -> str:
        return f"<Split: {8 * len(self.reserved)} bits put back, {len(self.released)} released>"


def split_for_reserve(key: Key, words: int) -> Split:
    """Divide the key: its first ``words`` for the reserve, its other bits for release.

    A shorter key goes to the reserve as far as it makes words, and nothing is released.
    """
    bits = key.bits()
    reserved = 8 * PAD_BYTES * min(words, bits.size // (8 * PAD_BYTES))
    released = bits[reserved:] if reserved == 8 * PAD_BYTES * words else np.zeros(0, dtype=np.uint8)
    return Split(packed(bits[:reserved]), Key(released))


class _Lane:
    """The pads of one direction: first the derived ones, behind them a point and pads from the quantum channel."""

    def __init__(self, filling: bytes) -> None:
        self.quantum = False
        self._point, *pads = _words(filling)
        self._pads = deque(pads)
        self._behind: deque[bytes] = deque()

    def remaining(self) -> int:
        return len(self._pads) + max(0, len(self._behind) - 1)

    def missing(self, full: int) -> int:
        missing = max(0, full - self.remaining())
        lacks_point = missing > 0 and not self.quantum and not self._behind
        return missing + lacks_point

    def append(self, key: bytes) -> None:
        (self._pads if self.quantum else self._behind).extend(_words(key))

    def take(self) -> OneTimeKey | None:
        if not self._pads and not self.quantum and len(self._behind) > 1:
            self._point = self._behind.popleft()
            self._pads, self._behind = self._behind, deque()
            self.quantum = True
        return OneTimeKey(self._point, self._pads.popleft()) if self._pads else None


def _words(key: bytes) -> list[bytes]:
    return [key[start : start + PAD_BYTES] for start in range(0, len(key), PAD_BYTES)]
