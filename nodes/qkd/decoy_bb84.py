"""BB84 with decoy states: weak pulses of several intensities, so that nobody can split photon numbers unseen.

H.-K. Lo, X. Ma and K. Chen, "Decoy state quantum key distribution", Phys. Rev. Lett. 94 (2005) 230504; with a basis
for the key and one for checks as in C. C. W. Lim et al., Phys. Rev. A 89 (2014) 022307. Train by train::

    Alice                                                    Bob
      |=== 0 pulses: bits, bases and intensities are drawn ===>|  his device draws the bases
      |<-- 1 Detections: which clicked, in which bases --------|  only after his last measurement of the train
      |--- 2 Matches: where the bases agree, the intensities --|  only now are bases and intensities known
      |        there, her bits of the check basis ------------>|
      |<-- 3 Errors: how many of these are wrong, by intensity-|
      sifted key: the bits where both used the key basis, Z

Trains are sifted while the next ones fly, and where light is ordered ahead some are announced before the matches of
the first are heard, so that no message is waited for while photons come. Both ends cut blocks at the same bit
(``filling``) and order trains of the same lengths (``train_lengths``). One intensity, one decoy or two: what the counts
are worth is up to the bound. An eavesdropper who blocks single photons and splits the others changes the gains of the
intensities in different proportions; what she learns is then charged in full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.errors import KeyRefused, ProtocolViolation
from nodes.ports import Bits, Peer, QuantumLink
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.filling import Counted, Filling, SiftedTrain
from nodes.qkd.sifting_codec import (
    decode_classes,
    decode_indices,
    decode_marks,
    encode_classes,
    encode_indices,
    encode_marks,
)
from nodes.qkd.train_lengths import TrainLengths
from nodes.trains import Train, TrainClicks

MOST_CLICKS: Final = 200_000
"""The clicks of one message, so that none is longer than half a mebibyte."""
MOST_BEHIND: Final = 4
"""So many trains may be announced and not yet sifted when the next one is announced, where light is ordered ahead."""
MOST_TRAINS_WITHOUT_KEY: Final = 20
"""After so many trains in a row without a key bit, more than a minute of light, the link is taken for dead."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Some of the ``clicks`` of a train: their pulses and which were measured in X, as in ``sifting_codec``.

    Sent only after Bob's last measurement of the train, or Eve could measure in his bases.
    """

    clicks: int
    indices: bytes
    in_x: bytes


@dataclass(frozen=True, slots=True)
class Matches:
    """Of some clicks: which bases differ; the intensities of the others; Alice's bits of those in X, packed.

    Sent only after ``Detections``, or Eve could still treat each pulse after its basis and its intensity.
    """

    differ: bytes
    intensities: tuple[bytes, ...]
    checks: bytes


@dataclass(frozen=True, slots=True)
class Errors:
    """How many of Bob's check bits differ from Alice's: per block that the train is part of, per intensity."""

    wrong: tuple[tuple[int, ...], ...]


class Transmitter:
    """Alice's part: ``await block()`` gives one block after the other.

    ``levels`` is the number of intensities, ``size`` that of key bits in a block. With ``pulses`` a block is whatever
    so many pulses bring instead. ``ahead``: so many seconds of light are on order while trains are sifted, so that the
    transmitter never rests; where it is 0 nothing is on order once a block is returned.
    """

    def __init__(
        self, link: QuantumLink, bob: Peer, levels: int, size: int, pulses: int = 0, ahead: float = 0.0
    ) -> None:
        self._link = link
        self._bob = bob
        self._blocks = _Blocks(link.agreement.pulse_rate, levels, size, pulses, ahead)
        self._ordered: deque[tuple[int, Train]] = deque()
        self._sifted: deque[SiftedTrain] = deque()

    async def block(self) -> Counted:
        """Transmit until a block is full. Raises ``KeyRefused`` when nothing comes through."""
        while (block := self._blocks.take()) is None:
            await self._order()
            while self._ordered and len(self._sifted) <= self._blocks.behind:
                await self._sift(*self._ordered.popleft())
                await self._order()
            errors = _counts(await self._bob.receive(Errors))  # 3
            self._blocks.add(self._sifted.popleft(), errors, self._sifted)
        return block

    async def _order(self) -> None:
        for pulses in self._blocks.order(self._sifted):
            self._ordered.append((pulses, await self._link.emit_train(pulses, ahead=True)))  # 0

    async def _sift(self, pulses: int, train: Train) -> None:
        indices, bases = await _hear(pulses, self._bob)  # 1
        self._blocks.lengths.passed(len(indices))
        sent = await train.recall(indices)
        differ = (sent.bases ^ bases).view(np.bool_)
        for part in _parts(len(indices)):
            await self._bob.send(self._matches(differ[part], _Sent(*(each[part] for each in sent))))  # 2
        agreed = np.flatnonzero(~differ)
        classes = sent.intensities.take(agreed)
        self._sifted.append(_sifted(pulses, indices, bases, sent.bits, agreed, classes))

    def _matches(self, differ: NDArray[np.bool_], sent: _Sent) -> Matches:
        agreed = np.flatnonzero(~differ)
        in_x = np.flatnonzero(sent.bases.take(agreed))
        intensities = encode_classes(sent.intensities.take(agreed), self._blocks.levels)
        return Matches(
            encode_marks(differ.view(np.uint8)), intensities, packed(sent.bits.take(agreed).take(in_x))
        )


class Receiver:
    """Bob's part; the arguments are Alice's."""

    def __init__(
        self, link: QuantumLink, alice: Peer, levels: int, size: int, pulses: int = 0, ahead: float = 0.0
    ) -> None:
        self._link = link
        self._alice = alice
        self._blocks = _Blocks(link.agreement.pulse_rate, levels, size, pulses, ahead)
        self._expected: deque[int] = deque()
        self._announced: deque[tuple[int, TrainClicks]] = deque()

    async def block(self) -> Counted:
        """Receive until a block is full. Raises ``KeyRefused`` when nothing comes through."""
        while (block := self._blocks.take()) is None:
            self._expected += self._blocks.order(self._announced)
            while self._expected and len(self._announced) <= self._blocks.behind:
                await self._announce(self._expected.popleft())
                self._expected += self._blocks.order(self._announced)
            sifted, theirs = await self._match(*self._announced.popleft())  # 2
            wrong = self._blocks.filling.count(sifted, sifted.checks != theirs)
            await self._alice.send(Errors(tuple(map(tuple, wrong.tolist()))))  # 3
            self._blocks.add(sifted, wrong, self._announced)
        return block

    async def _announce(self, pulses: int) -> None:
        seen = await self._link.measure_train(pulses)  # 0
        for part in _parts(len(seen.indices)):
            indices, in_x = encode_indices(seen.indices[part], pulses), encode_marks(seen.bases[part])
            await self._alice.send(Detections(len(seen.indices), indices, in_x))  # 1
        self._blocks.lengths.passed(len(seen.indices))
        self._announced.append((pulses, seen))

    async def _match(self, pulses: int, seen: TrainClicks) -> tuple[SiftedTrain, Bits]:
        """Hear where the bases agree; return what is sifted, and Alice's check bits."""
        agreed, classes, checks = [], [], []
        for part in _parts(len(seen.indices)):
            matches = await self._alice.receive(Matches)
            differ = decode_marks(matches.differ, part.stop - part.start)
            places = np.flatnonzero(differ == 0)
            classes.append(decode_classes(matches.intensities, len(places), self._blocks.levels))
            checks.append(unpacked(matches.checks, int(np.count_nonzero(seen.bases[part].take(places)))))
            agreed.append(places + part.start)
        there = np.concatenate(agreed)
        sifted = _sifted(pulses, seen.indices, seen.bases, seen.bits, there, np.concatenate(classes))
        return sifted, np.concatenate(checks)


