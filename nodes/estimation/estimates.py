"""A figure with its standard error, and the two steps that all estimators here are made of: a mean, and a sum of means.

Nothing here has seen a state. What goes in is what the parties measured, and what comes out is as uncertain as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from nodes.errors import TooFewOutcomes

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the standard deviation that it has over repetitions of the whole experiment.

    ``value`` is unbiased and may therefore lie beyond what physics allows, by a few ``stderr``: a fidelity of 1.01.
    """

    value: float
    stderr: float


def mean_score(scores: Floats, counts: Floats) -> Estimate:
    """Return the mean of ``scores`` over independent outcomes, of which ``counts[...]`` had the score ``scores[...]``.

    With N = sum of ``counts`` and m the mean, sigma^2 = (<s^2> - m^2) / N: sqrt((1 - m^2)/N) for scores +1 and -1.

    N outcomes that all agree make that zero, though the next one may differ. sigma is therefore at least
    max|s - m| / (N + 1): what one outcome more would say, were it the most distant one. For two scores this is the
    greater of both only when all outcomes agree, and then it is |s1 - s2| / (N + 1).

    Both arrays have the same shape. Counts may be fractional, such as probabilities times a number of shots.
    Raises ``TooFewOutcomes`` when N = 0.
    """
    number = number_of_outcomes(counts)
    mean = float((scores * counts).sum()) / number
    deviations = scores - mean
    variance = float((deviations**2 * counts).sum()) / number
    unseen = float(np.abs(deviations).max()) / (number + 1)
    return Estimate(mean, max(sqrt(variance / number), unseen))


def mean_and_error(samples: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of some samples and its standard error from their scatter, None for a single one."""
    error = stdev(samples) / sqrt(len(samples)) if len(samples) > 1 else None
    return fmean(samples), error


def weighted_sum(terms: Iterable[tuple[float, Estimate]], constant: float = 0.0) -> Estimate:
    """Return ``constant`` + sum of w v over (weight w, estimate v) of independent data: sigma^2 = sum (w sigma_v)^2."""
    listed = list(terms)
    return Estimate(
        constant + sum(weight * term.value for weight, term in listed),
        sqrt(sum((weight * term.stderr) ** 2 for weight, term in listed)),
    )


def number_of_outcomes(counts: Floats) -> float:
    """Return the sum of ``counts``. Raises ``TooFewOutcomes`` when there is nothing to estimate from."""
    number = float(counts.sum())
    if number <= 0:
        raise TooFewOutcomes(
            "one of the settings that the estimate needs never came up; run more rounds, or give it more of them"
        )
    return number
