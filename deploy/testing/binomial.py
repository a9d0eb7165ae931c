"""Tails of the binomial distribution, exact at any number of trials.

P(X >= k) = I_p(k, n - k + 1), the regularised incomplete beta function; its continued fraction is DLMF 8.17.22,
evaluated by Lentz's method as modified by Thompson and Barnett (1986).
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma, log, log1p
from typing import Final

_PRECISION: Final = 1e-14
_TINY: Final = 1e-300
_HALVINGS: Final = 60


def at_least(count: int, trials: int, probability: float) -> float:
    """Return the probability of ``count`` successes or more."""
    if count <= 0 or probability >= 1:
        return float(count <= trials)
    if count > trials or probability <= 0:
        return 0.0
    return _incomplete_beta(count, trials - count + 1, probability)


def at_most(count: int, trials: int, probability: float) -> float:
    """Return the probability of ``count`` successes or fewer."""
    return at_least(trials - count, trials, 1 - probability)


def interval(count: int, trials: int, error: float) -> tuple[float, float]:
    """Return between which rates the true one is, but for the probability ``error`` (Clopper and Pearson, 1934)."""
    low = 0.0 if count == 0 else _root(lambda rate: at_least(count, trials, rate) - error / 2)
    high = 1.0 if count == trials else _root(lambda rate: error / 2 - at_most(count, trials, rate))
    return low, high


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x > (a + 1) / (
        a + b + 2
    ):  # where the fraction converges slowly, that of the other tail converges fast
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a
    ratio = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    numerator, value, change, m = 1.0, ratio, 0.0, 0
    while abs(change - 1) > _PRECISION:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            ratio = 1 / _away_from_zero(1 + step * ratio)
            numerator = _away_from_zero(1 + step / numerator)
            change = ratio * numerator
            value *= change
    return min(1.0, front * value)


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
