"""How far the mean of values from a bounded range is from what it is a sample of, whatever their distribution.

The smaller one of two radii, each of which errs with half of the probability:

- Hoeffding (1963), theorem 2:  w sqrt(ln(1/q) / 2n)
- empirical Bernstein, Maurer and Pontil (2009), theorem 4:  sqrt(2 V ln(2/q) / n) + 7 w ln(2/q) / 3(n - 1)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, sqrt


@dataclass(frozen=True, slots=True)
class Sample:
    """``count`` independent values between ``low`` and ``high``, their ``mean`` and (unbiased) ``variance``."""

    count: int
    mean: float
    variance: float
    low: float = 0.0
    high: float = 1.0

    def radius(self, error: float) -> float:
        """Return by how much the mean is above the true one, or below it, at most but for the probability ``error``."""
        return min(self.hoeffding(error / 2), self._bernstein(error / 2))

    def hoeffding(self, error: float) -> float:
        """Return the radius that does not depend on what was seen."""
        return (self.high - self.low) * sqrt(log(1 / error) / (2 * self.count))

    def _bernstein(self, error: float) -> float:
        if self.count < 2:
            return inf
        term = log(2 / error)
        spread = 7 * (self.high - self.low) * term / (3 * (self.count - 1))
        return sqrt(2 * self.variance * term / self.count) + spread


def sample_of(values: list[float], low: float, high: float) -> Sample:
    """Return the figures of some values. Raise ``ValueError`` for none, and for one outside of the range."""
    if not values:
        raise ValueError("there are no values")
    if outside := [value for value in values if not low <= value <= high]:
        raise ValueError(f"{outside[0]:g} is not between {low:g} and {high:g}, where all values have to be")
    count = len(values)
    mean = sum(values) / count
    variance = sum((value - mean) ** 2 for value in values) / (count - 1) if count > 1 else 0.0
    return Sample(count, mean, variance, low, high)
