"""The lab's control party: starts runs on the nodes, feeds their rounds to the judge, and cleans up behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

from broker.bus import Bus
from nodes import codec
from nodes.errors import DeadlinePassed, NodeError, PeerGone, ProgramInvalid, RunFailed
from nodes.runtime.causes import root_cause, story
from nodes.runtime.handing_out import hand_out
from nodes.runtime.hosting import Hosting
from nodes.runtime.judge import Judge
from nodes.runtime.lag import LagFigures
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import (
    PROTOCOL,
    ChangeChannels,
    PartPlayed,
    RoundsPlayed,
    RunOver,
    SwapPath,
)
from nodes.runtime.programs import load, source_of
from nodes.runtime.returns import unpack
from nodes.runtime.run_request import Route, RunRequest, RunResult, order_of, swap_paths
from nodes.runtime.succession import Succession
from shared_state.errors import ServerLost, SharedStateError
from shared_state.oracle import Census, OracleClient

_CLEANUP_DEADLINE = 10.0
_REROUTING_DEADLINE = 10.0
_ROLES_FIRST = 1.0
"""Wall seconds: a role that waits in vain for one who does not begin knows for what, and is heard before."""


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
        self._office = PostOffice(
            bus,
            lab,
            self._note_status,
            on_lag,
            on_keys=on_keys,
            on_mail_lost=self._note_mail_lost,
            on_end=on_end,
        )
        self._states: dict[str, str] = {}
        self._state_changed = asyncio.Event()
        self._runs = 0
        self._abandoned = False
        self._given_up: dict[str, str] = {}
        self._conducted: dict[str, Collection[str]] = {}
        self._succession = Succession(self._office, oracle, mark)
        self._met: set[str] = set()
        self._meeting = asyncio.Lock()
        self._came: asyncio.Queue[str] = asyncio.Queue()
        self._processes: dict[str, str] = {}
        self._called_off: set[str] = set()
        self._replaced: dict[str, set[str]] = {}
        self._broker_lost_mail = False
        self._begins = asyncio.Lock()
        self._reroutings = 0
        self._visitors = frozenset(visitors)
        self._hosting: Hosting | None = None
        if visitors:
            self._hosting = Hosting(
                self._office,
                oracle,
                visitors,
                self._nodes,
                self._begins,
                self._close_at,
                on_visit,
                self._succession,
                lambda node: self._meet([node]),
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
            group.create_task(self._meet_those_who_come())
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
        await self._meet([node for node in self._nodes if self._states.get(node) == "ready"])
        return True

    async def _meet(self, nodes: Collection[str]) -> None:
        """Let nodes that may take part in runs which nobody conducts end these; each is met once.

        Those are the runs of another control party before this one, and such as were called off while the broker was
        away. In virtual time nobody goes on meanwhile.
        """
        async with self._meeting:
            new = [node for node in nodes if node not in self._met]
            self._met |= set(new)
            if not new or not (self._broker_lost_mail or await self._succession.before()):
                return
            async with self._time_held(if_virtual=True):
                runs = sorted(self._conducted.keys() - self._called_off)
                runs += [] if self._hosting is None else self._hosting.runs()
                await self._succession.end_others(new, runs, "nobody conducts it any more")
                await self._oracle.discard_others(runs)

    async def _meet_those_who_come(self) -> None:
        while True:
            await self._meet([await self._came.get()])

    async def _hear_of_losses(self) -> None:
        """Take note of nodes whose turn has lasted too long: their runs are called off, though their processes live."""
        while True:
            try:
                node, story = await self._oracle.loss()
            except ServerLost:
                return  # who watches the connection tells
            self._given_up[node] = story
            self._office.note_status(node, "left")

    def abandon(self) -> None:
        """Give the lab up: what is running is not cleaned up any more, since nobody can hear."""
        self._abandoned = True

    async def census(self) -> Census:
        """Count what the quantum world holds."""
        return await self._oracle.census()

    def states(self) -> dict[str, str]:
        """Return what each node last said of itself: ready, left or lost."""
        return dict(self._states)

    async def ready(self, nodes: Sequence[str]) -> None:
        """Wait until all ``nodes`` have said that they are ready."""
        while not all(self._states.get(node) == "ready" for node in nodes):
            self._state_changed.clear()
            await self._state_changed.wait()

    async def change_of(self, *nodes: str) -> None:
        """Wait until one of ``nodes`` says that it is ready, has left or is lost, other than now."""
        before = [self._states.get(node) for node in nodes]
        while [self._states.get(node) for node in nodes] == before:
            self._state_changed.clear()
            await self._state_changed.wait()

    def mourn(self, node: str) -> None:
        """Note that a node's process has ended: runs that it took part in are called off."""
        self._office.note_status(node, "left")

    async def reroute(self, orders: Mapping[str, ChangeChannels]) -> set[str]:
        """Change the classical channels of nodes; return those that have not done so: not there, or silent for 10 s."""
        self._reroutings += 1
        session = await self._succession.name("rerouting", self._reroutings)
        there = [node for node in orders if self._states.get(node) == "ready"]
        silent = set(orders) - set(there)
        now = await self._oracle.now()
        self._office.begin_run(session, there)
        try:
            async with asyncio.TaskGroup() as group:
                for node in there:
                    group.create_task(self._reroute(session, node, orders[node], now, silent))
        finally:
            self._office.end_run(session)
        return silent

    async def _reroute(
        self, session: str, node: str, order: ChangeChannels, now: float, silent: set[str]
    ) -> None:
        kind, body = codec.kind_of(order), codec.fields_of(order)
        try:
            await self._office.send(node, session, PROTOCOL, kind, body, now, now)
            await self._office.receive(node, session, "that its channels have changed", _REROUTING_DEADLINE)
        except (PeerGone, DeadlinePassed):
            silent.add(node)

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
        network: tuple[str, ...] = ()
        if program.asks_network:
            network = tuple(node for node in self._nodes if self._states.get(node) == "ready")
            parts |= {node: "" for node in network if node not in parts}
        run = await self._begin_run(parts)
        judge = Judge(program, self._oracle)
        started = time.monotonic()
        reason = "the lab called it off"
        try:
            started_at = await self._begin(run, request, source, parts, paths, network, begun)
            ended_at = await self._follow(run, parts, network, request, judge, progress)
            reason = ""
        except RunFailed as failure:
            reason = str(failure)
            raise
        finally:
            await self._close(run, parts, reason)
        with _blaming(request.program):
            figures = judge.figures()
        return RunResult(
            run=run,
            program=program.name,
            roles=dict(request.roles),
            rounds=request.rounds,
            figures=figures,
            returned=judge.returned,
            paths=[list(path.nodes) for path in paths],
            duration=ended_at - started_at,
            wall=time.monotonic() - started,
        )

    async def _begin_run(self, parts: Collection[str]) -> str:
        """Name a run, and keep its mail."""
        self._runs += 1
        run = await self._succession.name("run", self._runs)
        self._office.begin_run(run, parts)
        self._conducted[run] = parts
        return run

    def _check_connected(self, nodes: Collection[str]) -> None:
        """Raise ``RunFailed`` when one of these is somebody's own and is not connected."""
        for node in nodes:
            if node in self._visitors and self._states.get(node) != "ready":
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
        run = await self._begin_run(parts)
        reason = "the lab called it off"
        try:
            await self._order(run, request, source, parts, (), (), await self._oracle.now())
            async with asyncio.TaskGroup() as group:
                for node, role in parts.items():
                    group.create_task(self._attend(run, node, role, request.deadline, hear))
        except BaseExceptionGroup as failures:
            failure = root_cause(failures)
            reason = str(failure)
            raise failure from failures
        except RunFailed as failure:
            reason = str(failure)
            raise
        finally:
            await self._close(run, parts, reason)
        raise RunFailed(next(iter(parts)), "ProgramInvalid", f"{program.name} ended, and was to go on")

    async def _attend(
        self, run: str, node: str, role: str, deadline: float, hear: Callable[[str, object], None]
    ) -> None:
        """Hear what a standing role yields until it ends."""
        await self._begun(run, node, deadline, needed=True)
        await self._listen(run, node, lambda returned: hear(role, unpack(returned)[0]))

    async def _begin(
        self,
        run: str,
        request: RunRequest,
        source: str,
        parts: Mapping[str, str],
        paths: tuple[SwapPath, ...],
        network: tuple[str, ...],
        begun: Callable[[], None],
    ) -> float:
        """Hand out the parts; return the emulated time at which all begin.

        In virtual mode time stands still until every node has its part.
        """
        virtual = self._oracle.mode == "virtual"
        if not virtual:
            started_at = await self._oracle.now()
            await self._order(run, request, source, parts, paths, network, started_at)
            begun()
            return started_at
        async with self._begins:
            try:
                started_at = await self._oracle.hold()
                await self._order(run, request, source, parts, paths, network, started_at)
                for node, role in parts.items():
                    await self._begun(run, node, request.deadline, needed=bool(role) or node not in network)
                begun()
            finally:
                await self._oracle.release()
        return started_at

    async def _order(
        self,
        run: str,
        request: RunRequest,
        source: str,
        parts: Mapping[str, str],
        paths: tuple[SwapPath, ...],
        network: tuple[str, ...],
        started_at: float,
    ) -> None:
        for node, role in parts.items():
            order = order_of(run, request, source, role, paths, network, started_at)
            try:
                await hand_out(self._office, node, order)
            except PeerGone as gone:
                if role or node not in network:
                    raise RunFailed(node, "PeerGone", "its process has ended") from gone

    async def _begun(self, run: str, node: str, deadline: float, *, needed: bool) -> None:
        try:
            await self._office.receive(node, run, "that it has its part", deadline)
        except PeerGone as gone:
            if needed:
                raise self._gone(run, node) from gone
        except DeadlinePassed as late:
            told = (
                f"it has not answered the order of the control party within {deadline:g} s: its process is stopped or "
                "busy, or does not hear the broker; see its log"
            )
            raise RunFailed(node, "DeadlinePassed", told) from late

    def _gone(self, run: str, node: str) -> RunFailed:
        if run in self._called_off:
            told = "the broker was started again meanwhile, and reports of this run may be lost; run it again"
            return RunFailed(node, "MailLost", told)
        return RunFailed(
            node, "PeerGone", self._given_up.get(node, "the process ended while it played its part")
        )

    async def _follow(
        self,
        run: str,
        parts: Mapping[str, str],
        network: tuple[str, ...],
        request: RunRequest,
        judge: Judge,
        progress: Callable[[int], None],
    ) -> float:
        """Take the reports of all nodes until the last has played its part; return the emulated time of its end.

        Nodes of the network that play no role are heard until then, and may leave: others go around them.
        """
        relays = [node for node in network if not parts[node]]
        try:
            async with asyncio.TaskGroup() as group:
                ends = [
                    group.create_task(self._hear(run, node, request.deadline, partial(judge.take, role)))
                    for node, role in parts.items()
                    if node not in relays
                ]
                heard = [group.create_task(self._hear_relay(run, node)) for node in relays]
                with _blaming(request.program):
                    await judge.judge(request.rounds, progress)
                await asyncio.wait(ends)
                for relay in heard:
                    relay.cancel()
        except BaseExceptionGroup as failures:
            raise root_cause(failures) from failures
        return max(end.result() for end in ends)

    async def _hear(self, run: str, node: str, deadline: float, take: Callable[[str], None]) -> float:
        """Hear that a node has its part, as all have said already in virtual time, and then ``_listen``."""
        if self._oracle.mode != "virtual":
            await self._begun(run, node, deadline + _ROLES_FIRST, needed=True)
        return await self._listen(run, node, take)

    async def _hear_relay(self, run: str, node: str) -> None:
        """Raise ``RunFailed`` when a relay of the network fails; that it leaves is no failure."""
        while True:
            try:
                await self._listen(run, node, lambda returned: None)
            except RunFailed as failure:
                if failure.cause != "PeerGone":
                    raise
                return

    async def _listen(self, run: str, node: str, take: Callable[[str], None]) -> float:
        """Hand what a node's role returns to ``take``, until it has played its part; return the emulated time then."""
        while True:
            try:
                report = await self._office.receive(node, run, "its report", None)
            except PeerGone as gone:
                raise self._gone(run, node) from gone
            match report.kind:
                case "RoundsPlayed":
                    for returned in codec.build(RoundsPlayed, report.body).rounds:
                        take(returned)
                case "PartPlayed":
                    part = codec.build(PartPlayed, report.body)
                    if part.cause:
                        raise RunFailed(node, part.cause, part.message)
                    return part.at

    async def _close(self, run: str, parts: Mapping[str, str], reason: str) -> None:
        """End the run everywhere and wait until nothing of it is left at any node that is still there."""
        try:
            await self._end_everywhere(run, parts, reason)
        finally:
            del self._conducted[run]
            self._called_off.discard(run)
            self._replaced.pop(run, None)

    async def _end_everywhere(self, run: str, parts: Mapping[str, str], reason: str) -> None:
        if self._abandoned:
            return
        if run in self._called_off:
            self._office.listen_again(run)  # the nodes are there, and say when they have ended it
            for node in self._replaced.get(run, ()):
                self._office.hang_up(node, run)
        there = [node for node in parts if self._states.get(node) != "left"]
        async with self._time_held(if_virtual=bool(reason)), asyncio.TaskGroup() as group:
            for node in there:
                group.create_task(self._close_at(run, node, reason))
        await self._oracle.discard_run(run)
        self._office.end_run(run)

    @asynccontextmanager
    async def _time_held(self, *, if_virtual: bool) -> AsyncIterator[None]:
        """Let virtual time stand still inside the block.

        Who is called off does nothing more: else what the others still do would depend on who hears of it first.
        """
        if not if_virtual or self._oracle.mode != "virtual":
            yield
            return
        async with self._begins:
            try:
                await self._oracle.hold()
                yield
            finally:
                await self._oracle.release()

    async def _close_at(self, run: str, node: str, reason: str) -> None:
        """Tell a node that the run is over; wait until it holds nothing of it. The server cleans up behind one that is
        not there any more."""
        over = codec.fields_of(RunOver(reason))
        with suppress(PeerGone):
            await self._office.send(node, run, PROTOCOL, "RunOver", over, 0.0, 0.0)
        with suppress(PeerGone, DeadlinePassed):
            closed = "that it closed the run"
            while (await self._office.receive(node, run, closed, _CLEANUP_DEADLINE)).kind != "RunClosed":
                pass  # reports that nobody will judge

    def _note_status(self, node: str, state: str) -> None:
        self._states[node] = state
        self._state_changed.set()
        process = self._office.processes.get(node, "")
        if state == "ready" and self._processes.setdefault(node, process) != process:
            self._processes[node] = process
            self._mourn_former(node)
        if self._hosting is not None:
            self._hosting.note(node, state)
        if state == "ready":
            if self._broker_lost_mail:
                self._came.put_nowait(node)
            self._on_ready(node)

    def _mourn_former(self, node: str) -> None:
        """Call off the runs of a node in whose place another process has come, which knows of none."""
        for run, parts in self._conducted.items():
            if node in parts:
                self._replaced.setdefault(run, set()).add(node)
                self._office.hang_up(node, run)
        if self._hosting is not None:
            self._hosting.mourn_former(node)

    def _note_mail_lost(self) -> None:
        """Call off all runs: the broker has come back without what nodes had reported, or had been told, of them."""
        self._broker_lost_mail = True
        self._met.clear()
        for run, parts in self._conducted.items():
            self._called_off.add(run)
            for node in parts:
                self._office.hang_up(node, run)


@contextmanager
def _blaming(program: str) -> Iterator[None]:
    """Tell of an error in a program's referee or summary as what it is."""
    try:
        yield
    except (NodeError, SharedStateError):
        raise
    except Exception as error:
        raise ProgramInvalid(f"the program's referee failed: {story(error, program)}") from error
