"""What happens in a lab, for tests that wait for it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from deploy.event_stream import keeps_none
from deploy.testing.errors import EventMissing, NotOfThisLab
from deploy.testing.event_record import LabEvent, end_of, events_in, first
from deploy.testing.standing import StandingLab

_NEAREST: Final = 5
_MOST: Final = 10_000


class Events:
    """The events of a lab, as far as one test is concerned: those since it began.

    A test goes through them in order. ``wait_for`` looks behind the last thing that the test has waited for, or done to
    the lab, whichever came later; so it finds an event that has come already, and none that was there before.
    """

    def __init__(self, lab: StandingLab) -> None:
        self._lab = lab
        self._begin = self.mark()

    def mark(self) -> int:
        """Go on from here, and return where that is: what comes after it can be waited for."""
        self._mark = 0
        if self._lab.record is not None:
            self._lab.catch_up()
            self._mark = end_of(self._lab.record)
        return self._mark

    def so_far(self, name: str = "", *, node: str | None = None, **fields: Any) -> list[LabEvent]:
        """Return the events that have been written down since the test began: of this name, node and fields."""
        file = self._file()
        self._lab.catch_up()
        return [event for event in events_in(file, self._begin) if event.fits(name, node, fields)]

    async def wait_for(
        self,
        name: str,
        *,
        node: str | None = None,
        within: float = 10.0,
        after: int | LabEvent | None = None,
        where: Callable[[LabEvent], bool] = lambda event: True,
        **fields: Any,
    ) -> LabEvent:
        """Wait for an event by its name, or the beginning of it (``key`` is any of ``key.made``, ``key.alarm`` ...).

        It is of this ``node``, has these ``fields`` (``link="ex-dc"``, ``up=False``), is as ``where`` says, and comes
        ``after`` an event or a mark. Raise ``EventMissing``, which tells what came instead, after ``within`` wall
        seconds; when the lab fails, what made it fail.

        Example: ``await lab.events.wait_for("key.alarm", node="north", within=10)``
        """
        __tracebackhide__ = True
        start = self._mark if after is None else after.end if isinstance(after, LabEvent) else after
        others: deque[LabEvent] = deque(maxlen=_MOST)

        def fits(event: LabEvent) -> bool:
            return event.fits(name, node, fields) and where(event)

        what, failures = f"waiting for {name}", len(self._lab.thread.failures)
        looking = first(self._file(), start, fits, others)
        try:
            found = await self._lab.thread.do(
                what, self._lab.unless_failed(asyncio.wait_for(looking, within))
            )
        except TimeoutError:
            stated = {"node": node, **fields} if node else fields
            wanted = " ".join([name, *(f"{key}={value}" for key, value in stated.items())])
            story = _story(wanted, within, list(others))
            meanwhile = self._lab.thread.failures[failures:-1]  # the last one is this wait
            if hindrance := self._lab.hindrance():
                meanwhile.append(hindrance)
            raise EventMissing("; meanwhile ".join([story, *meanwhile])) from None
        self._mark = max(self._mark, found.end)
        return found

    def _file(self) -> Path:
        if self._lab.record is None:
            raise NotOfThisLab(self._lab.silence or str(keeps_none(self._lab.name)))
        return self._lab.record


def _story(wanted: str, within: float, others: list[LabEvent]) -> str:
    """Say what was waited for and what came instead: the names, and those events that are nearest to it."""
    said = f"no event '{wanted}' within {within:g} s"
    if not others:
        return f"{said}; none at all has come instead"
    counts = ", ".join(
        f"{each} {count}" for each, count in Counter(event.name for event in others).most_common(8)
    )
    family = wanted.split()[0].partition(".")[0]
    near = [event for event in others if event.name.partition(".")[0] == family] or others
    lines = "".join(f"\n    {event}" for event in near[-_NEAREST:])
    last = "the last" if near is others else f"the last of '{family}'"
    return f"{said}; instead came {counts}; {last}:{lines}"
