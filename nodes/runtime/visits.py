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

    ``attended``: a program acts by itself here. Then what others have made with it in their visits is its own, and
    stays when they leave.
    """

    def __init__(self, name: str) -> None:
        self.attended = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when a visit has begun or is over: of a node that comes back, the one before it is over then."""
        self._name = name
        self._open: dict[str, Stage] = {}
        self._last: dict[str, Stage] = {}
        self._changed = asyncio.Event()

    def begin(self, stage: Stage) -> None:
        """Note that a part in a run begins here."""
        if stage.order.visitor:
            self._open[stage.order.visitor] = self._last[stage.order.visitor] = stage
            self._change()

    def over(self, run: str) -> bool:
        """Note that a run is over; tell whether it was the visit of another node, and a program acts here."""
        for visitor, stage in list(self._open.items()):
            if stage.order.run == run:
                del self._open[visitor]
                self._change()
                return self.attended and visitor != self._name
        return False

    def of(self, visitor: str) -> Stage | None:
        """Return the stage of a node's visit, None while it is not there."""
        return self._open.get(visitor)

    def last(self, visitor: str) -> Stage | None:
        """Return the stage of the last visit of a node, which may be over; None when there was none."""
        return self._last.get(visitor)

    async def begun(self, visitor: str, deadline: float, told: str, clock: RunClock | None = None) -> Stage:
        """Wait for a node's visit, in a visit by its ``clock``, which may go on meanwhile.

        Raise ``PeerSilent`` with what is ``told`` after ``deadline`` wall seconds: when somebody connects is decided
        outside of emulated time.
        """
        if visitor in self._open:
            return self._open[visitor]
        waits = nullcontext() if clock is None else clock.waiting(f"'{visitor}' to connect", standing=True)
        try:
            with waits:
                async with asyncio.timeout(deadline):
                    while visitor not in self._open:
                        await self._changed.wait()
        except TimeoutError:
            raise PeerSilent(visitor, deadline, told) from None
        return self._open[visitor]

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        self.on_change()
