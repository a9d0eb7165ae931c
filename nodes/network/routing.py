"""Ways through a network of links that store pairs, best first, judged by what their pairs will be like.

What adds up along a path is searched with the k-shortest-paths algorithm of J. Y. Yen, Management Science 17, 712
(1971). Rate and fidelity of a chain only nearly add up, as 1/r and -ln w: these are the order of the search, and the
paths that it finds are ranked by what ``prediction`` says of each. A swap's -ln q counts half on each of its links.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from math import fsum, isfinite, log
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import networkx as nx

from nodes.errors import NodeError
from nodes.network.prediction import LinkFigures, NodeFigures, chain_fidelity, chain_rate

if TYPE_CHECKING:
    Graph: TypeAlias = nx.Graph[str]

Cost: TypeAlias = Literal["rate", "fidelity", "length", "hops"] | Callable[[LinkFigures], float]
"""What makes a path good: many pairs, good pairs, little fibre, few links, or a user's own cost that adds up."""

SEARCHED: Final = 100
"""Paths that are looked at, at least, in the order of the search."""

_LEAST: Final = 1e-300
"""Stands for a Werner parameter of 0 or less, whose logarithm no search can add."""


class NoRoute(NodeError):
    """There is no way as asked. ``code``: ``no-route``, or ``fidelity-unattainable`` where ways exist."""

    def __init__(self, message: str, code: Literal["no-route", "fidelity-unattainable"] = "no-route") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Topology:
    """A network; only links that store pairs are in it. Raises ``ValueError`` where the names do not fit together."""

    nodes: tuple[NodeFigures, ...]
    links: tuple[LinkFigures, ...]

    def __post_init__(self) -> None:
        names, links = {node.name for node in self.nodes}, {link.name for link in self.links}
        if len(names) < len(self.nodes) or len(links) < len(self.links):
            raise ValueError("two nodes, or two links, have one name")
        for link in self.links:
            if not names.issuperset(link.endpoints):
                raise ValueError(f"link {link.name} ends at a node that is not there: {link.endpoints}")


@dataclass(frozen=True, slots=True)
class Route:
    """A way from end to end: ``nodes`` with both ends, ``links`` in between, and what is predicted of it.

    ``rate`` in pairs per second, ``fidelity`` with Phi+, ``delay``: seconds of a classical message from end to end.
    """

    nodes: tuple[str, ...]
    links: tuple[str, ...]
    rate: float
    fidelity: float
    delay: float


def routes(
    topology: Topology,
    source: str,
    destination: str,
    *,
    cost: Cost = "rate",
    min_fidelity: float = 0.0,
    avoid_nodes: frozenset[str] = frozenset(),
    avoid_links: frozenset[str] = frozenset(),
    most: int = 4,
) -> list[Route]:
    """Return up to ``most`` paths without a loop, best first; ties go to fewer hops, then to the first names.

    A path leads over links that make pairs and through repeaters of at least two memories; its ends need one. Of
    several links between two nodes the one that is best for the cost is taken. ``SEARCHED`` paths, or ``8 most``
    if that is more, are looked at in the order of the search; where the cost adds up (``length``, ``hops``, a
    function), that is the order of merit. Where none of these has ``min_fidelity``, as many are looked at in the order
    of their fidelity. The result does not depend on the order of nodes and links in the topology; where more
    paths are equally good than are looked at, which are is fixed, but not by their names.

    Raises NoRoute, and ``ValueError`` for a user's cost that is negative or not finite, and for ``most < 1``.
    """
    if most < 1:
        raise ValueError(f"at least one route is asked for, not {most}")
    atlas = _Atlas(topology)
    graph = atlas.graph(cost, avoid_nodes, avoid_links, (source, destination))
    atlas.check(graph, source, destination, avoid_nodes, avoid_links)
    count = max(SEARCHED, 8 * most)
    found = [atlas.ranked(graph, path, cost) for path in islice(_paths(graph, source, destination), count)]
    good = [each for each in found if each[1].fidelity >= min_fidelity]
    if not good:
        best = atlas.graph("fidelity", avoid_nodes, avoid_links, (source, destination))
        found += [atlas.ranked(best, path, cost) for path in islice(_paths(best, source, destination), count)]
        good = [each for each in found if each[1].fidelity >= min_fidelity]
    if not good:
        top = max((route for _, route in found), key=lambda route: (route.fidelity, -len(route.nodes)))
        raise NoRoute(
            f"no path from {source} to {destination} is predicted to have a fidelity of {min_fidelity:g}: "
            f"the best, {' - '.join(top.nodes)}, has {top.fidelity:.4f}; ask for less, or purify",
            "fidelity-unattainable",
        )
    unique = {(route.nodes, route.links): (rank, route) for rank, route in good}
    return [route for _, route in sorted(unique.values(), key=lambda each: each[0])[:most]]


