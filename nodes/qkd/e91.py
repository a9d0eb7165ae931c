"""E91: a key from entangled pairs, and Bell's theorem to tell whether they are.

A. K. Ekert, "Quantum cryptography based on Bell's theorem", Phys. Rev. Lett. 67 (1991) 661-663::

    Alice                                                      Bob
      |=== 1 pairs: each end measures along one of its three directions, drawn by its device ===|
      |<-- 2 Measured: how many --------------------------------|  only after his last measurement
      |--- 3 Directions: hers --------------------------------->|  only when both have measured all
      |<-- 4 Answer: his directions, and his revealed bits -----|
      |--- 5 Revealed: her bits there -------------------------->|
      S, the phase errors: from the pairs measured along different directions
      sifted key: the bits of equal directions, but for a few that were revealed

Directions a lie in the x-z plane, cos(a) Z + sin(a) X: Alice's at 0, 45 and 90 degrees, Bob's at 45, 90 and 135. Pairs
in Phi+ have the correlations E(a, b) = cos(a - b), so those at 45 and 45 and at 90 and 90 agree, 2/9 of all, and

    S = E(0, 45) - E(0, 135) + E(90, 45) + E(90, 135) = 2 sqrt 2,

while nothing that was known before the measurement has more than 2. Whoever measures a fraction f of the photons in
random bases, Z or X, leaves S = 2 sqrt 2 (1 - f/2) and f/4 of the key bits wrong. Ekert's check comes first: without a
violation there is no key. What Eve can know beyond it is bounded in ``bell_evidence``.

The pairs come from one link, ``await link.measure_directly(pairs, angles=ALICE)``, or over any number of repeaters,
``await collect(pairs, ALICE, coin)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, pi
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.errors import ProgramInvalid, ProtocolViolation
from nodes.ports import Bits, Coin, PairOutcomes, Peer
from nodes.qkd.bbm92 import Measured, hear_of_measured
from nodes.qkd.bell_evidence import BellEvidence
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.block import SiftedBlock
from nodes.qkd.security import Security
from nodes.requests import Pairs, SharedHalf

ALICE: Final = (0.0, pi / 4, pi / 2)
BOB: Final = (pi / 4, pi / 2, 3 * pi / 4)
"""The directions, in radians; indices of them are told and drawn."""
MOST_PAIRS: Final = 1_000_000
"""Of so many pairs the directions go in one message; of more in several, so that no message grows with the key."""
SAMPLE_EVERY: Final = 50
"""Every so manyth bit of equal directions is revealed, so that the error correction knows what to expect."""


@dataclass(frozen=True, slots=True)
class Directions:
    """Alice's directions of some of ``pairs`` pairs: the low and the high bits of their indices, packed.

    Sent only after her last measurement and after ``Measured``, or Eve could measure along them.
    """

    pairs: int
    low: bytes
    high: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Bob's directions, likewise, and those of his bits that are revealed, packed. Sent only after ``Directions``."""

    low: bytes
    high: bytes
    bits: bytes


@dataclass(frozen=True, slots=True)
class Revealed:
    """Alice's bits where Bob's were revealed, packed. Sent only after ``Answer``."""

    bits: bytes


def pairs_for(key_bits: int) -> int:
    """Return of how many pairs so many sifted key bits are left on average."""
    return ceil(key_bits * 9 / 2 / (1 - 1 / SAMPLE_EVERY))


async def collect(pairs: Pairs[SharedHalf], directions: Sequence[float], coin: Coin) -> PairOutcomes:
    """Measure the halves of a request as they come, over however many repeaters, by a rotation and in Z.

    Raises ``RequestFailed`` when there will be no more.
    """
    drawn, bits, times = [], [], []
    async for half in pairs:
        drawn.append(int(coin.integers(len(directions), 1)[0]))
        half.qubit.ry(-directions[drawn[-1]])
        bits.append(await half.qubit.measure("Z"))
        times.append(half.delivered_at)
    return PairOutcomes(np.array(drawn, dtype=np.uint8), np.array(bits, dtype=np.uint8), np.array(times))


