"""What one test does to a lab, and how it is undone where others use the lab after it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from broker.errors import BrokerError
from deploy.errors import DeployError, NotFound, UsageError
from deploy.testing.events import Events
from deploy.testing.standing import StandingLab
from nodes.errors import NodeError
from shared_state.errors import SharedStateError

ResultT = TypeVar("ResultT")
Undo: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
_REFUSALS: Final = (UsageError.exit_code, NotFound.exit_code)
"""Of errors that come before anything has been done."""


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
        """Do something to the lab. ``undo`` undoes it, also what was cut short of it, and it ``undoes`` others."""
        __tracebackhide__ = True
        try:
            self.begin()
        except BaseException:
            work.close()  # nobody will await it
            raise
        try:
            result = await self.lab.thread.do(what, work)
        except BaseException as error:
            refused = isinstance(error, DeployError) and error.exit_code in _REFUSALS
            if undo is not None and not refused:
                self.remember(what, undo)
            raise
        if undo is not None:
            self.remember(what, undo)
        for former in undoes:
            self._undoing.pop(former, None)
        return result

    def remember(self, what: str, undo: Undo) -> None:
        """Note what undoes something that was done, unless that is known: the first undo leads back furthest."""
        self._undoing[what] = self._undoing.pop(what, undo)  # and last, so first to be undone

    def spoil(self, how: str) -> None:
        """Note that something was done that nothing undoes: nobody can use the lab after this test."""
        self.spoilt.append(how)

    def undo(self) -> None:
        """Undo all faults, the last one first; raise the first error when all have been tried."""
        failures: list[Exception] = []
        while self._undoing:
            what, undo = self._undoing.popitem()
            try:
                self.lab.thread.wait_for(undo(), f"undo '{what}'")
            except (DeployError, NodeError, BrokerError, SharedStateError) as error:
                failures.append(error)
        if failures:
            raise failures[0]
