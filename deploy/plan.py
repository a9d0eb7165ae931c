"""From a lab to what each of its processes is told: pure, and free of secrets, which the supervisor makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from deploy.errors import NotFound
from deploy.key_links import LinkEnds
from deploy.lab import App, KeyManagement, KeyService, Lab, LauncherName, Link, Ports
from deploy.routes import shortest_paths
from nodes.agreement import LinkAgreement
from nodes.runtime.channel import Hop
from shared_state.config import ClockConfig, ClockMode, WorldConfig


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """One node's end of a link: its name, the node at the other end, the classical delay in seconds, whether it
    has a source of pairs, and one whose pairs are stored; how keys are made on it, and whether this is the first
    endpoint, which sends the photons of a link that makes keys continuously."""

    name: str
    peer: str
    delay: float
    makes_pairs: bool
    stores_pairs: bool
    qkd: LinkAgreement
    first: bool


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What one node's process knows of the lab before any message has arrived.

    ``channels`` maps every other node that can be reached to the classical channels along the shortest path, from
    here to there. A node without a path to this one is not in it: the two cannot talk. ``key_service``: how it delivers
    keys to applications. ``external``: somebody else than the lab runs it.
    """

    name: str
    links: tuple[LinkEnd, ...]
    channels: dict[str, tuple[Hop, ...]]
    key_service: KeyService | None = None
    external: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A lab, taken apart for its processes.

    ``world`` goes to the shared-state server, ``nodes[name]`` to that node's process, ``broker`` (``auto``,
    ``embedded``, ``mosquitto`` or ``mqtt://host[:port]``) to whoever starts the broker; ``apps`` stay with
    the launcher. ``entanglement`` maps two nodes to the way along which their pairs are made and swapped.
    ``journal``: the shared-state server keeps one, and is started again when it dies. ``record``: of a lab that is up,
    every event is written down. ``shortest_delay`` is the
    shortest classical delay of a link, in seconds: the order of events in a real-time lab that lags behind by more is
    not the lab's own. ``controller``: who finds ways for pairs, ``built-in`` or ``external``; to the
    first of them links have ``weights``, by name. ``keys``: how they reach applications. ``links``: what they are, by
    name, for who changes them while the lab is up. ``launcher``: what starts the processes, as containers of ``image``
    if that is docker. ``host``: the name or address at which other hosts find the lab, on its ``ports``; empty for a
    lab on the loopback address.
    """

    lab: str
    broker: str
    world: WorldConfig
    nodes: dict[str, NodePlan]
    apps: dict[str, App]
    entanglement: dict[tuple[str, str], tuple[str, ...]]
    journal: bool = False
    record: bool = True
    shortest_delay: float = inf
    controller: str = "built-in"
    weights: dict[str, float] = field(default_factory=dict)
    keys: KeyManagement = field(default_factory=KeyManagement)
    launcher: LauncherName = "process"
    image: str = ""
    links: dict[str, Link] = field(default_factory=dict)
    host: str = ""
    ports: Ports = field(default_factory=Ports)

    @property
    def external(self) -> tuple[str, ...]:
        """Name the nodes that somebody else than the lab runs."""
        return tuple(node.name for node in self.nodes.values() if node.external)

    @property
    def saes(self) -> dict[str, str]:
        """Return the applications that get keys by ETSI GS QKD 014, each with the node that serves it."""
        return {
            sae: node.name
            for node in self.nodes.values()
            if node.key_service is not None
            for sae in node.key_service.saes
        }

    @property
    def key_links(self) -> list[LinkEnds]:
        """Return the links on which keys are made as long as the lab is up: none where time is virtual."""
        return [] if self.world.clock.mode == "virtual" else self.continuous_links

    @property
    def continuous_links(self) -> list[LinkEnds]:
        """Return the links that are to make keys continuously, whether time lets them or not."""
        return [
            LinkEnds(end.name, node.name, end.peer)
            for node in self.nodes.values()
            for end in node.links
            if end.first and end.qkd.continuous
        ]

    @property
    def delays(self) -> dict[str, float]:
        """Return the classical delay of each link in seconds, by the link's name."""
        return {end.name: end.delay for node in self.nodes.values() for end in node.links}

    def entanglement_route(self, first: str, last: str) -> tuple[str, ...]:
        """Return the shortest way over links whose pairs are stored: the nodes from ``first`` to ``last``.

        Raise ``NotFound`` when there is none.
        """
        try:
            return self.entanglement[first, last]
        except KeyError:
            advice = "give the links between them a source whose pairs are stored"
            raise NotFound(f"no entangled pairs can reach from '{first}' to '{last}'; {advice}") from None


def plan(
    lab: Lab,
    *,
    default_mode: ClockMode = "virtual",
    mode: ClockMode | None = None,
    seed: int | None = None,
    default_journal: bool = False,
    launcher: LauncherName | None = None,
    host: str | None = None,
) -> Plan:
    """Plan the processes of ``lab``.

    ``default_mode`` is the clock and ``default_journal`` the journal where the lab file leaves them open; ``mode``,
    ``seed``, ``launcher`` and ``host``, when given, replace the file's.
    """
    world = WorldConfig(
        nodes={name: node.devices for name, node in lab.nodes.items()},
        links={name: link.devices for name, link in lab.links.items()},
        taps=dict(lab.taps),
        clock=ClockConfig(
            mode=mode or lab.runtime.mode or default_mode,
            scale=lab.runtime.scale,
            patience=lab.runtime.patience,
        ),
        max_qubits=lab.runtime.max_qubits,
        seed=lab.seed if seed is None else seed,
    )
    delays = [link.classical_delay for link in lab.links.values()]
    return Plan(
        lab=lab.name,
        broker=lab.runtime.broker,
        world=world,
        nodes={name: _node_plan(lab, name) for name in lab.nodes},
        apps=dict(lab.apps),
        shortest_delay=min((delay for delay in delays if delay), default=inf),
        journal=default_journal if lab.runtime.journal is None else lab.runtime.journal,
        record=lab.runtime.record is not False,
        controller=lab.controller,
        keys=lab.keys,
        launcher=launcher or lab.runtime.launcher,
        image=lab.runtime.image,
        links=dict(lab.links),
        host=lab.runtime.host if host is None else host,
        ports=lab.runtime.ports,
        weights={link.name: link.weight for link in lab.links.values()},
        entanglement={
            (first, last): route.nodes
            for first in lab.nodes
            for last, route in shortest_paths(
                first, [link for link in lab.links.values() if link.devices.stores_pairs]
            ).items()
        },
    )


def _node_plan(lab: Lab, name: str) -> NodePlan:
    ends = tuple(
        LinkEnd(
            link.name,
            peer,
            link.classical_delay,
            link.devices.source is not None,
            link.devices.stores_pairs,
            link.qkd,
            end == link.endpoints[0],
        )
        for link in lab.links.values()
        for end, peer in (link.endpoints, link.endpoints[::-1])
        if end == name
    )
    routes = shortest_paths(name, lab.links.values())
    channels = {other: route.channels for other, route in routes.items()}
    node = lab.nodes[name]
    return NodePlan(name, ends, channels, node.key_service, node.external)
