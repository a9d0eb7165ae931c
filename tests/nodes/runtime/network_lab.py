"""A lab in memory whose nodes can be killed, whose links can be cut, and whose messages can be hit one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from broker.bus import Bus
from broker.envelope import Envelope
from broker.faulty import Delayed, FaultyBus
from broker.memory import MemoryBroker
from broker.telemetry import ListSink
from nodes.network.memories import MemoryBudget
from nodes.runtime.attendants import attendants
from nodes.runtime.conductor import Conductor
from nodes.runtime.controller import RoutingController
from nodes.runtime.ensemble import follow
from nodes.runtime.in_memory import _identities, _surroundings, pair_route
from nodes.runtime.node import Node
from nodes.runtime.orders import CONTROL, CONTROLLER
from nodes.runtime.programs import Scalar
from nodes.runtime.run_request import RunRequest, RunResult
from nodes.runtime.survey import topology, tunes
from shared_state.client import NodeClient
from shared_state.config import (
    ClockConfig,
    ClockMode,
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    ServerConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.oracle import Census, OracleClient
from shared_state.service import Service

PAIRS = str(Path(__file__).with_name("shared_pairs.py"))
ENDS = {"alice": "alice", "bob": "bob"}
_LEASE = 0.03
"""Wall seconds until the server, too, knows that a node has gone; the lease of a real one is longer."""

Outcome = Iterable[Envelope | Delayed]
Fault = Callable[[Envelope], Outcome]


def unharmed(envelope: Envelope) -> Outcome:
    """Let a message pass."""
    return [envelope]


def dropped(envelope: Envelope) -> Outcome:
    """Lose a message."""
    return []


def doubled(envelope: Envelope) -> Outcome:
    """Bring a message twice."""
    return [envelope, envelope]


def delayed(envelope: Envelope) -> Outcome:
    """Bring a message when those that follow it have come."""
    return [Delayed(envelope, 0.03)]


@dataclass
class Walker:
    """Counts the messages of the network. The one of number ``point`` is hit with ``fault``; and when it is sent,
    ``strike`` happens to the lab.

    ``sent`` has the kinds of all, in the order in which they were sent.
    """

    point: int = -1
    fault: Fault = unharmed
    strike: Callable[[NetworkLab], Coroutine[Any, Any, None]] | None = None
    sent: list[str] = field(default_factory=list)
    lab: NetworkLab = field(init=False)
    _struck: list[asyncio.Task[None]] = field(default_factory=list)

    def __call__(self, envelope: Envelope) -> Outcome:
        """Decide what becomes of a message."""
        if envelope.protocol not in ("network", "routing"):
            return [envelope]
        self.sent.append(envelope.kind)
        if len(self.sent) != self.point + 1:
            return [envelope]
        if self.strike is not None:
            self._struck.append(asyncio.create_task(self.strike(self.lab)))
        return self.fault(envelope)

    async def done(self) -> None:
        """Wait until what was to happen has happened."""
        for task in self._struck:
            await task


@dataclass
class NetworkLab:
    """The lab. ``memories`` are the nodes' budgets, ``oracle`` sees and cuts what it likes."""

    conductor: Conductor
    oracle: OracleClient
    memories: Mapping[str, MemoryBudget]
    _ends: Mapping[str, asyncio.Event]
    _ended: Mapping[str, asyncio.Event]

    async def run(
        self,
        parameters: Mapping[str, Scalar],
        program: str = PAIRS,
        roles: Mapping[str, str] = ENDS,
        *,
        deadline: float = 20.0,
        rounds: int = 1,
    ) -> RunResult:
        """Run a program; ``deadline`` is also for how long the clock waits for a message that is lost."""
        return await self.conductor.run(RunRequest(program, roles, rounds, parameters, deadline))

    async def kill(self, node: str) -> None:
        """Let a node be gone, with its connections."""
        self._ends[node].set()
        await self._ended[node].wait()

    async def census(self) -> Census:
        """Count what the quantum world holds."""
        return await self.oracle.census()

    async def left_behind(self) -> dict[str, object]:
        """Tell what is left of runs that are over; nothing should be. Of nodes that are gone nobody knows a promise."""
        census = await self.oracle.census()
        counts: dict[str, object] = {
            name: getattr(census, name) for name in ("qubits", "handed_over", "reserved", "waiting")
        }
        for name, budget in self.memories.items():
            counts[f"promised at {name}"] = 0 if self._ends[name].is_set() else budget.promised
        return {name: count for name, count in counts.items() if count}