class _Sent(NamedTuple):
    """What Alice's transmitter drew for some clicks."""

    bits: Bits
    bases: Bits
    intensities: Bits


class _Blocks:
    """What both ends reckon alike: the lengths of trains, how far sifting is behind, and where blocks end."""

    def __init__(self, pulse_rate: float, levels: int, size: int, pulses: int, ahead: float) -> None:
        self.levels = levels
        self.behind = MOST_BEHIND if ahead else 0
        self.lengths = TrainLengths(pulse_rate, ahead, pulses)
        self.filling = Filling(0 if pulses else size, levels)
        self._terms = pulse_rate, ahead, pulses
        self._full: deque[Counted] = deque()
        self._without_key = 0

    def order(self, unsifted: Sized) -> list[int]:
        """Return the lengths of the trains to be ordered now, while some are ``unsifted``."""
        return self.lengths.order() if self.behind or not unsifted else []

    def take(self) -> Counted | None:
        """Return a block that is finished. Raise ``KeyRefused`` when there is no hope for one."""
        if self._full:
            return self._full.popleft()
        if self._without_key >= MOST_TRAINS_WITHOUT_KEY:
            self._without_key = 0
            raise KeyRefused(
                f"in {MOST_TRAINS_WITHOUT_KEY} trains of pulses no photon came through that both ends took in the key "
                "basis; look for the loss"
            )
        return None

    def add(self, train: SiftedTrain, errors: NDArray[np.int64], unsifted: Sized) -> None:
        """Add a train, while some that came after it are ``unsifted``."""
        self._full += self.filling.add(train, errors)
        self._without_key = 0 if len(train.key) else self._without_key + 1
        if not self.filling.size and self.lengths.all_passed and not unsifted:
            self._full.append(self.filling.finish())
            self.lengths = TrainLengths(*self._terms)


