"""The lab's control party: starts runs on the nodes, feeds their rounds to the judge, and cleans up behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from broker.bus import Bus
from nodes.errors import ProgramInvalid, RunFailed
from nodes.runtime.attendance import Attendance
from nodes.runtime.conducting import ConductedRun
from nodes.runtime.hosting import Hosting
from nodes.runtime.instructing import instruct
from nodes.runtime.judge import Judge
from nodes.runtime.lag import LagFigures
from nodes.runtime.mail import PostOffice
from nodes.runtime.meeting import Meeting
from nodes.runtime.orders import ChangeChannels, SwapPath
from nodes.runtime.programs import load, source_of
from nodes.runtime.returns import unpack
from nodes.runtime.run_request import Route, RunRequest, RunResult, swap_paths
from nodes.runtime.still import StandStill
from nodes.runtime.succession import Succession
from shared_state.errors import ServerLost
from shared_state.oracle import Census, OracleClient


class Conductor:
    """Runs programs on the ``nodes`` of a lab over ``bus``; ``oracle`` is the referee's view of the quantum world.

    ``on_lag`` hears, in real time, how far each node lags behind the lab's clock, ``on_keys`` what it has in store.
    ``visitors``: the nodes of somebody's own, which act by themselves; ``on_visit`` hears that it has come,
    ``on_ready`` that any node has said that it is ready. ``on_end`` hears of each run, and
    each visit, that is over. ``mark``: see ``nodes.runtime.succession.Succession``.
    """

    def __init__(
        self,
        bus: Bus,
        lab: str,
        oracle: OracleClient,
        route: Route,
        nodes: Sequence[str],
        on_lag: Callable[[str, LagFigures], None] = lambda node, figures: None,
        on_keys: Callable[[str, dict[str, Any]], None] = lambda node, told: None,
        visitors: Sequence[str] = (),
        on_visit: Callable[[str], None] = lambda node: None,
        on_ready: Callable[[str], None] = lambda node: None,
        mark: str = "",
        on_end: Callable[[str], None] = lambda run: None,
    ) -> None:
        self._on_ready = on_ready
        self._oracle = oracle
        self._route = route
        self._nodes = tuple(nodes)
        self._attendance = Attendance()
        self._office = PostOffice(
            bus,
            lab,
            self._note_status,
            on_lag,
            on_keys=on_keys,
            on_mail_lost=self._note_mail_lost,
            on_end=on_end,
        )
        self._still = StandStill(oracle)
        self._succession = Succession(self._office, oracle, mark)
        self._runs = 0
        self._conducted: dict[str, ConductedRun] = {}
        self._reroutings = 0
        self._is_abandoned = False
        self._meeting = Meeting(self._succession, oracle, self._still, self._names)
        self._visitors = frozenset(visitors)
        self._hosting: Hosting | None = None
        if visitors:
            self._hosting = Hosting(
                self._office,
                visitors,
                self._nodes,
                self._still,
                on_visit,
                self._succession,
                lambda node: self._meeting.meet([node]),
            )

    @property
    def oracle(self) -> OracleClient:
        """Return the referee's view of the quantum world, which can also cut links and let Eve in."""
        return self._oracle

    async def serve(self) -> None:
        """Carry the conductor's mail until cancelled; raise ``BrokerLost`` or ``ServerLost``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._office.sort())
            group.create_task(self._office.dispatch())
            group.create_task(self._meeting.serve())
            if self._oracle.mode == "virtual":
                group.create_task(self._hear_of_losses())
            if self._hosting is not None:
                group.create_task(self._hosting.serve())
            raise await self._oracle.lost

    async def take_over(self) -> bool:
        """Be the lab's control party from now on; tell whether there was another one before.

        Then its runs are ended at all nodes that are there, and will be at those that come, and what it has done to
        links and by eavesdroppers is undone.
        """
        if not await self._succession.before():
            return False
        await self._meeting.meet(self._there())
        return True

    async def _hear_of_losses(self) -> None:
        """Take note of nodes whose turn has lasted too long: their runs are called off, though their processes live."""
        while True:
            try:
                node, story = await self._oracle.loss()
            except ServerLost:
                return  # who watches the connection tells
            self._attendance.give_up(node, story)
            self._office.note_status(node, "left")

    def abandon(self) -> None:
        """Give the lab up: what is running is not cleaned up any more, since nobody can hear."""
        self._is_abandoned = True

    async def census(self) -> Census:
        """Count what the quantum world holds."""
        return await self._oracle.census()

    def states(self) -> dict[str, str]:
        """Return what each node last said of itself: ready, left or lost."""
        return self._attendance.states()

    async def ready(self, nodes: Sequence[str]) -> None:
        """Wait until all ``nodes`` have said that they are ready."""
        await self._attendance.ready(nodes)

    async def change_of(self, *nodes: str) -> None:
        """Wait until one of ``nodes`` says that it is ready, has left or is lost, other than now."""
        await self._attendance.change_of(nodes)

    def mourn(self, node: str) -> None:
        """Note that a node's process has ended: runs that it took part in are called off."""
        self._office.note_status(node, "left")

    async def reroute(self, orders: Mapping[str, ChangeChannels]) -> set[str]:
        """Change the classical channels of nodes; return those that have not done so: not there, or silent for 10 s."""
        self._reroutings += 1
        session = await self._succession.name("rerouting", self._reroutings)
        there = {node: order for node, order in orders.items() if self._attendance.is_ready(node)}
        silent = await instruct(self._office, session, there, await self._oracle.now())
        return silent | (orders.keys() - there.keys())

    async def run(
        self,
        request: RunRequest,
        progress: Callable[[int], None] = lambda judged: None,
        begun: Callable[[], None] = lambda: None,
    ) -> RunResult:
        """Run a program to its end; ``progress`` hears how many rounds have been judged.

        ``begun`` is called when all have their parts; in virtual time, which stands still for it, before they begin.
        Raise ``ProgramInvalid`` before anything starts, ``RunFailed`` naming the node where it failed. Whatever
        happens, and when cancelled, the nodes hold nothing of the run afterwards.
        """
        source = request.source or source_of(request.program)
        program = load(request.program, source).cast(request.roles)
        if vacant := [role for role in program.roles if role not in request.roles]:
            raise ProgramInvalid(f"{request.program}: nobody plays {', '.join(vacant)}")
        paths = swap_paths(program, request.roles, self._route)
        parts = {node: role for role, node in request.roles.items()}
        parts |= {node: "" for path in paths for node in path.nodes if node not in parts}
        self._check_connected(parts)
        network = self._there() if program.asks_network else ()
        parts |= {node: "" for node in network if node not in parts}
        judge = Judge(program, request.program, self._oracle)
        started = time.monotonic()
        async with self._conducting(parts, network) as run:
            started_at = await self._begin(run, request, source, paths, begun)
            ended_at = await run.follow(
                request.rounds, request.deadline, judge, progress, begun=self._still.is_virtual
            )
        return RunResult(
            run=run.name,
            program=program.name,
            roles=dict(request.roles),
            rounds=request.rounds,
            figures=judge.figures(),
            returned=judge.returned,
            paths=[list(path.nodes) for path in paths],
            duration=ended_at - started_at,
            wall=time.monotonic() - started,
        )

    def _names(self) -> list[str]:
        """Name the runs, and the visits, that go on."""
        runs = sorted(name for name, run in self._conducted.items() if not run.is_called_off)
        return runs + ([] if self._hosting is None else self._hosting.runs())

    def _there(self) -> tuple[str, ...]:
        return tuple(node for node in self._nodes if self._attendance.is_ready(node))

    def _check_connected(self, nodes: Collection[str]) -> None:
        """Raise ``RunFailed`` when one of these is somebody's own and is not connected."""
        for node in nodes:
            if node in self._visitors and not self._attendance.is_ready(node):
                raise RunFailed(
                    node,
                    "NotConnected",
                    f"the lab does not run it, and it is not connected: run 'bellwire node run {node}', or a program "
                    f'with nodes.connect("{node}")',
                )

    async def stand(self, request: RunRequest, hear: Callable[[str, object], None]) -> None:
        """Keep a program of roles that yield running until cancelled; ``hear`` gets what each yields, by role.

        In real time only. Raise ``RunFailed`` naming the node where it failed, and as well when a role ends by itself.
        """
        source = request.source or source_of(request.program)
        program = load(request.program, source).cast(request.roles)
        parts = {node: role for role, node in request.roles.items()}
        async with self._conducting(parts) as run:
            await run.order(request, source, (), await self._oracle.now())
            await run.attend(request.deadline, lambda role, returned: hear(role, unpack(returned)[0]))
            raise RunFailed(next(iter(parts)), "ProgramInvalid", f"{program.name} ended, and was to go on")

    async def _begin(
        self,
        run: ConductedRun,
        request: RunRequest,
        source: str,
        paths: tuple[SwapPath, ...],
        begun: Callable[[], None],
    ) -> float:
        """Hand out the parts; return the emulated time at which all begin.

        In virtual mode time stands still until every node has its part.
        """
        async with self._still.held() as started_at:
            await run.order(request, source, paths, started_at)
            if self._still.is_virtual:
                await run.all_begun(request.deadline)
            begun()
        return started_at

    @asynccontextmanager
    async def _conducting(
        self, parts: Mapping[str, str], network: tuple[str, ...] = ()
    ) -> AsyncIterator[ConductedRun]:
        """Give a run of its own name to the block; whatever happens there, nobody holds anything of it afterwards."""
        self._runs += 1
        name = await self._succession.name("run", self._runs)
        run = ConductedRun(self._office, self._attendance, name, parts, network)
        self._conducted[name] = run
        reason = "the lab called it off"
        try:
            yield run
            reason = ""
        except RunFailed as failure:
            reason = str(failure)
            raise
        finally:
            try:
                await self._end(run, reason)
            finally:
                del self._conducted[name]

    async def _end(self, run: ConductedRun, reason: str) -> None:
        """End the run everywhere and wait until nothing of it is left at any node that is still there.

        Who is called off in virtual time does nothing more: else what the others still do would depend on who hears of
        it first.
        """
        if self._is_abandoned:
            return
        async with self._still.held() if reason and self._still.is_virtual else nullcontext():
            await run.end(reason)
        await self._oracle.discard_run(run.name)
        self._office.end_run(run.name)

    def _note_status(self, node: str, state: str) -> None:
        if self._attendance.note(node, state, self._office.processes.get(node, "")):
            self._mourn_former(node)
        if self._hosting is not None:
            self._hosting.note(node, state)
        if state == "ready":
            self._meeting.note_ready(node)
            self._on_ready(node)

    def _mourn_former(self, node: str) -> None:
        """Call off the runs of a node in whose place another process has come, which knows of none."""
        for run in self._conducted.values():
            run.mourn_former(node)
        if self._hosting is not None:
            self._hosting.mourn_former(node)

    def _note_mail_lost(self) -> None:
        """Call off all runs: the broker has come back without what nodes had reported, or had been told, of them."""
        self._meeting.note_mail_lost()
        for run in self._conducted.values():
            run.call_off()
