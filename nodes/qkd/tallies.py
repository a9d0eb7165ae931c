"""What decoy-state BB84 counts: a source of several intensities, detections and errors, and what follows for the key.

The key comes from the key basis (Z here), the check basis (X) says how much Eve can know of it. Papers differ: Lim et
al. 2014 call the key basis X, Rusca et al. 2018 call it Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, factorial, isfinite, log, sqrt

PROBABILITIES_SUM_TO_ONE_WITHIN = 1e-6


@dataclass(frozen=True, slots=True)
class DecoySource:
    """Phase-randomised light of several mean photon numbers, one chosen by lot for each pulse.

    ``intensities`` descend: the signal first. ``probabilities`` are those of the choice. Raises ValueError for what
    is no such source.
    """

    intensities: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        levels, shares = self.intensities, self.probabilities
        if len(levels) != len(shares) or not levels:
            raise ValueError(f"{len(levels)} intensities have {len(shares)} probabilities; each needs one")
        if not all(isfinite(level) and level >= 0 for level in levels):
            raise ValueError(f"the intensities {levels} are mean photon numbers and cannot be negative")
        if any(above <= below for above, below in pairwise(levels)):
            raise ValueError(f"the intensities {levels} must descend, the signal first")
        if not all(share > 0 for share in shares) or abs(sum(shares) - 1) > PROBABILITIES_SUM_TO_ONE_WITHIN:
            raise ValueError(f"the probabilities {shares} of the intensities must be positive and sum to 1")

    def emission(self, photons: int) -> float:
        """Return tau_n = sum_k p_k e^-k k^n / n!, the probability that a pulse has n ``photons``."""
        return sum(
            share * exp(-level) * level**photons / factorial(photons)
            for level, share in zip(self.intensities, self.probabilities, strict=True)
        )

    def weight(self, index: int) -> float:
        """Return e^k / p_k of an intensity: counts times this are sum_n (k^n / n!) s_n / tau_n on average."""
        return exp(self.intensities[index]) / self.probabilities[index]


@dataclass(frozen=True, slots=True)
class Tallies:
    """What was counted in one block, an element per intensity in the order of the source.

    ``key_detections``: pulses that both chose the key basis for and that made a click; ``check_detections`` and
    ``check_errors``: the same of the check basis, and how many of them had the wrong bit, which both parties reveal.
    ``key_errors``: bits of the key basis that error correction has changed, by intensity, known only after it; None
    where nobody counted them. Whole numbers, or expectations of them. Raises ValueError for what cannot be counted.
    """

    key_detections: tuple[float, ...]
    check_detections: tuple[float, ...]
    check_errors: tuple[float, ...]
    key_errors: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check_counts("key detections", self.key_detections)
        _check_counts("check detections", self.check_detections, len(self.key_detections))
        _check_errors("check", self.check_errors, self.check_detections)
        if self.key_errors is not None:
            _check_errors("key", self.key_errors, self.key_detections)

    @property
    def levels(self) -> int:
        """Return how many intensities were counted."""
        return len(self.key_detections)


@dataclass(frozen=True, slots=True)
class DecoyBound:
    """What tallies say of a key, but for the failure probability of the ``Security`` asked for.

    Of the key basis at least ``vacuum`` detections are of pulses without a photon and ``single`` of pulses with one;
    of the latter at most the share ``phase_error`` has a phase error. Of the check basis at least ``check_single``
    detections are of single photons, with at most ``check_single_errors`` errors. ``surplus`` is the length of the
    secret key before it is rounded down; negative where so many bits are missing for a key of any length.
    """

    surplus: float
    vacuum: float
    single: float
    phase_error: float
    check_single: float
    check_single_errors: float

    @property
    def length(self) -> int:
        """Return how many secret bits there are, 0 where none."""
        return max(0, int(self.surplus))


def expectations(counts: Sequence[float], source: DecoySource, failure: float) -> list[tuple[float, float]]:
    """Return, per intensity, bounds of e^k/p_k n*_k: the count as it is on average over the choice of intensities.

    Given their photon numbers, which Eve may choose by, the n detections have their intensities by independent lots:
    |n_k - n*_k| <= sqrt(n/2 ln(1/eps)), each side but for the probability ``failure`` eps (W. Hoeffding, J. Am. Stat.
    Assoc. 58 (1963) 13). An expectation of a part of n also lies within 0 and n.
    """
    total = sum(counts)
    spread = deviation(total, failure)
    return [
        (
            source.weight(index) * max(0.0, count - spread),
            source.weight(index) * min(total, count + spread),
        )
        for index, count in enumerate(counts)
    ]


def deviation(count: float, failure: float) -> float:
    """Return sqrt(n/2 ln(1/eps)): how far a sum of ``count`` coins strays to one side (Hoeffding 1963)."""
    return sqrt(count / 2 * log(1 / failure))


def within(least: float, value: float, most: float) -> float:
    """Return ``value``, or the end of the range that it lies beyond."""
    return max(least, min(value, most))


def _check_counts(name: str, counts: tuple[float, ...], levels: int | None = None) -> None:
    if levels is not None and len(counts) != levels:
        raise ValueError(f"there are {len(counts)} {name} and {levels} intensities; each needs one")
    if not all(isfinite(count) and count >= 0 for count in counts):
        raise ValueError(f"the {name} {counts} are counts and cannot be negative")


def _check_errors(basis: str, errors: tuple[float, ...], detections: tuple[float, ...]) -> None:
    _check_counts(f"{basis} errors", errors, len(detections))
    if any(wrong > seen for wrong, seen in zip(errors, detections, strict=True)):
        raise ValueError(
            f"of {detections} {basis} detections {errors} cannot have been wrong: these are more"
        )
