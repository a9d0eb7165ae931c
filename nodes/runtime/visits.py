"""The visits that are open at one node: the runs in which nodes of somebody's own act by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext

from nodes.errors import PeerSilent
from nodes.runtime.clock import RunClock
from nodes.runtime.stage import Stage


class Visits:
    """The stage of each visit at the node ``name``, by visitor, as the lab orders and ends it.

    ``process_of`` tells which process another node is now, empty when it is not known, None when it has gone: a visit
    is over for those who ask for it when its visitor is not the process any more that it was, though the lab has not
    ended it yet.
    ``attended``: a program acts by itself here. Then what others have made with it in their visits is its own, and
    stays when they leave.
    """

    def __init__(self, name: str, process_of: Callable[[str], str | None]) -> None:
        self.attended = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when a visit has begun or is over: of a node that comes back, the one before it is over then."""
        self._name = name
        self._process_of = process_of
        self._open: dict[str, Stage] = {}
        self._processes: dict[str, str] = {}
        self._last: dict[str, Stage] = {}
        self._changed = asyncio.Event()

    def begin(self, stage: Stage) -> None:
        """Note that a part in a run begins here."""
        if stage.order.visitor:
            self._open[stage.order.visitor] = self._last[stage.order.visitor] = stage
            self._processes[stage.order.visitor] = self._process_of(stage.order.visitor) or ""
            self.look()

    def over(self, run: str) -> bool:
        """Note that a run is over; tell whether it was the visit of another node, and a program acts here."""
        for visitor, stage in list(self._open.items()):
            if stage.order.run == run:
                del self._open[visitor]
                self.look()
                return self.attended and visitor != self._name
        return False

    def of(self, visitor: str) -> Stage | None:
        """Return the stage of a node's visit, None while it is not there."""
        return None if visitor != self._name and self._has_gone(visitor) else self._open.get(visitor)

    def last(self, visitor: str) -> Stage | None:
        """Return the stage of the last visit of a node, which may be over; None when there was none."""
        return self._last.get(visitor)

    async def begun(self, visitor: str, deadline: float, told: str, clock: RunClock | None = None) -> Stage:
        """Wait for a node's visit, in a visit by its ``clock``, which may go on meanwhile.

        Raise ``PeerSilent`` with what is ``told`` after ``deadline`` wall seconds: when somebody connects is decided
        outside of emulated time.
        """
        if (there := self.of(visitor)) is not None:
            return there
        waits = nullcontext() if clock is None else clock.waiting(f"'{visitor}' to connect", standing=True)
        try:
            with waits:
                async with asyncio.timeout(deadline):
                    while (there := self.of(visitor)) is None:
                        await self._changed.wait()
        except TimeoutError:
            raise PeerSilent(visitor, deadline, told) from None
        return there

    def _has_gone(self, visitor: str) -> bool:
        """Tell whether the process that has an open visit is not there any more."""
        process = self._process_of(visitor)
        if process is not None and not self._processes.get(visitor):
            self._processes[visitor] = process  # the visit was heard of before its visitor
        return process is None or process != self._processes.get(visitor, "")

    def look(self) -> None:
        """Notice that a visit has begun or is over, or that another node has come or gone."""
        self._changed.set()
        self._changed = asyncio.Event()
        self.on_change()