@asynccontextmanager
async def network_lab(
    world: WorldConfig,
    fault: Fault = unharmed,
    controller: Callable[[Bus], Coroutine[Any, Any, None]] | None = None,
) -> AsyncIterator[NetworkLab]:
    """Run the nodes of ``world``; what they and the routing controller send passes through ``fault``.

    ``controller``: what answers for routing in place of the lab's own.
    """
    tokens = {name: f"token of {name}" for name in world.nodes}
    loop = asyncio.get_running_loop()
    service = Service(ServerConfig("lab", world, tokens, "token of the oracle"), loop.time)
    broker = MemoryBroker()
    budgets: dict[str, MemoryBudget] = {}
    ends = {name: asyncio.Event() for name in world.nodes}
    ended = {name: asyncio.Event() for name in world.nodes}
    calm = follow(loop)

    def faulty(name: str, *, announcements: bool = True) -> FaultyBus:
        return FaultyBus(broker.bus(name, "lab", announcements=announcements), fault)

    async def live(name: str) -> None:
        async with await NodeClient.local(service, name=name) as client:
            async with faulty(name) as bus:
                node = Node(
                    _surroundings(world, name, {}, {}, _identities(world)),
                    "lab",
                    client,
                    bus,
                    world.seed,
                    ListSink(),
                    calm,
                )
                budgets[name] = node._memories
                async with asyncio.TaskGroup() as group:
                    serving = group.create_task(node.serve())
                    await ends[name].wait()
                    serving.cancel()
            await asyncio.sleep(_LEASE)
        ended[name].set()

    async with AsyncExitStack() as resources:
        stop = await resources.enter_async_context(attendants())
        oracle = await resources.enter_async_context(await OracleClient.local(service, name=CONTROL))
        control = await resources.enter_async_context(broker.bus(CONTROL, "lab", announcements=True))

        def route(first: str, last: str) -> list[str]:
            return pair_route(world, first, last)

        conductor = Conductor(control, "lab", oracle, route, list(world.nodes))
        stop(conductor.serve())
        router = await resources.enter_async_context(faulty(CONTROLLER, announcements=False))
        stop(
            controller(router)
            if controller is not None
            else RoutingController(router, "lab", topology(world), tunes(world)).serve()
        )
        for name in world.nodes:
            stop(live(name))
        await conductor.ready(list(world.nodes))
        lab = NetworkLab(conductor, oracle, budgets, ends, ended)
        if isinstance(fault, Walker):
            fault.lab = lab
        yield lab
        if isinstance(fault, Walker):
            await fault.done()


def network(
    links: Sequence[tuple[str, str]],
    *,
    memories: int | Mapping[str, int] = 6,
    fidelity: float = 0.95,
    rate: float = 1e4,
    length: float = 1e3,
    memory: MemoryConfig | None = None,
    gates: GateConfig | None = None,
    mode: ClockMode = "virtual",
    seed: int = 1,
) -> WorldConfig:
    """Make a world of Werner links between nodes with ideal memories, unless ``memory`` says otherwise."""
    names = list(dict.fromkeys(end for link in links for end in link))

    def count(name: str) -> int:
        return memories if isinstance(memories, int) else memories[name]

    devices = {
        name: NodeDevices(memory or MemoryConfig(count=count(name)), gates or GateConfig()) for name in names
    }
    return WorldConfig(
        nodes=devices,
        links={
            f"{first}-{second}": LinkDevices(
                (first, second), FibreConfig(length), WernerSource(rate=rate, fidelity=fidelity)
            )
            for first, second in links
        },
        seed=seed,
        clock=ClockConfig(mode),
    )


def row(*names: str) -> list[tuple[str, str]]:
    """Return the links of nodes in a row."""
    return list(pairwise(names))


RING = [*row("alice", "r1", "r2", "bob"), *row("bob", "s2", "s1", "alice")]
"""Two ways of three links."""


def werner(links: int, fidelity: float = 0.95) -> float:
    """Return the fidelity of a pair of so many Werner links: 1/4 + 3/4 w^n."""
    return 0.25 + 0.75 * ((4 * fidelity - 1) / 3) ** links
