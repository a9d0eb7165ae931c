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
from nodes.qkd.decoy import secret_length
from nodes.qkd.decoy_bb84 import Receiver, Transmitter
from nodes.qkd.decoy_evidence import DecoyEvidence
from nodes.qkd.sampled import SampledEvidence
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoySource, Tallies

DEFAULT_PULSES = 100_000
MOST_PULSES = 4_000_000
"""A block of single photons, whose settings are stated one by one."""
SAMPLE_FRACTION = 0.2


class Sifter(Protocol):
    """One party of a protocol."""

    async def block(self) -> SiftedBlock:
        """Return the next block. Raises ``KeyRefused`` when too little has come through; the next may be asked for."""


def sifter_of_alice(
    agreement: LinkAgreement,
    link: QuantumLink,
    bob: Peer,
    coin: Coin,
    pulses: int = 0,
    ahead: float = 0.0,
) -> Sifter:
    """Return Alice's part of the protocol agreed on. ``pulses`` (or pairs) make a block, 0 as many as fill it.

    ``ahead``: so many seconds of light may be on its way while what has come is sifted; for links that never rest.
    """
    return _sifter(agreement, link, bob, coin, pulses, ahead, sends=True)


def sifter_of_bob(
    agreement: LinkAgreement,
    link: QuantumLink,
    alice: Peer,
    coin: Coin,
    pulses: int = 0,
    ahead: float = 0.0,
) -> Sifter:
    """Return Bob's part of the protocol agreed on."""
    return _sifter(agreement, link, alice, coin, pulses, ahead, sends=False)


def _sifter(
    agreement: LinkAgreement,
    link: QuantumLink,
    peer: Peer,
    coin: Coin,
    pulses: int,
    ahead: float,
    sends: bool,
) -> Sifter:
    security = Security.of(agreement)
    match agreement.protocol:
        case "bb84":
            _require_single_photons(agreement)
            return _SinglePhotons(security, link, peer, coin, _single_photons(pulses), sends)
        case "bbm92":
            pairs = pulses or bbm92.pairs_for(agreement.block, agreement.basis_probability)
            return _Pairs(security, link, peer, pairs, bbm92.alice if sends else bbm92.bob)
        case "e91":
            pairs = pulses or e91.pairs_for(agreement.block)
            angles = e91.ALICE if sends else e91.BOB
            return _Pairs(security, link, peer, pairs, e91.alice if sends else e91.bob, angles)
        case "decoy-bb84":
            source = _decoy_source(agreement)
            end = (Transmitter if sends else Receiver)(
                link, peer, len(source.intensities), agreement.block, pulses, ahead
            )
            return _Decoys(security, source, end)


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
class _Pairs:
    """BBM92, or with ``angles`` E91, on the pairs of one link."""

    security: Security
    link: QuantumLink
    peer: Peer
    pairs: int
    sift: Callable[[PairOutcomes, Peer, Security], Awaitable[SiftedBlock]]
    angles: tuple[float, ...] = ()

    async def block(self) -> SiftedBlock:
        """Measure a block's pairs, in bases or along angles that the devices draw, and sift."""
        found = await self.link.measure_directly(self.pairs, angles=self.angles)
        return await self.sift(found, self.peer, self.security)


@dataclass(frozen=True, slots=True)
class _Decoys:
    """BB84 with weak pulses of several intensities: the check basis is revealed."""

    security: Security
    source: DecoySource
    end: Transmitter | Receiver

    async def block(self) -> SiftedBlock:
        """Transmit or receive until a block is full."""
        counted = await self.end.block()
        evidence = DecoyEvidence(self.source, counted.tallies, self.security)
        return SiftedBlock(
            key=counted.key,
            classes=counted.classes,
            class_count=len(self.source.intensities),
            pulses=counted.pulses,
            sifted=int(counted.key.size) + evidence.checked,
            evidence=evidence,
        )


def _decoy_source(agreement: LinkAgreement) -> DecoySource:
    if not 2 <= len(agreement.intensities) <= 3:
        raise ProgramInvalid(
            f"decoy states take two or three intensities, and this link's pulses have {len(agreement.intensities)}; "
            "write intensities: [0.5, 0.1, 0.0002], say, below qkd"
        )
    try:
        source = DecoySource(agreement.intensities, agreement.intensity_probabilities)
        nothing = (0,) * len(source.intensities)
        secret_length(Tallies(nothing, nothing, nothing, nothing), source, 0, Security())
    except ValueError as error:  # of the source, or of the bound that is to hold for it
        raise ProgramInvalid(str(error)) from error
    return source


def _require_single_photons(agreement: LinkAgreement) -> None:
    if agreement.intensities:
        raise ProgramInvalid(
            f"bb84 reckons with one photon in a pulse, and this link's have {agreement.intensities[0]:g} on average: "
            "whoever keeps one of several knows the key, and nobody sees it. Choose decoy-bb84, and two or three "
            "intensities"
        )


def _single_photons(pulses: int) -> int:
    if pulses > MOST_PULSES:
        raise ProgramInvalid(f"a block of {pulses} pulses cannot be distilled; choose 1 to {MOST_PULSES}")
    return pulses or DEFAULT_PULSES
