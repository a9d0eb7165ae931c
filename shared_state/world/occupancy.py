"""Sources and transmitters do one thing after the other: until when they are busy, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

REMEMBERED: Final = 1024
"""So many runs are remembered per device; the work for older ones counts as done."""


class Occupancy:
    """Until when each device is busy, in emulated seconds, for the runs that share one course of time.

    ``story`` names what a run shares its time with (``LabClock.story``): the runs of a lab in real time stand in
    one line, and in virtual time each has a clock of its own, so one must not wait for another's future.
    """

    def __init__(self, story: Callable[[str], str]) -> None:
        self._story = story
        self._until: dict[str, dict[str, float]] = {}

    def free_from(self, device: str, run: str) -> float:
        """Return the time from which the device can work for the run."""
        story = self._story(run)
        ends = [end for other, end in self._until.get(device, {}).items() if self._story(other) == story]
        return max(ends, default=0.0)

    def occupy(self, device: str, run: str, until: float) -> None:
        """Note that the device works for the run."""
        ends = self._until.setdefault(device, {})
        ends.pop(run, None)
        ends[run] = until
        if len(ends) > REMEMBERED:
            del ends[next(iter(ends))]

    def cut_short(self, device: str, at: float) -> None:
        """Note that the device does nothing more after ``at``, for whomsoever."""
        ends = self._until.get(device, {})
        for run, end in ends.items():
            ends[run] = min(end, at)

    def release(self, device: str, run: str) -> None:
        """Forget the run's work."""
        self._until.get(device, {}).pop(run, None)