async def alice(found: PairOutcomes, bob: Peer, security: Security) -> SiftedBlock:
    """Sift what this end has measured along ``ALICE``, with Bob; return her block."""
    await hear_of_measured(len(found.bits), bob)  # 2
    parts = [await _sift_as_alice(part, len(found.bits), bob) for part in _parts(found)]
    return _block(len(found.bits), parts, security)


async def bob(found: PairOutcomes, alice: Peer, security: Security) -> SiftedBlock:
    """Sift what this end has measured along ``BOB``, with Alice; return his block."""
    await alice.send(Measured(len(found.bits)))  # 2
    parts = [await _sift_as_bob(part, len(found.bits), alice) for part in _parts(found)]
    return _block(len(found.bits), parts, security)


async def _sift_as_alice(found: _Found, pairs: int, bob: Peer) -> _Part:
    await bob.send(Directions(pairs, *_planes(found.settings)))  # 3
    answer = await bob.receive(Answer)  # 4
    his = _indices(answer.low, answer.high, len(found.bits))
    sifted = _divided(found.settings, his, found.bits)
    await bob.send(Revealed(packed(sifted.revealed)))  # 5
    return _compared(sifted, sifted.revealed, unpacked(answer.bits, sifted.revealed.size))


async def _sift_as_bob(found: _Found, pairs: int, alice: Peer) -> _Part:
    announced = await alice.receive(Directions)  # 3
    if announced.pairs != pairs:
        raise ProtocolViolation(
            f"{alice.name} has measured {announced.pairs} pairs where {pairs} were shared"
        )
    sifted = _divided(_indices(announced.low, announced.high, len(found.bits)), found.settings, found.bits)
    await alice.send(Answer(*_planes(found.settings), packed(sifted.revealed)))  # 4
    hers = unpacked((await alice.receive(Revealed)).bits, sifted.revealed.size)  # 5
    return _compared(sifted, hers, sifted.revealed)


class _Found(NamedTuple):
    """What one end has measured, of some pairs."""

    settings: Bits
    bits: Bits


class _Sifted(NamedTuple):
    """The bits of one end: the key, and those to be revealed, which were measured along ``hers`` and ``his``."""

    key: Bits
    revealed: Bits
    hers: Bits
    his: Bits


class _Part(NamedTuple):
    key: Bits
    counts: NDArray[np.float64]


def _parts(found: PairOutcomes) -> Iterator[_Found]:
    if found.bases.size and found.bases.max() > 2:
        raise ProgramInvalid("E91 measures along three directions; a pair was measured along another one")
    for start in range(0, len(found.bits), MOST_PAIRS):
        some = slice(start, start + MOST_PAIRS)
        yield _Found(found.bases[some], found.bits[some])


def _planes(settings: Bits) -> tuple[bytes, bytes]:
    return packed(settings % 2), packed(settings // 2)


def _indices(low: bytes, high: bytes, count: int) -> Bits:
    indices: Bits = unpacked(low, count) + 2 * unpacked(high, count)
    if indices.size and indices.max() > 2:
        raise ProtocolViolation("the peer has measured along a fourth direction, and there are three")
    return indices


def _divided(hers: Bits, his: Bits, bits: Bits) -> _Sifted:
    equal = hers == his + 1  # Alice's second direction is Bob's first, and her third his second
    key = equal & (np.cumsum(equal) % SAMPLE_EVERY != 1)
    return _Sifted(bits[key], bits[~key], hers[~key], his[~key])


def _compared(sifted: _Sifted, alices: Bits, bobs: Bits) -> _Part:
    cells = ((sifted.hers.astype(np.intp) * 3 + sifted.his) * 2 + alices) * 2 + bobs
    counts = np.bincount(cells, minlength=36).reshape(3, 3, 2, 2).astype(np.float64)
    return _Part(sifted.key, counts)


def _block(pairs: int, parts: list[_Part], security: Security) -> SiftedBlock:
    key = np.concatenate([np.zeros(0, dtype=np.uint8), *(part.key for part in parts)])
    counts = sum((part.counts for part in parts), np.zeros((3, 3, 2, 2)))
    evidence = BellEvidence(key.size, pairs, counts, security)
    classes = np.zeros(key.size, dtype=np.uint8)
    s = evidence.s
    return SiftedBlock(
        key, classes, 1, pairs, key.size + evidence.samples, evidence, None if s is None else s.value
    )
