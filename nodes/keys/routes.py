"""The way of a relayed key over trusted nodes: fewest hops, then the fullest pools."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice, pairwise
from math import inf
from typing import TypeAlias

Hop: TypeAlias = tuple[str, str]
"""A node and the next one."""

_CHOICE = 64  # as many equally short ways are compared


def find_route(
    links: Mapping[str, Collection[str]],
    origin: str,
    target: str,
    levels: Mapping[Hop, int],
    barred: Collection[Hop] = (),
) -> tuple[str, ...] | None:
    """Return the nodes from origin to target, both included; None when no way is left.

    ``links`` are the QKD links, node by node; either end may name them. Among the shortest ways the one whose emptiest
    pool is fullest is chosen, in units, by what ``levels`` knows; a pool of which nothing is known counts as full.
    ``barred`` hops are not used in either direction.
    """
    import networkx as nx  # loaded here, for it is a good part of a process, and most nodes relay no keys

    graph: nx.Graph[str] = nx.Graph(
        (near, far)
        for near in sorted(links)
        for far in sorted(links[near])
        if (near, far) not in barred and (far, near) not in barred
    )
    if (
        origin == target
        or origin not in graph
        or target not in graph
        or not nx.has_path(graph, origin, target)
    ):
        return None
    ways = [tuple(way) for way in islice(nx.all_shortest_paths(graph, origin, target), _CHOICE)]
    return min(ways, key=lambda way: (-_narrowest(way, levels), way))


def hops(way: tuple[str, ...]) -> list[Hop]:
    """List the hops of a way."""
    return list(pairwise(way))


def _narrowest(way: tuple[str, ...], levels: Mapping[Hop, int]) -> float:
    return min(levels.get(hop, inf) for hop in hops(way))
