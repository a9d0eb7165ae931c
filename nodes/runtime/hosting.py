"""Visits, as the lab's control party orders them: each node of somebody's own has one from its coming to its leaving.

A visit is a run without a program, in which every node of the lab relays. A node that comes later takes part in the
visits that are open, and one that has gone in none of them any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from nodes.errors import DeadlinePassed, PeerGone
from nodes.runtime.closing import close_at
from nodes.runtime.handing_out import hand_out
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import CONTROL, CONTROLLER, VISIT, RunOrder
from nodes.runtime.still import StandStill
from nodes.runtime.succession import Succession
from shared_state.errors import ServerLost

_PATIENCE: Final = 20.0
"""Wall seconds: for a node to begin its part, and within a visit for what no program bounds."""
_GRACE: Final = 2.0
"""A node whose connection has broken has gone when it is not back after so many wall seconds."""


@dataclass(slots=True)
class _Visit:
    run: str
    visitor: str
    process: str
    taking_part: set[str] = field(default_factory=set)


class Hosting:
    """Orders the visits of ``visitors`` among the ``nodes`` of a lab; time is ``still`` when they begin.

    ``on_visit`` hears of each visit that begins. ``succession`` names them; ``meet`` lets a node that has come end what
    is left of those that another control party has ordered.
    """

    def __init__(
        self,
        office: PostOffice,
        visitors: Collection[str],
        nodes: Sequence[str],
        still: StandStill,
        on_visit: Callable[[str], None],
        succession: Succession,
        meet: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        self._succession = succession
        self._meet = meet
        self._office = office
        self._visitors = frozenset(visitors)
        self._nodes = tuple(nodes)
        self._still = still
        self._on_visit = on_visit
        self._news: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._there: dict[str, str] = {}
        self._missed: dict[str, asyncio.TimerHandle] = {}
        self._visits: dict[str, _Visit] = {}
        self._numbers = count(1)

    def note(self, node: str, state: str) -> None:
        """Hear what is known of a node: ready, left or lost."""
        if (timer := self._missed.pop(node, None)) is not None:
            timer.cancel()
        if state == "lost":
            loop = asyncio.get_running_loop()
            self._missed[node] = loop.call_later(_GRACE, self._news.put_nowait, (node, "left"))
        elif node in self._nodes:
            self._news.put_nowait((node, state))

    def mourn_former(self, node: str) -> None:
        """Wait for nothing from the process that a node was before another one took its place."""
        for visit in self._visits.values():
            if node in visit.taking_part:
                self._office.hang_up(node, visit.run)

    def runs(self) -> list[str]:
        """Name the visits that are open."""
        return [visit.run for visit in self._visits.values()]

    async def serve(self) -> None:
        """Order visits, and end them, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    node, state = await self._news.get()
                    process = self._office.processes.get(node, "")
                    if node in self._there and (state != "ready" or self._there[node] != process):
                        self._part(node, group)
                    if state == "ready" and node not in self._there:
                        self._there[node] = process
                        await self._meet(node)
                        await self._welcome(node)
        except* ServerLost:
            pass  # who watches the connection tells
        finally:
            for timer in self._missed.values():
                timer.cancel()

    async def _welcome(self, node: str) -> None:
        """Begin the visit of a node, if it is one's own, and let it take part in those of the others."""
        parts: list[tuple[_Visit, list[str]]] = []
        if node in self._visitors:
            run = await self._succession.name(VISIT, next(self._numbers))
            self._visits[node] = _Visit(run, node, self._there[node])
            self._office.begin_run(run, {CONTROL, CONTROLLER, *self._nodes})
            parts.append((self._visits[node], list(self._there)))
        for visit in self._visits.values():
            if visit.visitor != node and node not in visit.taking_part:
                self._office.greet(visit.run, node)
                parts.append((visit, [node]))
        if parts:
            await self._order(parts)
        if node in self._visitors:
            self._on_visit(node)

    def _part(self, node: str, group: asyncio.TaskGroup) -> None:
        """End the visit of a node that has gone, and its part in the others."""
        del self._there[node]
        for visit in self._visits.values():
            visit.taking_part.discard(node)
        if (visit_over := self._visits.pop(node, None)) is not None:
            group.create_task(self._end(visit_over))

    async def _end(self, visit: _Visit) -> None:
        async with asyncio.TaskGroup() as group:
            for node in visit.taking_part:
                reason = f"node '{visit.visitor}' has left"
                group.create_task(close_at(self._office, visit.run, node, reason))
        self._office.end_run(visit.run)

    async def _order(self, parts: Sequence[tuple[_Visit, Collection[str]]]) -> None:
        """Hand out parts of visits.

        In virtual time it stands still until all have theirs: between two of them, one node would wait for another
        that does not know of it yet.
        """
        for visit, nodes in parts:
            visit.taking_part |= set(nodes)
        async with self._still.held() as now:
            for visit, nodes in parts:
                await self._send(visit, nodes, now)
            if self._still.is_virtual:
                for visit, nodes in parts:
                    for node in nodes:
                        await self._begun(visit, node)

    async def _send(self, visit: _Visit, nodes: Collection[str], now: float) -> None:
        order = RunOrder(
            run=visit.run,
            program=VISIT,
            role="",
            rounds=0,
            roles=((visit.visitor, visit.visitor),),
            paths=(),
            parameters="{}",
            started_at=now,
            deadline=_PATIENCE,
            network=self._nodes,
            visitor_process=visit.process,
        )
        for node in nodes:
            try:
                await hand_out(self._office, node, order)
            except PeerGone:
                visit.taking_part.discard(node)  # the news of it is on its way

    async def _begun(self, visit: _Visit, node: str) -> None:
        try:
            await self._office.receive(node, visit.run, "that it has its part", _PATIENCE)
        except (PeerGone, DeadlinePassed):
            visit.taking_part.discard(node)
