"""How fast a link makes secret key, before it is built: the expected block of an undisturbed link, and its bound.

A prediction and no promise: a block that is counted has its own tallies, and an eavesdropper changes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.qkd.asymptotic_rates import plob_bound
from nodes.qkd.decoy import secret_length
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.expected_clicks import BothBases, LinkParameters, Settings, expected_tallies
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoyBound, Tallies

EFFICIENCY = 1.16
"""Bits that error correction reveals, over Shannon's limit n h(e): what Lim et al. 2014 reckon with."""


@dataclass(frozen=True, slots=True)
class ExpectedBlock:
    """One block as expected: ``pulses`` until it is full, what is counted, and what of it is secret."""

    pulses: float
    tallies: Tallies
    leaked_bits: float
    bound: DecoyBound

    @property
    def qber(self) -> float:
        """Return the error rate of the key basis; 1/2 where nothing clicks."""
        return error_rate(self.tallies)

    @property
    def bits_per_pulse(self) -> float:
        """Return the secret key rate; 0 where there is no key."""
        return max(0.0, self.bound.surplus) / self.pulses

    @property
    def merit(self) -> float:
        """Return the secret key rate; where there is no key, minus the share of the block that is missing for one."""
        missing = min(0.0, self.bound.surplus)
        return self.bits_per_pulse + missing / max(1.0, sum(self.tallies.key_detections))


def expected_block(
    link: LinkParameters,
    settings: Settings,
    key_bits: float,
    security: Security | None = None,
    efficiency: float = EFFICIENCY,
) -> ExpectedBlock:
    """Return the block of ``key_bits`` sifted bits that a link is expected to make, ``Security()`` unless told else."""
    return block_of(link.clicks(settings), settings, key_bits, security or Security(), efficiency)


def block_of(
    clicks: BothBases, settings: Settings, key_bits: float, security: Security, efficiency: float = EFFICIENCY
) -> ExpectedBlock:
    """Return the block that these click probabilities lead to; error correction reveals f n h(e) bits."""
    tallies, pulses = expected_tallies(clicks, settings, key_bits)
    leaked = efficiency * sum(tallies.key_detections) * binary_entropy(error_rate(tallies))
    return ExpectedBlock(pulses, tallies, leaked, secret_length(tallies, settings.source, leaked, security))


def secret_key_rate(link: LinkParameters, block: ExpectedBlock) -> float:
    """Return the secret bits per second that a link makes of such blocks, one after the other."""
    return block.bits_per_pulse * link.pulse_rate


def repeaterless_limit(link: LinkParameters) -> float:
    """Return the secret bits per second that no protocol exceeds over this fibre, with one mode per pulse."""
    return plob_bound(link.transmission) * link.pulse_rate


def error_rate(tallies: Tallies) -> float:
    """Return the share of errors in the key basis; 1/2 where nothing was detected or nobody counted errors."""
    detections = sum(tallies.key_detections)
    if detections <= 0 or tallies.key_errors is None:
        return 0.5
    return sum(tallies.key_errors) / detections
