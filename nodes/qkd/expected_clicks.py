"""What a link with no eavesdropper is expected to count: clicks and errors per pulse, for each intensity and basis.

Two models. ``LinkParameters.clicks`` is that of this quantum internet's own devices, exactly: two detectors of which
both may fire, a receiver that is blind after a click and may click again when it recovers. ``concise_clicks`` is
the one that Lim et al. 2014 draw their figures with.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, inf
from typing import NamedTuple

from nodes.qkd.tallies import DecoySource, Tallies


class Clicks(NamedTuple):
    """Probabilities for a pulse of each intensity, in the basis that both chose: a click, one with the wrong bit."""

    detections: tuple[float, ...]
    errors: tuple[float, ...]


class BothBases(NamedTuple):
    """Clicks where both chose the key basis, and where both chose the check basis."""

    key: Clicks
    check: Clicks


@dataclass(frozen=True, slots=True)
class Settings:
    """What the parties may choose: the light, and how often each of them takes the key basis."""

    source: DecoySource
    key_basis_probability: float

    def __post_init__(self) -> None:
        if not 0 < self.key_basis_probability < 1:
            raise ValueError(
                f"the key basis cannot be chosen with probability {self.key_basis_probability}: both bases are needed"
            )


@dataclass(frozen=True, slots=True)
class LinkParameters:
    """A fibre and a receiver as a lab file describes them.

    ``transmission``: of the fibre, end to end. ``efficiency``: probability that a photon which arrives clicks.
    ``dark_count_probability``: per detector and pulse. ``misalignment``: probability that a photon goes to the wrong
    detector; in the check basis ``check_misalignment``, where it differs. ``check_share``: part of the light that an
    analyser of the check basis keeps (1/2 for time bins). ``pulse_rate`` in hertz. ``dead_time`` in seconds: so long
    the receiver is blind after a click, which ``afterpulse_probability`` is followed by one without light.
    """

    transmission: float
    efficiency: float = 1.0
    dark_count_probability: float = 0.0
    misalignment: float = 0.0
    check_misalignment: float | None = None
    check_share: float = 1.0
    pulse_rate: float = 1e9
    dead_time: float = 0.0
    afterpulse_probability: float = 0.0

    def __post_init__(self) -> None:
        shares = ("transmission", "efficiency", "dark_count_probability", "misalignment")
        for name in (*shares, "check_misalignment", "check_share", "afterpulse_probability"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"the {name} {value} is a probability and lies between 0 and 1")
        if not 0 < self.pulse_rate < inf or not 0 <= self.dead_time < inf:
            raise ValueError(
                f"no receiver has {self.pulse_rate} pulses per second and is blind for {self.dead_time} s"
            )

    def clicks(self, settings: Settings) -> BothBases:
        """Return what is counted per pulse in the long run.

        A receiver that sees a pulse with probability c when it is ready, is blind for d - 1 pulses after each click
        and clicks with probability a when it recovers, makes r = 1 / (d - 1 + a + (1-a)/c) clicks per pulse (renewal
        theory). The share a of the clicks is after-pulses, whatever was sent; the others are distributed as when
        nothing is blind.
        """
        echo = self.afterpulse_probability
        bases = (settings.key_basis_probability, 1 - settings.key_basis_probability)
        seen = [self._seen(settings.source, check) for check in (False, True)]
        ready = sum(
            share * light * (right + wrong + both)
            for share, basis in zip(bases, seen, strict=True)
            for light, (right, wrong, both) in zip(settings.source.probabilities, basis, strict=True)
        )
        if ready == 0:
            nothing = Clicks((0.0,) * len(seen[0]), (0.0,) * len(seen[0]))
            return BothBases(nothing, nothing)
        blind = max(1, ceil(self.dead_time * self.pulse_rate - 1e-6))
        rate = 1 / (blind - 1 + echo + (1 - echo) / ready)
        own, after = rate * (1 - echo) / ready, rate * echo
        key, check = (
            Clicks(
                tuple(own * (right + wrong + both) + after for right, wrong, both in basis),
                # an after-pulse in one detector or the other, beside what the pulse itself sets off
                tuple(
                    own * (wrong + both / 2) + after * (2 - right + wrong) / 4 for right, wrong, both in basis
                ),
            )
            for basis in seen
        )
        return BothBases(key, check)

    def _seen(self, source: DecoySource, check: bool) -> list[tuple[float, float, float]]:
        """Return, per intensity, the probability that only the right detector fires, only the wrong one, both."""
        error = self.misalignment
        if check and self.check_misalignment is not None:
            error = self.check_misalignment
        arriving = self.transmission * self.efficiency * (self.check_share if check else 1.0)
        quiet = 1 - self.dark_count_probability
        found = []
        for mu in source.intensities:
            right = 1 - quiet * exp(-mu * arriving * (1 - error))
            wrong = 1 - quiet * exp(-mu * arriving * error)
            found.append((right * (1 - wrong), wrong * (1 - right), right * wrong))
        return found


def concise_clicks(
    source: DecoySource,
    km: float,
    *,
    attenuation_db_per_km: float = 0.2,
    efficiency: float = 0.1,
    dark_count_probability: float = 6e-7,
    afterpulse_probability: float = 0.04,
    misalignment: float = 0.005,
) -> Clicks:
    """Return the clicks per pulse of the dedicated fibre of Lim et al. 2014, section IV, alike in both bases.

    D_k = 1 - (1 - 2 p_dc) e^(-eta k), R_k = D_k (1 + p_ap), e_k = p_dc + e_mis [1 - e^(-eta k)] + p_ap D_k / 2 with
    eta the transmission times the efficiency. The paper prints the transmission alone in e_k, which contradicts its
    figure.
    """
    arriving = efficiency * 10 ** (-attenuation_db_per_km * km / 10)
    detections, errors = [], []
    for k in source.intensities:
        light = 1 - exp(-arriving * k)
        own = 1 - (1 - 2 * dark_count_probability) * (1 - light)
        detections.append(own * (1 + afterpulse_probability))
        errors.append(dark_count_probability + misalignment * light + afterpulse_probability * own / 2)
    return Clicks(tuple(detections), tuple(errors))


def expected_tallies(clicks: BothBases, settings: Settings, key_bits: float) -> tuple[Tallies, float]:
    """Return the tallies of a block of ``key_bits`` sifted bits, all as expected, and how many pulses it takes."""
    q = settings.key_basis_probability
    shares = settings.source.probabilities
    per_pulse = q**2 * sum(p * seen for p, seen in zip(shares, clicks.key.detections, strict=True))
    if per_pulse <= 0:
        return Tallies(*[(0.0,) * len(shares)] * 4), inf
    pulses = key_bits / per_pulse

    def counted(probabilities: tuple[float, ...], both: float) -> tuple[float, ...]:
        return tuple(pulses * both * p * seen for p, seen in zip(shares, probabilities, strict=True))

    tallies = Tallies(
        counted(clicks.key.detections, q**2),
        counted(clicks.check.detections, (1 - q) ** 2),
        counted(clicks.check.errors, (1 - q) ** 2),
        counted(clicks.key.errors, q**2),
    )
    return tallies, pulses