async def _hear(pulses: int, bob: Peer) -> tuple[NDArray[np.int64], Bits]:
    """Return which pulses Bob has detected, and in which bases."""
    first = await bob.receive(Detections)
    if not 0 <= first.clicks <= pulses:
        raise ProtocolViolation(f"{bob.name} has detected {first.clicks} of {pulses} pulses")
    indices, bases = [], []
    for part in _parts(first.clicks):
        heard = first if part.start == 0 else await bob.receive(Detections)
        number = part.stop - part.start
        indices.append(decode_indices(heard.indices, number, pulses))
        bases.append(decode_marks(heard.in_x, number))
        if len(indices) > 1 and indices[-1][0] <= indices[-2][-1]:
            raise ProtocolViolation(f"{bob.name} has announced the detections of a train in disorder")
    return np.concatenate(indices), np.concatenate(bases)


def _parts(clicks: int) -> Iterator[slice]:
    """Divide the clicks of a train among messages; no clicks are a message, too."""
    for start in range(0, max(clicks, 1), MOST_CLICKS):
        yield slice(start, min(start + MOST_CLICKS, clicks))


def _sifted(
    pulses: int, indices: NDArray[np.int64], bases: Bits, bits: Bits, agreed: NDArray[np.int64], classes: Bits
) -> SiftedTrain:
    """Divide the clicks at which the bases agree into those for the key and those for the check."""
    in_x = bases.take(agreed).view(np.bool_)
    in_key, in_check = np.flatnonzero(~in_x), np.flatnonzero(in_x)
    key_bits, check_bits = agreed.take(in_key), agreed.take(in_check)
    return SiftedTrain(
        pulses,
        bits.take(key_bits),
        classes.take(in_key),
        indices.take(key_bits),
        bits.take(check_bits),
        classes.take(in_check),
        in_check - np.arange(len(in_check)),
    )


def _counts(errors: Errors) -> NDArray[np.int64]:
    rows = errors.wrong
    if len({len(row) for row in rows}) != 1 or not all(0 <= wrong < 2**40 for row in rows for wrong in row):
        raise ProtocolViolation("the peer has counted errors in a table that is none")
    return np.array(rows, dtype=np.int64)
