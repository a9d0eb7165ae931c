"""The clock of one run on one node: real time, or the lab's virtual time, which passes in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import inf
from typing import Protocol


class Course(Protocol):
    """What decides how virtual time goes on, as ``nodes.runtime.turns`` does for all nodes of a lab."""

    now: float

    async def until(self, time: float) -> None:
        """Wait for an emulated time."""

    def waiting(self, story: str, *, standing: bool = False) -> AbstractContextManager[object]:
        """Say what the block waits for."""

    def standing_still(self) -> AbstractContextManager[object]:
        """Let nothing happen inside the block."""


class Alone:
    """The course of time for one who waits for nobody: it goes on at once. For tests of what uses a clock."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    async def until(self, time: float) -> None:
        """Go on to ``time``."""
        self.now = max(self.now, time)

    def waiting(self, story: str, *, standing: bool = False) -> AbstractContextManager[object]:
        """Do nothing."""
        return nullcontext()

    def standing_still(self) -> AbstractContextManager[object]:
        """Do nothing."""
        return nullcontext()


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

    def waiting(self, story: str, *, standing: bool = False) -> AbstractContextManager[object]:
        """Say for which message, herald or click the block waits: emulated time may pass meanwhile.

        ``standing``: a service waits, for whatever comes; that nothing comes is no deadlock.
        """

    def standing_still(self) -> AbstractContextManager[object]:
        """Let nothing else happen at this node inside the block, where time is virtual.

        For who asks somebody outside of emulated time: when the answer comes must decide nothing.
        """

    def overdue(self, due: float) -> None:
        """Note that what was due at an emulated time is there only now, if that has passed."""

    def deadline(self, wanted: float) -> float | None:
        """Return for how many wall seconds to wait for a peer at most; None where a deadlock is noticed at once."""


class VirtualClock:
    """The lab's common clock, which the server holds; it moves between this node's turns.

    Nothing depends on the wall clock, so the machine's load cannot change a result.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._busy_until = 0.0

    def now(self) -> float:
        """Return the emulated time in seconds, or when the last operation begun is over, if that is later."""
        return max(self._course.now, self._busy_until)

    async def sleep(self, duration: float) -> None:
        """Let ``duration`` seconds pass. Raise ``ValueError`` when it is negative."""
        await self.until(self.now() + _not_negative(duration))

    async def until(self, time: float) -> None:
        """Wait for an emulated time; a time that has passed is no wait."""
        if time > self._course.now:
            await self._course.until(time)

    def spend(self, duration: float) -> None:
        """Be busy for ``duration`` seconds more; nobody waits for it here."""
        if duration:
            self._busy_until = self.now() + duration

    def waiting(self, story: str, *, standing: bool = False) -> AbstractContextManager[object]:
        """Say for which message, herald or click the block waits. When nothing can come, ``Deadlock`` is raised."""
        return self._course.waiting(story, standing=standing)

    def standing_still(self) -> AbstractContextManager[object]:
        """Let nothing else happen at this node inside the block."""
        return self._course.standing_still()

    def overdue(self, due: float) -> None:
        """Do nothing: everything happens at its time."""

    def deadline(self, wanted: float) -> None:
        """Return None: how fast the machine is decides nothing."""


class RealTimeClock:
    """The lab's common clock: ``read`` gives the emulated time, ``scale`` emulated seconds pass in a wall second.

    ``measure`` hears by how many emulated seconds each wait has ended late.
    """

    def __init__(
        self,
        read: Callable[[], float],
        scale: float = 1.0,
        measure: Callable[[float], None] = lambda late: None,
    ) -> None:
        self._read = read
        self._scale = scale
        self._measure = measure
        self._busy_until = 0.0

    def now(self) -> float:
        """Return the emulated time in seconds, or when the last operation begun is over, if that is later."""
        return max(self._read(), self._busy_until)

    async def sleep(self, duration: float) -> None:
        """Wait for ``duration`` emulated seconds. Raise ``ValueError`` when it is negative."""
        await self.until(self.now() + _not_negative(duration))

    async def until(self, time: float) -> None:
        """Wait for an emulated time; a time that has passed is no wait."""
        if (ahead := time - self._read()) > 0:
            await asyncio.sleep(ahead / self._scale)
            self._measure(max(0.0, self._read() - time))

    def spend(self, duration: float) -> None:
        """Be busy for ``duration`` emulated seconds more; nobody waits for it here."""
        if duration:
            self._busy_until = self.now() + duration

    def waiting(self, story: str, *, standing: bool = False) -> AbstractContextManager[object]:
        """Do nothing: this clock does not wait for anybody."""
        return nullcontext()

    def standing_still(self) -> AbstractContextManager[object]:
        """Do nothing: time goes on."""
        return nullcontext()

    def overdue(self, due: float) -> None:
        """Measure how late that is which was due at an emulated time and is there now."""
        if (late := self._read() - due) > 0:
            self._measure(late)

    def deadline(self, wanted: float) -> float:
        """Return ``wanted``."""
        return wanted


def _not_negative(duration: float) -> float:
    if not 0 <= duration < inf:
        raise ValueError(f"a clock cannot run backwards or stand still: sleep({duration})")
    return duration
