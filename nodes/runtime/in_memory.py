"""A whole lab inside one event loop: real roles, real quantum world, no process, no socket, no broker program.

For tests of protocols, and for whoever wants to step through one in a debugger.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from broker.bus import Bus
from broker.memory import MemoryBroker
from broker.telemetry import ListSink, Sink
from nodes.agreement import LinkAgreement
from nodes.errors import ProgramInvalid
from nodes.identity import SEED_BYTES, Identity
from nodes.keys.store import KeyStore
from nodes.runtime.agreements import agreement_of
from nodes.runtime.attendants import attendants
from nodes.runtime.channel import Hop, open_channel
from nodes.runtime.conductor import Conductor
from nodes.runtime.connected import ConnectedNode, acting
from nodes.runtime.controller import RoutingController
from nodes.runtime.ensemble import follow
from nodes.runtime.keys_config import KeysConfig
from nodes.runtime.lag import LagFigures
from nodes.runtime.node import Node
from nodes.runtime.orders import CONTROL, CONTROLLER
from nodes.runtime.stage import Surroundings
from nodes.runtime.survey import topology, tunes
from shared_state.client import NodeClient
from shared_state.config import LinkDevices, ServerConfig, WorldConfig
from shared_state.oracle import OracleClient
from shared_state.record_file import RecordFile
from shared_state.service import Service
from shared_state.world.fibre import delay

Wrap = Callable[[Bus], Bus]
OwnProgram = Callable[[ConnectedNode], Coroutine[Any, Any, None]]
"""What a node of one's own does by itself, between its coming and its leaving."""


@asynccontextmanager
async def in_memory_lab(
    world: WorldConfig,
    wrap: Wrap = lambda bus: bus,
    classical: Mapping[str, Hop] | None = None,
    on_lag: Callable[[str, LagFigures], None] = lambda node, figures: None,
    record: Path | None = None,
    agreements: Mapping[str, LinkAgreement] | None = None,
    stores: Mapping[str, KeyStore] | None = None,
    programs: Mapping[str, OwnProgram] | None = None,
    log: Sink | None = None,
) -> AsyncIterator[Conductor]:
    """Run the nodes of ``world`` inside the block and give their conductor.

    ``wrap`` may put something between each node and its bus, a ``broker.faulty.FaultyBus`` say. Classical messages
    take the delay of the fibres on the way, but on the links, by name, for which ``classical`` has another channel.
    ``on_lag`` hears how late things are, in real time.
    ``record``: the file to which the lab's events are added, after its first line. ``agreements``: how keys are made
    on links, by name; where nothing is said the transmitter decides, as in a lab file. ``stores``: where nodes keep
    their keys, by node; others have a store of their own. ``programs``: what the nodes of one's own do, by node; they
    come when the others are ready. ``log``: where the nodes' logs go.
    """
    own = programs or {}
    lab = "in-memory"
    tokens = {name: f"token of {name}" for name in world.nodes}
    service = Service(
        ServerConfig(lab, world, tokens, "token of the oracle"),
        asyncio.get_running_loop().time,
        record=None if record is None else RecordFile(record),
    )
    broker = MemoryBroker()
    async with AsyncExitStack() as resources:
        stop = await resources.enter_async_context(attendants())
        oracle = await resources.enter_async_context(await OracleClient.local(service, name=CONTROL))
        control = await resources.enter_async_context(broker.bus(CONTROL, lab, announcements=True))
        conductor = Conductor(
            control,
            lab,
            oracle,
            lambda first, last: pair_route(world, first, last),
            list(world.nodes),
            on_lag,
            visitors=tuple(own),
        )
        stop(conductor.serve())
        router = await resources.enter_async_context(broker.bus(CONTROLLER, lab))
        stop(RoutingController(router, lab, topology(world), tunes(world)).serve())
        identities = _identities(world)
        calm = follow(asyncio.get_running_loop())

        @asynccontextmanager
        async def opened(name: str) -> AsyncIterator[Node]:
            surroundings = _surroundings(world, name, classical or {}, agreements or {}, identities)
            if stores and name in stores:
                surroundings = replace(surroundings, keys=stores[name])
            async with (
                await NodeClient.local(service, name=name) as client,
                wrap(broker.bus(name, lab, announcements=True)) as bus,
            ):
                yield Node(surroundings, lab, client, bus, world.seed, log or ListSink(), calm)

        async def act(name: str, program: OwnProgram) -> None:
            async with opened(name) as node, acting(node, name, lab, tuple(own)) as me:
                await program(me)

        for name in world.nodes:
            if name not in own:
                stop((await resources.enter_async_context(opened(name))).serve())
        await conductor.ready([name for name in world.nodes if name not in own])
        for name, program in own.items():
            stop(act(name, program))
        yield conductor
        if record is not None:
            await oracle.close_record()


