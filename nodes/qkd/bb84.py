"""BB84: a raw key from single photons in two conjugate bases.

C. H. Bennett and G. Brassard, "Quantum cryptography: public key distribution and coin tossing", Proc. IEEE
Int. Conf. on Computers, Systems and Signal Processing, Bangalore (1984) 175-179::

    Alice                                              Bob
      |--- 1 Train: how many photons come ------------->|
      |=== 2 photons: random bits in random bases =====>|  measures each in a random basis of his own
      |<-- 3 Detections: which clicked, in which bases -|  only after his last measurement
      |--- 4 Matches: where the bases agreed ---------->|  only now are Alice's bases known to anyone
      sifted key: the bits where both used one basis

Basis 0 is Z, basis 1 is X. Without noise and without Eve both sifted keys are equal; an eavesdropper who
measures a fraction f of the photons in random bases and resends them makes f/4 of the bits differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer, QuantumLink
from nodes.qkd.bits import packed, unpacked

TRAIN_PULSES = 1_000_000
"""The longest train sent at once; more pulses go as several trains, so that no message grows with the key."""


@dataclass(frozen=True, slots=True)
class Train:
    """Alice is about to send ``pulses`` photons. Sent before the first of them."""

    pulses: int


@dataclass(frozen=True, slots=True)
class Detections:
    """Bob's clicks: one packed bit a pulse, and his bases of the clicked ones, packed in order.

    Sent only after Bob's last measurement of the train, or Eve could measure in his bases.
    """

    clicked: bytes
    bases: bytes


@dataclass(frozen=True, slots=True)
class Matches:
    """Where Alice's basis was Bob's: one packed bit for each of Bob's detections.

    Sent only after ``Detections``, or Eve could still measure a photon in its basis and stay unseen.
    """

    agreed: bytes


async def transmit(pulses: int, link: QuantumLink, bob: Peer, coin: Coin) -> Bits:
    """Send ``pulses`` single photons to Bob; return Alice's sifted key."""
    return np.concatenate([await _transmit_train(train, link, bob, coin) for train in trains(pulses)])


async def receive(pulses: int, link: QuantumLink, alice: Peer, coin: Coin) -> Bits:
    """Measure ``pulses`` single photons from Alice; return Bob's sifted key."""
    return np.concatenate([await _receive_train(train, link, alice, coin) for train in trains(pulses)])


async def _transmit_train(pulses: int, link: QuantumLink, bob: Peer, coin: Coin) -> Bits:
    bits, bases = coin.bits(pulses), coin.bits(pulses)
    await bob.send(Train(pulses))
    await link.send_pulses(bits, bases)
    detections = await bob.receive(Detections)
    clicked = unpacked(detections.clicked, pulses).astype(bool)
    agreed = matching(bases[clicked], unpacked(detections.bases, int(clicked.sum())))
    await bob.send(Matches(packed(agreed)))
    return sifted(bits[clicked], agreed)


async def _receive_train(pulses: int, link: QuantumLink, alice: Peer, coin: Coin) -> Bits:
    train = await alice.receive(Train)
    if train.pulses != pulses:
        raise ProtocolViolation(
            f"{alice.name} announced {train.pulses} photons where {pulses} were agreed; "
            "start both parties with the same number of pulses"
        )
    bases = coin.bits(pulses)
    clicks = await link.measure_pulses(bases)
    clicked = clicks.clicked.astype(bool)
    await alice.send(Detections(packed(clicks.clicked), packed(bases[clicked])))
    matches = await alice.receive(Matches)
    return sifted(clicks.bits[clicked], unpacked(matches.agreed, int(clicked.sum())))


def trains(pulses: int) -> list[int]:
    """Divide ``pulses`` into trains of at most ``TRAIN_PULSES``."""
    full, rest = divmod(pulses, TRAIN_PULSES)
    return [TRAIN_PULSES] * full + [rest] * (rest > 0)


def matching(bases: Bits, other_bases: Bits) -> Bits:
    """Return 1 where both bases are the same."""
    agreed: Bits = (bases == other_bases).astype(np.uint8)
    return agreed


def sifted(bits: Bits, agreed: Bits) -> Bits:
    """Keep the bits where the bases agreed."""
    kept: Bits = bits[agreed.astype(bool)]
    return kept
