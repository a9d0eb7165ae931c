"""BBM92: a key from entangled pairs in two conjugate bases, without a theorem of Bell's.

C. H. Bennett, G. Brassard and N. D. Mermin, "Quantum cryptography without Bell's theorem", Phys. Rev. Lett. 68 (1992)
557-559::

    Alice                                                      Bob
      |=== 1 pairs: each end measures its half in Z or X, drawn by its device ===|
      |<-- 2 Measured: how many --------------------------------|  only after his last measurement
      |--- 3 Bases: hers -------------------------------------->|  only when both have measured all
      |<-- 4 Matches: where his agree, his revealed bits -------|
      |--- 5 Revealed: her bits there -------------------------->|
      sifted key: the bits where both measured Z, but for a few that were revealed

All bits of X are revealed: whoever has measured a photon, or has made the pairs instead of the source, shows there, and
the bound on what Eve knows of the bits of Z is that of ``estimation.CheckedBasis``. An eavesdropper who measures a
fraction f of the photons in random bases makes f/4 of the bits differ in both, and one who measures in Z makes no error
in the key and f/2 in the check. Devices that choose Z more often waste fewer pairs: with the probability p a share p^2
of the pairs is for the key and (1-p)^2 for the check.

Where the pairs come from does not matter: from one link, ``await link.measure_directly(pairs)``, or over any number
of repeaters, ``await collect(pairs)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

import numpy as np

from nodes.errors import ProgramInvalid, ProtocolViolation
from nodes.ports import Bits, PairOutcomes, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.block import SiftedBlock
from nodes.qkd.estimation import CheckedBasis
from nodes.qkd.security import Security
from nodes.requests import Pairs, SharedOutcomes

MOST_PAIRS: Final = 1_000_000
"""Of so many pairs the bases go in one message; of more in several, so that no message grows with the key."""
SAMPLE_EVERY: Final = 50
"""Every so manyth bit of the key basis is revealed, so that the error correction knows what to expect."""

_CODES: Final = {"Z": 0, "X": 1}


@dataclass(frozen=True, slots=True)
class Measured:
    """Bob has measured his halves of ``pairs`` pairs. Sent only after the last one.

    That a half has come is known from heralds, which nobody has signed: Eve could send them, and keep his half until
    she knows in which basis to measure it.
    """

    pairs: int


@dataclass(frozen=True, slots=True)
class Bases:
    """Alice's bases of some of ``pairs`` pairs, packed.

    Sent only after her last measurement and after ``Measured``, or Eve could use them.
    """

    pairs: int
    bases: bytes


@dataclass(frozen=True, slots=True)
class Matches:
    """Where Bob's bases are Alice's, one packed bit a pair, and those of his bits that are revealed, packed.

    Sent only after ``Bases``.
    """

    agreed: bytes
    bits: bytes


@dataclass(frozen=True, slots=True)
class Revealed:
    """Alice's bits where Bob's were revealed, packed. Sent only after ``Matches``."""

    bits: bytes


def pairs_for(key_bits: int, basis_probability: float) -> int:
    """Return of how many pairs so many sifted key bits are left on average, where the devices choose Z so often.

    Raises ``ProgramInvalid`` where all pairs are for the key, or all for the check.
    """
    if not 0 < basis_probability < 1:
        raise ProgramInvalid(
            f"a device that chooses Z with probability {basis_probability:g} leaves no key or no check; choose "
            "a basis_probability between 0 and 1"
        )
    return ceil(key_bits / basis_probability**2 / (1 - 1 / SAMPLE_EVERY))


async def collect(pairs: Pairs[SharedOutcomes]) -> PairOutcomes:
    """Collect what a request for outcomes in the bases "ZX" brings, over however many repeaters.

    Raises ``RequestFailed`` when there will be no more, and ``ProgramInvalid`` for units of several pairs: these share
    a basis, and only where every pair has one of its own are those in X a random sample.
    """
    units = [unit async for unit in pairs]
    for unit in units:
        if len(unit.bits) != 1 or unit.basis not in _CODES:
            raise ProgramInvalid(
                f"a unit of {len(unit.bits)} pairs in {unit.basis} is no sample of its own; ask for outcomes "
                'in the bases "ZX", one pair at a time'
            )
    bases = np.array([_CODES[unit.basis] for unit in units], dtype=np.uint8)
    bits = np.array([unit.bits[0] for unit in units], dtype=np.uint8)
    return PairOutcomes(bases, bits, np.array([unit.delivered_at for unit in units]))


async def alice(found: PairOutcomes, bob: Peer, security: Security) -> SiftedBlock:
    """Sift what this end has measured, with Bob; return her block."""
    await hear_of_measured(len(found.bits), bob)  # 2
    parts = [await _sift_as_alice(part, len(found.bits), bob) for part in _parts(found)]
    return _block(len(found.bits), parts, security)


async def bob(found: PairOutcomes, alice: Peer, security: Security) -> SiftedBlock:
    """Sift what this end has measured, with Alice; return his block."""
    await alice.send(Measured(len(found.bits)))  # 2
    parts = [await _sift_as_bob(part, len(found.bits), alice) for part in _parts(found)]
    return _block(len(found.bits), parts, security)


async def hear_of_measured(pairs: int, bob: Peer) -> None:
    """Wait until Bob has measured all. Raises ``ProtocolViolation`` when he has measured another number of them."""
    measured = await bob.receive(Measured)
    if measured.pairs != pairs:
        raise ProtocolViolation(f"{bob.name} has measured {measured.pairs} pairs where {pairs} were shared")


async def _sift_as_alice(found: _Found, pairs: int, bob: Peer) -> _Part:
    await bob.send(Bases(pairs, packed(found.bases)))  # 3
    matches = await bob.receive(Matches)  # 4
    sifted = _divided(found, unpacked(matches.agreed, len(found.bits)))
    await bob.send(Revealed(packed(sifted.revealed)))  # 5
    return _compared(sifted, matches.bits)


async def _sift_as_bob(found: _Found, pairs: int, alice: Peer) -> _Part:
    announced = await alice.receive(Bases)  # 3
    if announced.pairs != pairs:
        raise ProtocolViolation(
            f"{alice.name} has measured {announced.pairs} pairs where {pairs} were shared"
        )
    agreed = (unpacked(announced.bases, len(found.bits)) == found.bases).astype(np.uint8)
    sifted = _divided(found, agreed)
    await alice.send(Matches(packed(agreed), packed(sifted.revealed)))  # 4
    return _compared(sifted, (await alice.receive(Revealed)).bits)  # 5


class _Found(NamedTuple):
    """What one end has measured, of some pairs."""

    bases: Bits
    bits: Bits


class _Sifted(NamedTuple):
    """The bits of agreed bases: the key, and those to be revealed, the check basis first."""

    key: Bits
    revealed: Bits
    checks: int


class _Part(NamedTuple):
    key: Bits
    checks: int
    check_errors: int
    samples: int
    sample_errors: int


def _parts(found: PairOutcomes) -> Iterator[_Found]:
    if found.bases.size and found.bases.max() > 1:
        raise ProgramInvalid("BBM92 measures in Z and X; a pair was measured in another basis")
    for start in range(0, len(found.bits), MOST_PAIRS):
        some = slice(start, start + MOST_PAIRS)
        yield _Found(found.bases[some], found.bits[some])


def _divided(found: _Found, agreed: Bits) -> _Sifted:
    in_key = found.bits[(agreed == 1) & (found.bases == 0)]
    check = found.bits[(agreed == 1) & (found.bases == 1)]
    sampled = np.arange(in_key.size) % SAMPLE_EVERY == 0
    return _Sifted(in_key[~sampled], np.concatenate([check, in_key[sampled]]), check.size)


def _compared(sifted: _Sifted, received: bytes) -> _Part:
    wrong = unpacked(received, sifted.revealed.size) != sifted.revealed
    check, sample = wrong[: sifted.checks], wrong[sifted.checks :]
    return _Part(sifted.key, check.size, int(check.sum()), sample.size, int(sample.sum()))


def _block(pairs: int, parts: list[_Part], security: Security) -> SiftedBlock:
    key = np.concatenate([np.zeros(0, dtype=np.uint8), *(part.key for part in parts)])
    evidence = CheckedBasis(
        key.size,
        sum(part.checks for part in parts),
        sum(part.check_errors for part in parts),
        sum(part.samples for part in parts),
        sum(part.sample_errors for part in parts),
        security,
    )
    classes = np.zeros(key.size, dtype=np.uint8)
    return SiftedBlock(key, classes, 1, pairs, key.size + evidence.checked, evidence)
