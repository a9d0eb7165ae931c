"""One number of the quantum world beside the same number from a closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erfc, exp, inf, log, sqrt
from typing import Final, Literal

EXACT: Final = 1e-9
"""The tolerance of what is calculated and not sampled."""
FALSE_ALARM: Final = 1e-6
"""The probability, at most, that chance alone fails a whole validation."""
SAMPLED_AT_MOST: Final = 300
"""How many sampled comparisons may share that probability."""
LEVEL: Final = FALSE_ALARM / SAMPLED_AT_MOST
"""A sampled comparison fails where a deviation like its own has less than this probability (Bonferroni)."""

Kind = Literal["exact", "sampled", "bound"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``measured`` by the quantum world, and its ``reference`` from the formula ``name`` of the paper ``source``.

    ``parameters`` by name, in SI units where the name says no other. Exact: ``tolerance`` of the difference;
    sampled: ``samples`` and the standard deviation ``sigma`` of their mean according to the reference, and
    ``chance``, an upper bound of the probability of a deviation at least so large. A bound is what ``measured`` may
    not exceed, but for ``tolerance``.
    """

    section: str
    name: str
    source: str
    parameters: Mapping[str, float]
    reference: float
    measured: float
    kind: Kind
    tolerance: float = EXACT
    samples: int = 0
    sigma: float = 0.0
    chance: float = 1.0

    @property
    def deviation(self) -> float:
        """Return measured - reference; NaN where the measurement is none."""
        return self.measured - self.reference

    @property
    def z(self) -> float:
        """Return the deviation of a sampled comparison in standard deviations."""
        if self.sigma == 0:
            return 0.0 if abs(self.deviation) <= EXACT else inf
        return self.deviation / self.sigma

    @property
    def passed(self) -> bool:
        """Tell whether the two agree."""
        if self.kind == "exact":
            return abs(self.deviation) <= self.tolerance
        if self.kind == "bound":
            return self.deviation <= self.tolerance
        return self.chance >= LEVEL


@dataclass(frozen=True, slots=True)
class Formula:
    """What a group of comparisons has in common; its methods make one comparison each."""

    section: str
    name: str
    source: str

    def exact(
        self, reference: float, measured: float, *, tolerance: float = EXACT, **parameters: float
    ) -> Comparison:
        """Compare two calculated numbers."""
        return Comparison(
            self.section, self.name, self.source, parameters, reference, float(measured), "exact", tolerance
        )

    def at_most(self, bound: float, measured: float, **parameters: float) -> Comparison:
        """Compare a number with a bound that no device can exceed."""
        return Comparison(self.section, self.name, self.source, parameters, bound, float(measured), "bound")

    def share(self, reference: float, count: int, samples: int, **parameters: float) -> Comparison:
        """Compare how often something happened in independent trials with its probability ``reference``.

        P(deviation) <= 2 exp(-n D), D the relative entropy of the share found and the probability (Chernoff 1952).
        """
        measured = count / samples
        chance = min(1.0, 2 * exp(-samples * _relative_entropy(measured, reference)))
        sigma = sqrt(max(0.0, reference * (1 - reference)) / samples)
        return self._sampled(reference, measured, samples, sigma, chance, parameters)

    def mean(
        self, reference: float, measured: float, samples: int, deviation: float, **parameters: float
    ) -> Comparison:
        """Compare the mean of many samples, each of standard deviation ``deviation``, with its expectation.

        By the normal law of the mean.
        """
        sigma = deviation / sqrt(samples)
        distance = abs(measured - reference)
        chance = erfc(distance / sigma / sqrt(2)) if sigma > 0 else float(distance <= EXACT)
        return self._sampled(reference, measured, samples, sigma, chance, parameters)

    def _sampled(
        self,
        reference: float,
        measured: float,
        samples: int,
        sigma: float,
        chance: float,
        parameters: Mapping[str, float],
    ) -> Comparison:
        return Comparison(
            self.section,
            self.name,
            self.source,
            parameters,
            reference,
            float(measured),
            "sampled",
            samples=samples,
            sigma=sigma,
            chance=chance,
        )


def _relative_entropy(found: float, expected: float) -> float:
    """Return D(found || expected) of two coins in nats; infinite for what cannot happen."""
    total = 0.0
    for share, probability in ((found, expected), (1 - found, 1 - expected)):
        if share > 0:
            if probability <= 0:
                return inf
            total += share * log(share / probability)
    return max(0.0, total)
