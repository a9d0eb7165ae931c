"""The clock of one run on one node: real time, or time that moves only by what the run waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Protocol


class RunClock(Protocol):
    """What the adapters need beyond ``nodes.ports.Clock``: to wait until something that has a time has happened."""

    def now(self) -> float:
        """Return the emulated time in seconds."""

    async def sleep(self, duration: float) -> None:
        """Let ``duration`` seconds of emulated time pass."""

    async def until(self, time: float) -> None:
        """Wait for an emulated time; a time that has passed is no wait."""

    def spend(self, duration: float) -> None:
        """Let an operation take ``duration`` seconds: what comes after it is stated for later."""


class VirtualClock:
    """A clock that a run moves itself: a message moves it to its arrival, a herald to its herald time.

    Nothing depends on the wall clock, so the machine's load cannot change a result.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the emulated time in seconds."""
        return self._now

    async def sleep(self, duration: float) -> None:
        """Let ``duration`` seconds pass at once. Raise ``ValueError`` when it is negative."""
        self._now += _not_negative(duration)

    async def until(self, time: float) -> None:
        """Move the clock forward to ``time``, if that is later than now."""
        self._now = max(self._now, time)

    def spend(self, duration: float) -> None:
        """Move the clock forward by ``duration`` seconds."""
        self._now += duration


class RealTimeClock:
    """The lab's common clock: ``read`` gives the emulated time, ``scale`` emulated seconds pass in a wall second."""

    def __init__(self, read: Callable[[], float], scale: float = 1.0) -> None:
        self._read = read
        self._scale = scale
        self._busy_until = 0.0

    def now(self) -> float:
        """Return the emulated time in seconds, or when the last operation begun is over, if that is later."""
        return max(self._read(), self._busy_until)

    async def sleep(self, duration: float) -> None:
        """Wait for ``duration`` emulated seconds. Raise ``ValueError`` when it is negative."""
        await self.until(self.now() + _not_negative(duration))

    async def until(self, time: float) -> None:
        """Wait for an emulated time; a time that has passed is no wait."""
        await asyncio.sleep(max(0.0, time - self._read()) / self._scale)

    def spend(self, duration: float) -> None:
        """Be busy for ``duration`` emulated seconds more; nobody waits for it here."""
        if duration:
            self._busy_until = self.now() + duration


def _not_negative(duration: float) -> float:
    if not 0 <= duration < inf:
        raise ValueError(f"a clock cannot run backwards or stand still: sleep({duration})")
    return duration
