"""How fast something grows: the slope of a straight line through samples, and how well they determine it.

Ordinary least squares for y = a + b t + noise:

    b = sum (t - mean t)(y - mean y) / S,    S = sum (t - mean t)^2
    standard error of b = sqrt( sum of squared residuals / (n - 2) / S )

The memory of a process is a staircase and no noise about a line, so its residuals are correlated and the standard error
is too small; who judges by it allows for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth per hour and its standard error, from so many ``samples`` over so many seconds."""

    per_hour: float
    error: float
    samples: int
    span_s: float


def slope(times: Sequence[float], values: Sequence[float]) -> Slope | None:
    """Fit a line through values at ``times`` in seconds; None for fewer than three moments: no error then."""
    if len(set(times)) < 3:
        return None
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    deviations = t - t.mean()
    spread = float(deviations @ deviations)
    rise = float(deviations @ (y - y.mean())) / spread
    residuals = y - y.mean() - rise * deviations
    error = sqrt(float(residuals @ residuals) / (len(t) - 2) / spread)
    return Slope(rise * 3600, error * 3600, len(t), float(t.max() - t.min()))
