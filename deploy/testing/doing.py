"""What one test does to a lab, and how it is undone where others use the lab after it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

from deploy.testing.events import Events
from deploy.testing.standing import StandingLab

ResultT = TypeVar("ResultT")
Undo: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Doing:
    """The faults that one test makes in ``lab``. Events that it waits for come after the last of them."""

    def __init__(self, lab: StandingLab, events: Events) -> None:
        self.lab = lab
        self.spoilt: list[str] = []
        self._events = events
        self._undoing: dict[str, Undo] = {}

    def begin(self) -> None:
        """Note that something is done now: what the test waits for comes after it."""
        self._events.mark()

    async def do(
        self,
        what: str,
        work: Coroutine[Any, Any, ResultT],
        *,
        undo: Undo | None = None,
        undoes: Sequence[str] = (),
    ) -> ResultT:
        """Do something to the lab. ``undo`` undoes it, and it ``undoes`` others."""
        __tracebackhide__ = True
        self.begin()
        result = await self.lab.thread.do(what, work)
        if undo is not None:
            self.remember(what, undo)
        for former in undoes:
            self._undoing.pop(former, None)
        return result

    def remember(self, what: str, undo: Undo) -> None:
        """Note what undoes something that was done."""
        self._undoing[what] = undo

    def spoil(self, how: str) -> None:
        """Note that something was done that nothing undoes: nobody can use the lab after this test."""
        self.spoilt.append(how)

    def undo(self) -> None:
        """Undo all faults, the last one first."""
        while self._undoing:
            _, undo = self._undoing.popitem()
            self.lab.thread.wait_for(undo())
