"""How far a real-time lab lags behind its own clock: whenever something happens later than its emulated time.

A wait that ends late, a message that comes over the bus after its time, and the answer of a device that comes after the
time for which it holds are measured, in emulated seconds. In a lab whose lag exceeds the delay of its shortest link
causes come later than their effects should: its results depend on the machine.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, fields
from math import ceil, isfinite
from typing import Any, Final

CHANNEL: Final = "lag"
"""The channel of announcements on which a node tells its figures."""
WINDOW: Final = 1000
"""Mean and percentile are of so many measurements, the last ones."""


@dataclass(frozen=True, slots=True)
class LagFigures:
    """The lag of one node in emulated seconds.

    ``count`` and ``worst`` are of all measurements, ``mean`` and ``p99`` (the 99th percentile) of the last ``WINDOW``;
    ``behind``: ``p99`` exceeds the delay of the lab's shortest link.
    """

    count: int
    mean: float
    p99: float
    worst: float
    behind: bool

    @classmethod
    def read(cls, body: dict[str, Any]) -> LagFigures | None:
        """Return the figures that a node has announced; None when it makes no sense."""
        values = [body.get(field.name) for field in fields(cls)]
        match values:
            case [int(count), float(mean), float(p99), float(worst), bool(behind)] if all(
                isfinite(lag) and lag >= 0 for lag in (mean, p99, worst)
            ):
                return cls(count, mean, p99, worst, behind)
        return None

    def document(self) -> dict[str, Any]:
        """Return the figures for a JSON document, with the unit in the key."""
        return {
            "count": self.count,
            "mean_s": self.mean,
            "p99_s": self.p99,
            "worst_s": self.worst,
            "behind": self.behind,
        }


class LagMeter:
    """Collects what a node measures. ``measured`` is set by every measurement, and cleared by who reads the figures.

    ``shortest_delay`` in seconds is that of the lab's shortest link.
    """

    def __init__(self, shortest_delay: float) -> None:
        self.shortest_delay = shortest_delay
        self.measured = asyncio.Event()
        self._last: deque[float] = deque(maxlen=WINDOW)
        self._count = 0
        self._worst = 0.0

    def note(self, late: float) -> None:
        """Take one measurement: something has happened ``late`` emulated seconds after its time."""
        self._last.append(late)
        self._count += 1
        self._worst = max(self._worst, late)
        self.measured.set()

    def figures(self) -> LagFigures:
        """Return the figures of what was measured so far."""
        ordered = sorted(self._last)
        if not ordered:
            return LagFigures(0, 0.0, 0.0, 0.0, behind=False)
        p99 = ordered[ceil(0.99 * len(ordered)) - 1]
        mean = sum(ordered) / len(ordered)
        return LagFigures(self._count, mean, p99, self._worst, behind=p99 > self.shortest_delay)
