"""The protocols that a link can speak, each as what makes sifted blocks: ``await sifter.block()``, again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nodes.agreement import LinkAgreement
from nodes.errors import ProgramInvalid
from nodes.ports import Coin, PairOutcomes, Peer, QuantumLink
from nodes.qkd import bb84, bbm92, e91, estimation
from nodes.qkd.block import SiftedBlock
from nodes.qkd.sampled import SampledEvidence
from nodes.qkd.security import Security

DEFAULT_PULSES = 100_000
MOST_PULSES = 4_000_000
"""A block of single photons, whose settings are stated one by one."""
SAMPLE_FRACTION = 0.2


class Sifter(Protocol):
    """One party of a protocol."""

    async def block(self) -> SiftedBlock:
        """Return the next block. Raises ``KeyRefused`` when too little has come through; the next may be asked for."""


def sifter_of_alice(
    agreement: LinkAgreement, link: QuantumLink, bob: Peer, coin: Coin, pulses: int = 0
) -> Sifter:
    """Return Alice's part of the protocol agreed on. ``pulses`` (or pairs) make a block, 0 as many as fill it."""
    return _sifter(agreement, link, bob, coin, pulses, sends=True)


def sifter_of_bob(
    agreement: LinkAgreement, link: QuantumLink, alice: Peer, coin: Coin, pulses: int = 0
) -> Sifter:
    """Return Bob's part of the protocol agreed on."""
    return _sifter(agreement, link, alice, coin, pulses, sends=False)


def _sifter(
    agreement: LinkAgreement, link: QuantumLink, peer: Peer, coin: Coin, pulses: int, sends: bool
) -> Sifter:
    security = Security(agreement.secrecy, agreement.correctness)
    match agreement.protocol:
        case "bb84":
            return _SinglePhotons(security, link, peer, coin, _single_photons(pulses), sends)
        case "bbm92":
            pairs = pulses or bbm92.pairs_for(agreement.block, agreement.basis_probability)
            return _PairsInTwoBases(security, link, peer, pairs, bbm92.alice if sends else bbm92.bob)
        case "e91":
            pairs = pulses or e91.pairs_for(agreement.block)
            angles = e91.ALICE if sends else e91.BOB
            return _PairsInThreeDirections(
                security, link, peer, pairs, e91.alice if sends else e91.bob, angles
            )
    raise ProgramInvalid(f"{agreement.protocol} is not there")


@dataclass(frozen=True, slots=True)
class _SinglePhotons:
    """BB84 with one photon a pulse: a random sample of the sifted bits is revealed."""

    security: Security
    link: QuantumLink
    peer: Peer
    coin: Coin
    pulses: int
    sends: bool

    async def block(self) -> SiftedBlock:
        """Transmit or receive a block's photons, sift, and compare a sample."""
        failure = estimation.bound_failure(self.security)
        if self.sends:
            sifted = await bb84.transmit(self.pulses, self.link, self.peer, self.coin)
            estimate = await estimation.sample_as_alice(
                sifted, SAMPLE_FRACTION, failure, self.peer, self.coin
            )
        else:
            sifted = await bb84.receive(self.pulses, self.link, self.peer, self.coin)
            estimate = await estimation.sample_as_bob(sifted, SAMPLE_FRACTION, failure, self.peer)
        evidence = SampledEvidence(estimate, self.security)
        return SiftedBlock(
            estimate.key, np.zeros_like(estimate.key), 1, self.pulses, int(sifted.size), evidence
        )


@dataclass(frozen=True, slots=True)
class _PairsInTwoBases:
    """BBM92 on the pairs of one link."""

    security: Security
    link: QuantumLink
    peer: Peer
    pairs: int
    sift: Callable[[PairOutcomes, Peer, Security], Awaitable[SiftedBlock]]

    async def block(self) -> SiftedBlock:
        """Measure a block's pairs, in bases that the devices draw, and sift."""
        return await self.sift(await self.link.measure_directly(self.pairs), self.peer, self.security)


@dataclass(frozen=True, slots=True)
class _PairsInThreeDirections:
    """E91 on the pairs of one link."""

    security: Security
    link: QuantumLink
    peer: Peer
    pairs: int
    sift: Callable[[PairOutcomes, Peer, Security], Awaitable[SiftedBlock]]
    angles: tuple[float, ...]

    async def block(self) -> SiftedBlock:
        """Measure a block's pairs, along directions that the devices draw, and sift."""
        found = await self.link.measure_directly(self.pairs, angles=self.angles)
        return await self.sift(found, self.peer, self.security)


def _single_photons(pulses: int) -> int:
    if pulses > MOST_PULSES:
        raise ProgramInvalid(f"a block of {pulses} pulses cannot be distilled; choose 1 to {MOST_PULSES}")
    return pulses or DEFAULT_PULSES
