"""A running lab: its processes, its control party, and what can be asked of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from broker.errors import BrokerError
from broker.mqtt import MqttBus
from deploy.children import BrokerPart, NodePart, StatePart
from deploy.controller_access import write_access
from deploy.credentials import MONITOR, Credentials, external_address, is_external
from deploy.errors import (
    DeadlineExceeded,
    DeployError,
    LabFailed,
    NotConnected,
    NoWay,
    ProcessDied,
    RecordIncomplete,
    ResourceLimit,
    RunUnsuccessful,
)
from deploy.external_nodes import CONNECTED, ExternalNodes
from deploy.floors import mqtt_rate
from deploy.interventions import Interventions
from deploy.jobs import Job, request_for
from deploy.key_links import KeyLinks, KeyLinkStatus
from deploy.key_pools import KeyLevels, KeyPool, pools
from deploy.plan import NodePlan, Plan
from deploy.recording import check_complete
from deploy.supervisor import Supervisor
from nodes.errors import RunFailed
from nodes.runtime.attendants import attendants
from nodes.runtime.causes import root_cause
from nodes.runtime.conductor import Conductor, RunResult
from nodes.runtime.controller import RoutingController
from nodes.runtime.lag import LagFigures
from nodes.runtime.orders import CONTROL, CONTROLLER
from nodes.runtime.survey import topology, tunes
from shared_state.errors import SharedStateError
from shared_state.line import RESTART_WITHIN
from shared_state.oracle import Census, OracleClient

ResultT = TypeVar("ResultT")

_READY_DEADLINE, _READY_PER_NODE = 20.0, 0.5
_REST_DEADLINE = 20.0
MAX_DEATHS, DEATHS_WITHIN = 5, 60.0
"""A process that dies more often within so many seconds is not started again."""
BROKER, STATE = "broker", "state"
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


class Laboratory:
    """The lab that ``plan`` describes. Use as an async context manager: entered, all nodes are ready.

    ``directory`` holds its logs and the broker's files. To ``record``, which has its head already, every event is
    added. Entering raises ``ProcessDied`` with the log of the process
    that could not start. Leaving ends every process. A node that dies later ends the runs it takes part in; the lab
    lives on; where keys are made as long as it is up, the node is started again. The end of the broker or of the
    shared-state server ends the lab; a shared-state server with a journal is started again. ``warn`` hears, in real
    time, that a node lags behind the clock by more than a message takes, and why a link makes no keys.
    """

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        warn: Callable[[str], None] = lambda warning: None,
        record: Path | None = None,
    ) -> None:
        self.plan = plan
        self.directory = directory
        self._record = record
        self.supervisor = Supervisor(directory / "logs")
        self._credentials = Credentials(plan)
        self._resources = AsyncExitStack()
        self._deaths: defaultdict[str, list[float]] = defaultdict(list)
        self._warn = warn
        self._lags: dict[str, LagFigures] = {}
        self._levels = KeyLevels()
        self._external = ExternalNodes(plan, self._credentials, directory)
        self._trouble: asyncio.Future[BaseException]

    async def __aenter__(self) -> Self:
        self._trouble = asyncio.get_running_loop().create_future()
        try:
            await self._bring_up()
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._resources.aclose()

    async def run(self, job: Job, progress: Callable[[int], None] = lambda judged: None) -> RunResult:
        """Do a job; ``progress`` hears how many rounds have been judged.

        Raise ``ProcessDied`` when a process ends under it, ``DeadlineExceeded`` or ``RunUnsuccessful`` when it fails.
        """
        request = request_for(job, self.plan)
        try:
            async with self._interventions.tapped(job.tap):
                return await self._unless_trouble(self._conductor.run(request, progress))
        except RunFailed as failure:
            for child in self.supervisor.dead():
                if failure.cause == "PeerGone" and f"'{child.name}'" in str(failure):
                    raise child.died() from failure
            raise _UNSUCCESSFUL.get(failure.cause, RunUnsuccessful)(str(failure)) from failure

    async def mqtt_rate(self, rounds: int) -> float:
        """Measure the lab's broker: see ``deploy.floors.mqtt_rate``."""
        access = self._credentials.broker_access(MONITOR, *self._broker)
        async with MqttBus(MONITOR, self.plan.lab, access.host, access.port, MONITOR, access.secret) as bus:
            return await mqtt_rate(bus, self.plan.lab, rounds)

    async def set_link(self, name: str, up: bool) -> None:
        """Cut a link, or mend it: see ``OracleClient.set_link``. Raise ``NotFound`` for one that the lab lacks."""
        await self._unless_trouble(self._interventions.set_link(name, up))
        self._key_links.try_again(name)

    async def census(self) -> Census:
        """Count what the quantum world holds."""
        return await self._unless_trouble(self._conductor.census())

    async def close_record(self) -> None:
        """End the record when nothing more happens by itself. Raise ``RecordIncomplete``."""
        assert self._record is not None
        try:
            async with asyncio.timeout(_REST_DEADLINE):
                count, failure = await self._unless_trouble(self._oracle.close_record())
        except TimeoutError:
            raise RecordIncomplete(f"the lab did not come to rest within {_REST_DEADLINE:g} s") from None
        check_complete(self._record, count, failure)

    async def failed(self) -> BaseException:
        """Wait until the lab can no longer work; return why."""
        return await asyncio.shield(self._trouble)

    def status(self) -> list[ProcessStatus]:
        """Return the state of every process: what a node last announced, or how the process ended."""
        announced = self._conductor.states()
        outside = [
            ProcessStatus(name, 0, state, 0, lag=self._lags.get(name) if state == CONNECTED else None)
            for name, state in self._external.states(announced).items()
        ]
        return outside + [
            ProcessStatus(
                name=child.name,
                pid=child.pid,
                state=child.how() if child.ended.is_set() else announced.get(child.name, "running"),
                port=child.port,
                restarts=child.restarts,
                lag=None if child.ended.is_set() else self._lags.get(child.name),
            )
            for child in self.supervisor.children.values()
        ]

    async def _bring_up(self) -> None:
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        (self.directory / "keys").mkdir(mode=0o700, exist_ok=True)
        self._credentials.issue_certificates(self.directory)
        await self._resources.enter_async_context(self.supervisor)
        attend = await self._resources.enter_async_context(attendants())
        journal = self.directory / "journal" if self.plan.journal else None
        self._state = self._credentials.server_config(journal, self._record)
        state = self.supervisor.start(STATE, StatePart(self._state))
        self._broker = broker = await self._start_broker()
        await self.supervisor.started(state)
        # whoever knows the server finds it at the same port again
        self._state = replace(self._state, port=state.port)
        await self._take_control(broker, state.port)
        self._key_links = KeyLinks(
            self._conductor, self.plan.key_links, self._warn, partial(self._levels.filled, self.plan)
        )
        attend(self._note_trouble(self._conductor.serve))
        if (routing := await self._take_routing(broker)) is not None:
            attend(self._note_trouble(routing))
        for node in self.plan.nodes.values():
            if node.external:
                self._external.invite(node.name, self._broker, self._state.port)
            else:
                self._start_node(node)
        await self._unless_trouble(self._nodes_ready())
        attend(self._note_trouble(self._guard))
        # their runs are called off first, while nodes and broker are there to hear it
        keep = await self._resources.enter_async_context(attendants())
        keep(self._note_trouble(self._key_links.serve))

    def _start_node(self, node: NodePlan) -> None:
        former = self.supervisor.children.get(node.name)
        config = self._credentials.node_config(
            node,
            self._broker,
            self._state.port,
            self.directory / "keys",
            0 if former is None else former.restarts + 1,
        )
        self.supervisor.start(node.name, NodePart(config))

    async def _start_broker(self) -> tuple[str, int]:
        choice = self.plan.broker
        if is_external(choice):
            return external_address(choice)
        directory = self.directory / "broker"
        directory.mkdir(mode=0o700, exist_ok=True)
        part = BrokerPart(self._credentials.broker_config(directory), choice)
        child = self.supervisor.start(BROKER, part)
        await self.supervisor.started(child)
        return part.config.host, child.port

    async def _take_control(self, broker: tuple[str, int], state_port: int) -> None:
        state = self._credentials.oracle_access(state_port)
        oracle = await OracleClient.connect(
            state.host, state.port, lab=self.plan.lab, name=CONTROL, token=state.secret
        )
        self._oracle = await self._resources.enter_async_context(oracle)
        self._interventions = Interventions(self.plan.world, self._oracle)
        access = self._credentials.broker_access(CONTROL, *broker)
        bus = MqttBus(
            CONTROL, self.plan.lab, access.host, access.port, CONTROL, access.secret, announcements=True
        )
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
        )

    async def _take_routing(self, broker: tuple[str, int]) -> Callable[[], Coroutine[Any, Any, None]] | None:
        """Begin to answer for routing, or tell a program of somebody else's how to: in a file of the user's alone."""
        access = self._credentials.broker_access(CONTROLLER, *broker)
        if self.plan.controller == "external":
            write_access(self.directory, self.plan.lab, access)
            return None
        bus = MqttBus(CONTROLLER, self.plan.lab, access.host, access.port, CONTROLLER, access.secret)
        await self._resources.enter_async_context(bus)
        world = self.plan.world
        network = topology(world, self.plan.delays)
        return RoutingController(bus, self.plan.lab, network, tunes(world), self.plan.weights).serve

    async def _nodes_ready(self) -> None:
        """Wait for all nodes; the first process that ends instead is the error."""
        started = [node.name for node in self.plan.nodes.values() if not node.external]
        ready, died = self._conductor.ready(started), self.supervisor.watch()
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

    async def _guard(self) -> None:
        """Wait for the end of a process that the lab cannot do without; raise ``ProcessDied``. A node is mourned."""
        while True:
            try:
                await self.supervisor.watch()
            except ProcessDied as death:
                if death.name == STATE and self.plan.journal:
                    await self._revive(death)
                elif death.name in (BROKER, STATE):
                    raise
                else:
                    self._bury(death)

    def _bury(self, death: ProcessDied) -> None:
        """Call off the runs of a node that has died; where keys are made as long as the lab is up, start it again."""
        self._conductor.mourn(death.name)
        if not self.plan.key_links:
            return
        if self._may_return(death.name):
            self._levels.begin_again(death.name)
            self._start_node(self.plan.nodes[death.name])
        else:
            self._warn(f"{death}; it has died too often to be started again")

    async def _revive(self, death: ProcessDied) -> None:
        """Start the shared-state server again; its clients come back by themselves. Raise when it dies too often."""
        if not self._may_return(STATE):
            raise death
        server = self.supervisor.start(STATE, StatePart(self._state))
        try:
            # a journal is read in a few seconds, and after these its clients call no more
            await self.supervisor.started(server, within=RESTART_WITHIN)
        except ProcessDied:
            # a death while it starts is the supervisor's next news, and counts like any other
            if not server.ended.is_set():
                raise

    def _may_return(self, name: str) -> bool:
        """Note a death; tell whether the process has not died too often of late."""
        now = asyncio.get_running_loop().time()
        lately = [time for time in self._deaths[name] if now - time < DEATHS_WITHIN]
        self._deaths[name] = [*lately, now]
        return len(lately) < MAX_DEATHS

    async def keys(self) -> list[KeyPool]:
        """Tell what every node has in store with every other one, as far as it has told."""
        return pools(
            self.plan, self._levels.told, self._key_links.status(), self._credentials.kme_addresses()
        )

    def key_links(self) -> list[KeyLinkStatus]:
        """Tell what has become of each link that makes keys."""
        return self._key_links.status()

    async def key_links_changed(self) -> None:
        """Wait until a link has made a block, or failed, or begun again."""
        await self._unless_trouble(self._key_links.change())

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

    async def _note_trouble(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except (BaseExceptionGroup, BrokerError, SharedStateError, DeployError) as error:
            self._conductor.abandon()
            if not self._trouble.done():
                self._trouble.set_result(root_cause(error))

    async def _unless_trouble(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do the work; when the lab fails first, cancel it and raise why."""
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(work)
                either: list[asyncio.Future[Any]] = [task, self._trouble]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    task.cancel()
        except BaseExceptionGroup as group_error:
            error = root_cause(group_error)
            raise (self._trouble.result() if self._trouble.done() else error) from error
        if task.cancelled():
            raise self._trouble.result()
        return task.result()