def pair_route(world: WorldConfig, first: str, last: str) -> list[str]:
    """Return the chain of nodes with the fewest links that bring pairs into memories between two nodes.

    Raise ``ProgramInvalid`` when there is none.
    """
    usable = [link for link in world.links.values() if link.stores_pairs]
    chains = _chains(usable, first)
    if last not in chains:
        raise ProgramInvalid(f"no chain of links with sources of pairs connects '{first}' and '{last}'")
    return chains[last]


def _surroundings(
    world: WorldConfig,
    name: str,
    classical: Mapping[str, Hop],
    agreements: Mapping[str, LinkAgreement],
    identities: Mapping[str, Identity],
) -> Surroundings:
    own = [(title, link) for title, link in world.links.items() if name in link.endpoints]
    for_photons = sorted(own, key=lambda each: each[1].source is not None)
    links = {_other_end(link, name): title for title, link in reversed(for_photons)}
    channels = {
        there: open_channel(
            [_hop(world, classical, a, b) for a, b in pairwise(chain)], world.seed, name, there
        )
        for there, chain in _chains(list(world.links.values()), name).items()
    }
    secrets = {peer: "/".join(sorted((name, peer))).encode() for peer in links}
    sources = {_other_end(link, name): title for title, link in reversed(own) if link.source is not None}
    pair_links = {title: _other_end(link, name) for title, link in own if link.stores_pairs}
    shortest, memories = _shortest(world, classical), world.nodes[name].memories
    return Surroundings(
        name=name,
        links=links,
        sources=sources,
        channels=channels,
        secrets=secrets,
        shortest_delay=shortest,
        pair_links=pair_links,
        memories=memories.count,
        cutoff=memories.cutoff,
        keys=KeyStore(None, os.urandom(32)),
        key_service=KeysConfig(
            "", "", "", links={each: tuple(_neighbours(world, each)) for each in world.nodes}
        ),
        identity=identities[name],
        reproducible=world.seed is not None,
        agreements={
            peer: agreements.get(title) or agreement_of(world.links[title].pulses)
            for peer, title in links.items()
        },
    )


def _neighbours(world: WorldConfig, name: str) -> list[str]:
    return [_other_end(link, name) for link in world.links.values() if name in link.endpoints]


def _identities(world: WorldConfig) -> dict[str, Identity]:
    """Let every node know every other one."""
    seeds = {name: os.urandom(SEED_BYTES) for name in world.nodes}
    public = {name: Identity.public_key_of(seed) for name, seed in seeds.items()}
    return {
        name: Identity(name, seed, {other: key for other, key in public.items() if other != name})
        for name, seed in seeds.items()
    }


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


def _shortest(world: WorldConfig, classical: Mapping[str, Hop]) -> float:
    delays = [_hop(world, classical, *link.endpoints).delay for link in world.links.values()]
    return min((delay for delay in delays if delay), default=inf)


def _hop(world: WorldConfig, classical: Mapping[str, Hop], first: str, second: str) -> Hop:
    return min(
        classical.get(name) or Hop(delay(link.fibre))
        for name, link in world.links.items()
        if set(link.endpoints) == {first, second}
    )
