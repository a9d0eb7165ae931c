"""Put back into the reserves what authentication has used up, before anything of a block's key is released.

::

    Alice                                                Bob
      |--- Refill: words for each lane of the reserves -->|  when the key is final
      both put the first words back and release the rest

One end decides because a conversation that goes on meanwhile, as the next block's sifting does, may have tags under
way: then the two ends count what is missing differently. The bits are those of both, and no bit goes two ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodes.errors import ProtocolViolation
from nodes.ports import Peer
from nodes.qkd.key import Key
from nodes.qkd.pads import PAD_BYTES
from nodes.qkd.reserve import LANES, AuthenticationReserve, split_for_reserve

SHORTEST_REST = 256
"""Bits: of fewer no key of AES-256 can be made."""


@dataclass(frozen=True, slots=True)
class Refill:
    """How many words of 16 bytes of the key go into each lane of each reserve, in their order.

    Sent when the key is final.
    """

    words: tuple[tuple[int, ...], ...]


async def refill_as_alice(key: Key, reserves: Sequence[AuthenticationReserve], bob: Peer) -> Key:
    """Fill the reserves, the first one first, and tell Bob; return the rest of the key, which may be released.

    A rest of less than ``SHORTEST_REST`` is given up: it has no bits when the key did not make all reserves full.
    """
    left, words = len(key) // (8 * PAD_BYTES), []
    for reserve in reserves:
        lanes = []
        for needed in reserve.needed():
            lanes.append(min(needed, left))
            left -= lanes[-1]
        words.append(tuple(lanes))
    await bob.send(Refill(tuple(words)))
    return _divided(key, reserves, words)


async def refill_as_bob(key: Key, reserves: Sequence[AuthenticationReserve], alice: Peer) -> Key:
    """Fill the reserves as Alice says; return the rest of the key, which may be released."""
    words = (await alice.receive(Refill)).words
    possible = all(len(lanes) == LANES and min(lanes) >= 0 for lanes in words)
    if not possible or len(words) != len(reserves) or 8 * PAD_BYTES * sum(map(sum, words)) > len(key):
        raise ProtocolViolation(
            f"{alice.name} puts {words} words back, which a key of {len(key)} bits does not give to "
            f"{len(reserves)} reserves"
        )
    return _divided(key, reserves, words)


def _divided(key: Key, reserves: Sequence[AuthenticationReserve], words: Sequence[Sequence[int]]) -> Key:
    reserved, released = split_for_reserve(key, sum(map(sum, words)))
    for reserve, lanes in zip(reserves, words, strict=True):
        size = PAD_BYTES * sum(lanes)
        reserve.refill(reserved[:size], lanes)
        reserved = reserved[size:]
    return released if len(released) >= SHORTEST_REST else Key(released.bits()[:0])
