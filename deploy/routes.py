"""The shortest way through a lab's fibres: Dijkstra's algorithm, lengths in metres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

from deploy.lab import Link
from nodes.runtime.channel import Hop


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A way between two nodes, shortest first, then fewest hops, then alphabetical.

    ``length`` in metres is the sum over the links; ``nodes`` has both ends; ``channels`` are the classical channels of
    the links, in the order of the way.
    """

    length: float
    hops: int
    nodes: tuple[str, ...]
    channels: tuple[Hop, ...]

    def extended(self, peer: str, link: Link) -> Route:
        """Return the route that goes on over ``link`` to ``peer``."""
        return Route(
            length=self.length + link.length,
            hops=self.hops + 1,
            nodes=(*self.nodes, peer),
            channels=(*self.channels, link.classical),
        )


def shortest_paths(start: str, links: Iterable[Link]) -> dict[str, Route]:
    """Find the shortest route from ``start`` to every other node that ``links`` reach, by the node's name."""
    neighbours: defaultdict[str, list[tuple[str, Link]]] = defaultdict(list)
    for link in links:
        first, second = link.endpoints
        neighbours[first].append((second, link))
        neighbours[second].append((first, link))
    found: dict[str, Route] = {}
    frontier = [Route(0.0, 0, (start,), ())]
    while frontier:
        route = heappop(frontier)
        here = route.nodes[-1]
        if here in found:
            continue
        found[here] = route
        for peer, link in neighbours[here]:
            if peer not in found:
                heappush(frontier, route.extended(peer, link))
    del found[start]
    return found
