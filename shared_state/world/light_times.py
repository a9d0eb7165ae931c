"""How long light takes from one node to another: no news is anywhere earlier."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from heapq import heappop, heappush
from math import inf

from shared_state.config import LinkDevices
from shared_state.world.fibre import delay


class LightTimes:
    """Propagation times along the shortest ways through the fibres of a lab, in seconds (Dijkstra 1959)."""

    def __init__(self, links: Iterable[LinkDevices]) -> None:
        self._neighbours: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for link in links:
            first, second = link.endpoints
            self._neighbours[first].append((second, delay(link.fibre)))
            self._neighbours[second].append((first, delay(link.fibre)))
        self._from: dict[str, dict[str, float]] = {}

    def between(self, one: str, other: str) -> float:
        """Return the time from one node to the other; infinity where no fibres lead there."""
        if one not in self._from:
            self._from[one] = self._shortest(one)
        return self._from[one].get(other, inf)

    def _shortest(self, start: str) -> dict[str, float]:
        known: dict[str, float] = {}
        reached = [(0.0, start)]
        while reached:
            time, node = heappop(reached)
            if node not in known:
                known[node] = time
                for neighbour, further in self._neighbours.get(node, ()):
                    heappush(reached, (time + further, neighbour))
        return known
