"""The visits that are open at one node: the runs in which nodes of somebody's own act by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from nodes.errors import PeerSilent
from nodes.runtime.clock import RunClock
from nodes.runtime.stage import Stage


@dataclass(slots=True)
class _Open:
    """A visit. ``met``: the process whose it is has been seen since."""

    stage: Stage
    met: bool = False


class Visits:
    """The stage of each visit at the node ``name``, by visitor, as the lab orders and ends it.

    ``process_of`` tells which process another node is now, None while it has gone; an open visit is over, too, when
    another process has come in place of the one whose it is. ``attended``: a program acts by itself here. Then what
    others have made with it in their visits is its own, and stays when they leave.
    """

    def __init__(self, name: str, process_of: Callable[[str], str | None] | None = None) -> None:
        self.attended = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when a visit may have begun or be over: of a node that comes back, the one before it is over then."""
        self._name = name
        self._process_of = process_of
        self._open: dict[str, _Open] = {}
        self._last: dict[str, Stage] = {}
        self._changed = asyncio.Event()

    def begin(self, stage: Stage) -> None:
        """Note that a part in a run begins here."""
        if stage.order.visitor:
            self._open[stage.order.visitor] = _Open(stage)
            self._last[stage.order.visitor] = stage
            self.look()

    def over(self, run: str) -> bool:
        """Note that a run is over; tell whether it was the visit of another node, and a program acts here."""
        for visitor, visit in list(self._open.items()):
            if visit.stage.order.run == run:
                del self._open[visitor]
                self.look()
                return self.attended and visitor != self._name
        return False

    def of(self, visitor: str) -> Stage | None:
        """Return the stage of a node's visit, None when there is none or it is over."""
        visit = self._open.get(visitor)
        return None if visit is None or self._is_of_former(visitor, visit) else visit.stage

    def last(self, visitor: str) -> Stage | None:
        """Return the stage of the last visit of a node, which may be over; None when there was none."""
        return self._last.get(visitor)

    async def begun(self, visitor: str, deadline: float, told: str, clock: RunClock | None = None) -> Stage:
        """Wait for a node's visit, in a visit by its ``clock``, which may go on meanwhile.

        Raise ``PeerSilent`` with what is ``told`` after ``deadline`` wall seconds: when somebody connects is decided
        outside of emulated time.
        """
        if (there := self._there(visitor)) is not None:
            return there
        waits = nullcontext() if clock is None else clock.waiting(f"'{visitor}' to connect", standing=True)
        try:
            with waits:
                async with asyncio.timeout(deadline):
                    while (there := self._there(visitor)) is None:
                        await self._changed.wait()
        except TimeoutError:
            raise PeerSilent(visitor, deadline, told) from None
        return there

    def look(self) -> None:
        """Notice that a visit has begun or is over, or that another node has come or gone."""
        for visitor, visit in self._open.items():
            visit.met = visit.met or self._process(visitor) == visit.stage.order.visitor_process
        self._changed.set()
        self._changed = asyncio.Event()
        self.on_change()

    def _there(self, visitor: str) -> Stage | None:
        """Return the stage of a node's visit, None also while its process has gone, or has not been heard of."""
        there = self.of(visitor)
        if there is None or self._process_of is None or visitor == self._name:
            return there
        return there if self._process_of(visitor) == there.order.visitor_process else None

    def _is_of_former(self, visitor: str, visit: _Open) -> bool:
        """Tell whether another process has come in place of the one whose visit it is; who has gone may come back."""
        return visit.met and self._process(visitor) not in (None, visit.stage.order.visitor_process)

    def _process(self, visitor: str) -> str | None:
        """Return which process another node is now; None while it has gone, or where nobody tells."""
        return None if self._process_of is None or visitor == self._name else self._process_of(visitor)
