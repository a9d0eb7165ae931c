"""How fast something grows: the slope of a straight line through samples, and how well they determine it.

Ordinary least squares for y = a + b t + noise:

    b = sum (t - mean t)(y - mean y) / S,    S = sum (t - mean t)^2
    standard error of b = sqrt( sum of squared residuals / (n - 2) / S )

The memory of a process is a staircase and no noise about a line: arenas come whole, and the smallest thing keeps its
page. Residuals are correlated then, and one step looks like a slope whose standard error is small. What goes on all the
time has that slope in each third of the samples, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth per hour and its standard error, from so many ``samples`` over so many seconds.

    ``thirds``: the growth per hour in each third of the samples by itself; none where they are too few.
    """

    per_hour: float
    error: float
    samples: int
    span_s: float
    thirds: tuple[float, ...]


def slope(times: Sequence[float], values: Sequence[float]) -> Slope | None:
    """Fit a line through values at ``times`` in seconds; None for fewer than three moments: no error then."""
    if len(set(times)) < 3:
        return None
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    deviations, rise = t - t.mean(), _rise(t, y)
    residuals = y - y.mean() - rise * deviations
    error = sqrt(float(residuals @ residuals) / (len(t) - 2) / float(deviations @ deviations))
    pieces = list(zip(np.array_split(t, 3), np.array_split(y, 3), strict=True))
    spread = all(len(set(times)) > 1 for times, _ in pieces)
    thirds = tuple(_rise(*piece) * 3600 for piece in pieces) if spread else ()
    return Slope(rise * 3600, error * 3600, len(t), float(t.max() - t.min()), thirds)


def _rise(t: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    deviations = t - t.mean()
    return float(deviations @ (y - y.mean())) / float(deviations @ deviations)
