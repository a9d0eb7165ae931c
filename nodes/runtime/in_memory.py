"""A whole lab inside one event loop: real roles, real quantum world, no process, no socket, no broker program.

For tests of protocols, and for whoever wants to step through one in a debugger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

from broker.bus import Bus
from broker.memory import MemoryBroker
from broker.telemetry import ListSink
from nodes.errors import ProgramInvalid
from nodes.runtime.attendants import attendants
from nodes.runtime.conductor import Conductor
from nodes.runtime.ensemble import follow
from nodes.runtime.node import Node
from nodes.runtime.orders import CONTROL
from nodes.runtime.stage import Surroundings
from shared_state.client import NodeClient
from shared_state.config import LinkDevices, ServerConfig, WorldConfig
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.world.fibre import delay

Wrap = Callable[[Bus], Bus]


@asynccontextmanager
async def in_memory_lab(world: WorldConfig, wrap: Wrap = lambda bus: bus) -> AsyncIterator[Conductor]:
    """Run the nodes of ``world`` inside the block and give their conductor.

    ``wrap`` may put something between each node and its bus, a ``broker.faulty.FaultyBus`` say. Classical messages
    take the delay of the fibres on the way.
    """
    lab = "in-memory"
    tokens = {name: f"token of {name}" for name in world.nodes}
    service = Service(
        ServerConfig(lab, world, tokens, "token of the oracle"), asyncio.get_running_loop().time
    )
    broker = MemoryBroker()
    async with AsyncExitStack() as resources:
        stop = await resources.enter_async_context(attendants())
        oracle = await resources.enter_async_context(await OracleClient.local(service, name=CONTROL))
        control = await resources.enter_async_context(broker.bus(CONTROL, lab, announcements=True))
        conductor = Conductor(control, lab, oracle, lambda first, last: pair_route(world, first, last))
        stop(conductor.serve())
        calm = follow(asyncio.get_running_loop())
        for name in world.nodes:
            client = await resources.enter_async_context(await NodeClient.local(service, name=name))
            bus = await resources.enter_async_context(wrap(broker.bus(name, lab, announcements=True)))
            node = Node(_surroundings(world, name), lab, client, bus, world.seed, ListSink(), calm)
            stop(node.serve())
        await conductor.ready(list(world.nodes))
        yield conductor


def pair_route(world: WorldConfig, first: str, last: str) -> list[str]:
    """Return the chain of nodes with the fewest links that bring pairs into memories between two nodes.

    Raise ``ProgramInvalid`` when there is none.
    """
    usable = [link for link in world.links.values() if link.stores_pairs]
    chains = _chains(usable, first)
    if last not in chains:
        raise ProgramInvalid(f"no chain of links with sources of pairs connects '{first}' and '{last}'")
    return chains[last]


def _surroundings(world: WorldConfig, name: str) -> Surroundings:
    own = [(title, link) for title, link in world.links.items() if name in link.endpoints]
    for_photons = sorted(own, key=lambda each: each[1].source is not None)
    links = {_other_end(link, name): title for title, link in reversed(for_photons)}
    delays = {
        there: sum(_delay(world, a, b) for a, b in pairwise(chain))
        for there, chain in _chains(list(world.links.values()), name).items()
    }
    secrets = {peer: "/".join(sorted((name, peer))).encode() for peer in links}
    sources = {_other_end(link, name): title for title, link in reversed(own) if link.source is not None}
    return Surroundings(name, links, sources, delays, secrets)


def _chains(links: list[LinkDevices], start: str) -> dict[str, list[str]]:
    """Find the chain with the fewest links from ``start`` to every node, breadth first."""
    chains = {start: [start]}
    frontier = deque([start])
    while frontier:
        here = frontier.popleft()
        for link in links:
            if here in link.endpoints and (there := _other_end(link, here)) not in chains:
                chains[there] = [*chains[here], there]
                frontier.append(there)
    return chains


def _other_end(link: LinkDevices, name: str) -> str:
    return link.endpoints[link.endpoints[0] == name]


def _delay(world: WorldConfig, first: str, second: str) -> float:
    return min(delay(link.fibre) for link in world.links.values() if set(link.endpoints) == {first, second})
