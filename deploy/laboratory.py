"""A running lab: its processes, its control party, and what can be asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from broker.mqtt import MqttBus
from deploy.carried_files import carried
from deploy.child import Child
from deploy.controller_access import write_access
from deploy.credentials import MONITOR
from deploy.deaths import Deaths
from deploy.errors import (
    DeadlineExceeded,
    LabFailed,
    NotConnected,
    NotFound,
    NoWay,
    RecordIncomplete,
    ResourceLimit,
    RunUnsuccessful,
    UsageError,
)
from deploy.event_stream import keeps_none
from deploy.external_nodes import CONNECTED, ExternalNodes
from deploy.faults import Faults
from deploy.floors import mqtt_rate
from deploy.interventions import Interventions
from deploy.jobs import Job, request_for
from deploy.join_door import LOG as JOIN_LOG
from deploy.join_door import JoinDoor, JoinOffer
from deploy.key_links import KeyLinks, KeyLinkStatus
from deploy.key_pools import KeyLevels, KeyPool, pools
from deploy.lab import Link
from deploy.launching import launcher_for
from deploy.moments import Halt
from deploy.node_processes import NodeProcesses
from deploy.plan import Plan
from deploy.premises import OwnPremises, Premises
from deploy.recording import check_complete
from deploy.trouble import Trouble
from nodes.errors import RunFailed
from nodes.runtime.attendants import attendants
from nodes.runtime.causes import root_cause
from nodes.runtime.conductor import Conductor
from nodes.runtime.controller import RoutingController
from nodes.runtime.lag import LagFigures
from nodes.runtime.orders import CONTROL, CONTROLLER
from nodes.runtime.run_request import RunRequest, RunResult
from nodes.runtime.survey import topology, tunes
from shared_state.oracle import Census, OracleClient, Passage, Told

_READY_DEADLINE, _READY_PER_NODE = 20.0, 1.0
_REST_DEADLINE = 20.0
_UNSUCCESSFUL: dict[str, type[RunUnsuccessful]] = {
    "DeadlinePassed": DeadlineExceeded,
    "Deadlock": DeadlineExceeded,
    "NoFreeMemory": ResourceLimit,
    "ClusterTooLarge": ResourceLimit,
    "LimitExceeded": ResourceLimit,
    "RequestFailed/timeout": DeadlineExceeded,
    "RequestFailed/out-of-memory": ResourceLimit,
    "RequestFailed/no-route": NoWay,
    "NotConnected": NotConnected,
}
"""What a run's failure is to the user, by the name of its cause."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """The state of one process of a lab. ``port`` is where it listens, 0 where it does not; ``pid`` is 0 for a process
    that somebody else has started.

    ``lag``: how far a node lags behind the clock in real time, as far as it has measured anything.
    """

    name: str
    pid: int
    state: str
    port: int
    restarts: int = 0
    lag: LagFigures | None = None


class Laboratory(Faults):
    """The lab that ``plan`` describes. Use as an async context manager: entered, all nodes are ready.

    ``directory`` holds its logs and the broker's files. To ``record``, which has its head already, every event is
    added. Entering raises ``ProcessDied`` with the log of the process
    that could not start. Leaving ends every process. A node that dies later ends the runs it takes part in; the lab
    lives on; where keys are made as long as it is up, the node is started again. The end of the broker or of the
    shared-state server ends the lab; a shared-state server with a journal is started again. ``warn`` hears, in real
    time, that a node lags behind the clock by more than a message takes, and why a link makes no keys. ``premises`` are
    where its servers and nodes are, by default started for it here.
    """

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        warn: Callable[[str], None] = lambda warning: None,
        record: Path | None = None,
        premises: Premises | None = None,
    ) -> None:
        self.plan = plan
        self.directory = directory
        self._record = record
        self.premises = premises or OwnPremises(plan, directory, launcher_for(plan, directory), record)
        self._resources = AsyncExitStack()
        self._warn = warn
        self._lags: dict[str, LagFigures] = {}
        self._levels = KeyLevels()
        self._routing: RoutingController | None = None
        self._external = ExternalNodes(plan.external, self.premises.invitation, directory)
        self._door: JoinDoor | None = None

    async def __aenter__(self) -> Self:
        self._trouble = Trouble(lambda: self._conductor.abandon())
        try:
            await self._bring_up()
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._resources.aclose()

    async def run(
        self,
        job: Job,
        progress: Callable[[int], None] = lambda judged: None,
        begun: Callable[[], None] = lambda: None,
    ) -> RunResult:
        """Do a job; ``progress`` hears how many rounds have been judged, ``begun`` as ``Conductor.run`` says.

        Raise ``ProcessDied`` when a process ends under it, ``DeadlineExceeded`` or ``RunUnsuccessful`` when it fails.
        """
        request = request_for(job, self.plan)
        try:
            async with self._interventions.eavesdroppers.tapped(job.tap):
                with self._reached(request) as reached:
                    return await self._trouble.unless(self._conductor.run(reached, progress, begun))
        except RunFailed as failure:
            for child in self.premises.dead():
                if failure.cause == "PeerGone" and f"'{child.name}'" in str(failure):
                    raise child.died() from failure
            raise _UNSUCCESSFUL.get(failure.cause, RunUnsuccessful)(str(failure)) from failure

    async def mqtt_rate(self, rounds: int) -> float:
        """Measure the lab's broker: see ``deploy.floors.mqtt_rate``."""
        async with self._bus(MONITOR) as bus:
            return await mqtt_rate(bus, self.plan.lab, rounds)

    async def carry_out(self, what: str, arguments: Mapping[str, Any]) -> Any:
        """Break or mend what is asked for, by the name of a method of ``Faults``."""
        return await self._trouble.unless(self._interventions.carry_out(what, arguments))

    @property
    def oracle(self) -> OracleClient:
        """Return the view from outside that no node has, for tests and experiments."""
        return self._oracle

    def book(self, when: float) -> Halt | None:
        """Let virtual time wait at ``when`` for an intervention that will be carried out then."""
        return self._interventions.book(when)

    async def give_back(self, when: float, halt: Halt | None) -> None:
        """Let virtual time pass what was booked, if no intervention has used it."""
        await self._interventions.give_back(when, halt)

    async def census(self) -> Census:
        """Count what the quantum world holds."""
        return await self._trouble.unless(self._conductor.census())

    async def told(self) -> Told:
        """Return how many events there have been. Raise ``NotFound`` where none are kept for who asks."""
        if not self.plan.record:
            raise keeps_none(self.plan.lab)
        if self._record is not None:
            raise NotFound(f"the events of lab '{self.plan.lab}' are in a file on its host: {self._record}")
        return await self._trouble.unless(self._oracle.told())

    async def events(self, after: int) -> Passage:
        """Wait for events from number ``after`` on; return the next ones that are kept: see ``OracleClient.events``."""
        return await self._trouble.unless(self._oracle.events(after))

    async def close_record(self) -> None:
        """End the record when nothing more happens by itself. Raise ``RecordIncomplete``."""
        assert self._record is not None
        try:
            async with asyncio.timeout(_REST_DEADLINE):
                count, failure = await self._trouble.unless(self._oracle.close_record())
        except TimeoutError:
            raise RecordIncomplete(f"the lab did not come to rest within {_REST_DEADLINE:g} s") from None
        check_complete(self._record, count, failure)

    async def failed(self) -> BaseException:
        """Wait until the lab can no longer work; return why."""
        return await self._trouble.come()

    def status(self) -> list[ProcessStatus]:
        """Return the state of every process: what a node last announced, or how the process ended."""
        announced = self._conductor.states()
        outside = [
            ProcessStatus(name, 0, state, 0, lag=self._lags.get(name) if state == CONNECTED else None)
            for name, state in self._external.states(announced).items()
        ]
        outside += [  # of a lab on other hosts
            ProcessStatus(name, 0, announced.get(name, "not there yet"), 0, lag=self._lags.get(name))
            for name in self.plan.nodes
            if name not in self.premises.children and name not in self.plan.external
        ]
        return outside + [
            ProcessStatus(
                name=child.name,
                pid=child.pid,
                state=self._state_of(child, announced.get(child.name, "running")),
                port=child.port,
                restarts=child.restarts,
                lag=None if child.ended.is_set() else self._lags.get(child.name),
            )
            for child in self.premises.children.values()
        ]

    def _state_of(self, child: Child, announced: str) -> str:
        if child.ended.is_set():
            return child.how()
        return "paused" if child.name in self._processes.paused else announced

    def offer(self, node: str) -> JoinOffer:
        """Say how somebody on another host becomes ``node``, once. Raise ``NotFound``, ``UsageError``."""
        self._external.document(node)
        if self._door is None:
            raise UsageError(
                f"no other host reaches lab '{self.plan.lab}'; bring it up with 'bellwire up LAB --host ADDRESS', an "
                "address of this host"
            )
        return self._door.offer(node)

    async def _open_door(self) -> None:
        """Let nodes of other hosts join, where they can."""
        if (identity := self.premises.door()) is not None and self.plan.external:
            log = self.directory / "logs" / f"{JOIN_LOG}.log"
            port = self.plan.ports.join
            self._door = JoinDoor(identity, self.plan.host, port, self._external.document, log, self._warn)
            await self._resources.enter_async_context(self._door.open())

    async def _bring_up(self) -> None:
        await self._resources.enter_async_context(self.premises)
        attend = await self._resources.enter_async_context(attendants())
        await self._take_control()
        self._key_links = KeyLinks(
            self._conductor, self.plan.key_links, self._warn, partial(self._levels.filled, self.plan)
        )
        attend(self._trouble.noting(self._conductor.serve))
        if (routing := await self._take_routing()) is not None:
            attend(self._trouble.noting(routing))
        for node in self.plan.nodes.values():
            if node.external:
                self._external.invite(node.name)
            else:
                self._start_node(node.name)
                await asyncio.sleep(0)  # each takes a moment, in which nobody else gets on with anything
        await self._open_door()
        await self._trouble.unless(self._nodes_ready())
        await self._trouble.unless(self._take_over())
        attend(self._trouble.noting(self._interventions.serve))
        deaths = Deaths(
            self.plan, self.premises, self._conductor, self._processes, self._start_again, self._warn
        )
        attend(self._trouble.noting(deaths.watch))
        # their runs are called off first, while nodes and broker are there to hear it
        keep = await self._resources.enter_async_context(attendants())
        keep(self._trouble.noting(self._key_links.serve))

    def _start_node(self, name: str) -> None:
        channels, severed = self._interventions.channels(name)
        self.premises.start_node(name, channels, severed)

    def _start_again(self, name: str) -> None:
        self._levels.begin_again(name)
        self._start_node(name)

    def _reached(self, request: RunRequest) -> AbstractContextManager[RunRequest]:
        """Give a block the request with its files where the nodes see them."""
        homes = self.premises.homes
        return nullcontext(request) if homes is None else carried(request, homes)

    async def _take_control(self) -> None:
        state = self.premises.state_access(CONTROL)
        oracle = await OracleClient.connect(
            state.host, state.port, lab=self.plan.lab, name=CONTROL, token=state.secret, tls=state.tls
        )
        self._oracle = await self._resources.enter_async_context(oracle)
        bus = self._bus(CONTROL, announcements=True)
        await self._resources.enter_async_context(bus)
        self._conductor = Conductor(
            bus,
            self.plan.lab,
            self._oracle,
            self.plan.entanglement_route,
            list(self.plan.nodes),
            self._note_lag,
            self._note_keys,
            self.plan.external,
            self._external.visited,
            lambda node: self._interventions.came(node),
            self.premises.mark,
            self._note_end,
        )
        self._processes = NodeProcesses(self.plan.nodes, self.premises, self._conductor, self._start_again)
        self._resources.push_async_callback(self._processes.release_all)
        self._interventions = Interventions(
            self.plan,
            self._oracle,
            self._conductor,
            self._processes,
            lambda link: self._key_links.try_again(link),
            self._survey,
            self._warn,
        )

    async def _take_over(self) -> None:
        """Let the lab be as its file says, if another control party has conducted it before."""
        if await self._conductor.take_over():
            await self._interventions.succeed()

    async def _take_routing(self) -> Callable[[], Coroutine[Any, Any, None]] | None:
        """Begin to answer for routing, or tell a program of somebody else's how to: in a file of the user's alone."""
        if self.plan.controller == "external":
            write_access(self.directory, self.plan.lab, self.premises.broker_access(CONTROLLER))
            return None
        bus = self._bus(CONTROLLER)
        await self._resources.enter_async_context(bus)
        world = self.plan.world
        network = topology(world, self.plan.delays)
        self._routing = RoutingController(bus, self.plan.lab, network, tunes(world), self.plan.weights)
        return self._routing.serve

    def _note_end(self, run: str) -> None:
        if self._routing is not None:
            self._routing.forget(run)

    def _survey(self, links: Mapping[str, Link]) -> None:
        """Let the lab's own routing know of links that have changed."""
        if self._routing is not None:
            world = replace(self.plan.world, links={name: link.devices for name, link in links.items()})
            delays = {name: link.classical_delay for name, link in links.items()}
            self._routing.learn(topology(world, delays), tunes(world))

    def _bus(self, party: str, *, announcements: bool = False) -> MqttBus:
        access = self.premises.broker_access(party)
        return MqttBus(
            party,
            self.plan.lab,
            access.host,
            access.port,
            party,
            access.secret,
            tls=access.context(),
            announcements=announcements,
        )

    async def _nodes_ready(self) -> None:
        """Wait for all nodes; the first process that ends instead is the error."""
        started = [node.name for node in self.plan.nodes.values() if not node.external]
        ready, died = self._conductor.ready(started), self.premises.watch()
        deadline = _READY_DEADLINE + _READY_PER_NODE * len(started)
        try:
            async with asyncio.timeout(deadline), asyncio.TaskGroup() as group:
                death = group.create_task(died)
                await group.create_task(ready)
                death.cancel()
        except TimeoutError:
            states = self._conductor.states()
            late = [name for name in started if states.get(name) != "ready"]
            raise LabFailed(f"not ready within {deadline:g} s: {', '.join(late)}; see their logs") from None
        except BaseExceptionGroup as group_error:
            raise root_cause(group_error) from None

    async def keys(self) -> list[KeyPool]:
        """Tell what every node has in store with every other one, as far as it has told."""
        return pools(self.plan, self._levels.told, self._key_links.status(), self.premises.kme_addresses())

    def key_links(self) -> list[KeyLinkStatus]:
        """Tell what has become of each link that makes keys."""
        return self._key_links.status()

    async def key_links_changed(self) -> None:
        """Wait until a link has made a block, or failed, or begun again."""
        await self._trouble.unless(self._key_links.change())

    def _note_keys(self, node: str, told: dict[str, Any]) -> None:
        self._levels.note(node, told)
        self._key_links.look()

    def _note_lag(self, node: str, figures: LagFigures) -> None:
        """Keep what a node has told of its lag; warn when it falls behind, and again when it does so anew."""
        former = self._lags.get(node)
        self._lags[node] = figures
        if figures.behind and not (former is not None and former.behind):
            self._warn(
                f"node '{node}' lags {figures.p99 * 1e3:.3g} ms behind the lab's clock, and the shortest link takes "
                f"{self.plan.shortest_delay * 1e3:.3g} ms: what happens depends on this machine. "
                "Lower runtime.clock.scale, or use virtual time."
            )