def _paths(graph: Graph, source: str, destination: str) -> Iterator[list[str]]:
    return nx.shortest_simple_paths(graph, source, destination, weight="weight")


class _Atlas:
    """One topology, looked up by name."""

    def __init__(self, topology: Topology) -> None:
        self._nodes = {node.name: node for node in sorted(topology.nodes, key=lambda node: node.name)}
        self._links = sorted(topology.links, key=lambda link: link.name)

    def graph(
        self, cost: Cost, avoid_nodes: frozenset[str], avoid_links: frozenset[str], ends: tuple[str, str]
    ) -> Graph:
        """Return what a path may use: each edge with its ``link`` and the ``weight`` of the search."""
        graph: Graph = nx.Graph()
        allowed = [
            node.name
            for node in self._nodes.values()
            if node.name not in avoid_nodes and node.memories >= (1 if node.name in ends else 2)
        ]
        graph.add_nodes_from(allowed)  # in the order of the names, on which ties depend
        for link in sorted(self._links, key=lambda link: (sorted(link.endpoints), link.name)):
            first, second = sorted(link.endpoints)
            if link.name in avoid_links or not link.rate or not {first, second} <= graph.nodes:
                continue
            weight = self._weight(link, cost)
            rank = (weight, -link.fidelity, -link.rate, link.name)
            if not graph.has_edge(first, second) or rank < graph.edges[first, second]["rank"]:
                graph.add_edge(first, second, weight=weight, link=link, rank=rank)
        return graph

    def ranked(self, graph: Graph, path: list[str], cost: Cost) -> tuple[tuple[object, ...], Route]:
        """Return the route along a path, and what to sort it by: figure of merit, hops, names."""
        links = [graph.edges[edge]["link"] for edge in pairwise(path)]
        route = Route(
            nodes=tuple(path),
            links=tuple(link.name for link in links),
            rate=chain_rate(links),
            fidelity=chain_fidelity(links, [self._nodes[name] for name in path]),
            delay=fsum(link.delay for link in links),
        )
        if cost == "rate":
            merit = -route.rate
        elif cost == "fidelity":
            merit = -route.fidelity
        else:
            merit = fsum(self._weight(link, cost) for link in links)
        # two paths that differ by rounding errors only are a tie
        return (float(f"{merit:.12g}"), len(links), route.nodes, route.links), route

    def check(
        self,
        graph: Graph,
        source: str,
        destination: str,
        avoid_nodes: frozenset[str],
        avoid_links: frozenset[str],
    ) -> None:
        """Raise NoRoute with the reason where no path leads from source to destination."""
        ends = (source, destination)
        if source == destination:
            raise NoRoute(f"source and destination are both {source}: a pair has two different ends")
        for end in ends:
            if end not in self._nodes:
                raise NoRoute(f"there is no node {end}; there are: {', '.join(self._nodes)}")
            if end in avoid_nodes:
                raise NoRoute(f"{end} is an end of the path and is to be avoided")
            if not self._nodes[end].memories:
                raise NoRoute(f"{end} has no memory to hold its half in")
        if nx.has_path(graph, source, destination):
            return
        between = f"from {source} to {destination}"
        if nx.has_path(self.graph("hops", frozenset(), frozenset(), ends), source, destination):
            avoided = ", ".join(sorted(avoid_nodes | avoid_links))
            raise NoRoute(f"every path {between} leads over what is to be avoided: {avoided}")
        whole: Graph = nx.Graph()
        whole.add_nodes_from(self._nodes)
        whole.add_edges_from(link.endpoints for link in self._links if link.rate)
        if nx.has_path(whole, source, destination):
            between_ends = [node for node in self._nodes.values() if node.name not in ends]
            small = ", ".join(node.name for node in between_ends if node.memories < 2)
            raise NoRoute(
                f"every path {between} leads through nodes without two memories to swap in: {small}"
            )
        raise NoRoute(f"no chain of links that store pairs leads {between}")

    def _weight(self, link: LinkFigures, cost: Cost) -> float:
        if callable(cost):
            weight = float(cost(link))
            if not (isfinite(weight) and weight >= 0):
                raise ValueError(f"the cost of link {link.name} is {weight}: it is finite and not negative")
            return weight
        match cost:
            case "rate":
                return 1 / link.rate
            case "fidelity":
                qualities = [self._nodes[end].swap_quality for end in link.endpoints]
                return -log(max(link.werner, _LEAST)) - sum(log(max(q, _LEAST)) for q in qualities) / 2
            case "length":
                return link.length
            case "hops":
                return 1.0
