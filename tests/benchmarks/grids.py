"""The lab of a benchmark: so many nodes on a square grid, in the shortest lab file that says so."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from pathlib import Path

from deploy.lab import Lab
from deploy.topology import load


def edges(nodes: int) -> Iterator[tuple[int, int]]:
    """Yield the neighbours on a grid of so many nodes, filled row by row."""
    width = max(1, isqrt(nodes))
    for node in range(nodes):
        if (node + 1) % width and node + 1 < nodes:
            yield node, node + 1
        if node + width < nodes:
            yield node, node + width


def pairs(nodes: int) -> list[tuple[str, str]]:
    """Pair nodes with a neighbour of theirs, each at most once: as many of them as a walk along the edges finds."""
    taken, found = set[int](), list[tuple[str, str]]()
    for ends in edges(nodes):
        if taken.isdisjoint(ends):
            taken.update(ends)
            found.append((_name(ends[0]), _name(ends[1])))
    return found


def grid(nodes: int, folder: Path) -> Lab:
    """Write the lab file of a grid into a folder; return the lab."""
    links = "".join(f"  - {{endpoints: [{_name(a)}, {_name(b)}], length: 20 km}}\n" for a, b in edges(nodes))
    file = folder / f"grid-{nodes}.yaml"
    names = ", ".join(f"{_name(node)}: " for node in range(nodes))
    file.write_text(f"name: grid-{nodes}\nnodes: {{{names}}}\nlinks:\n{links}")
    return load(file)


def _name(node: int) -> str:
    return f"n{node:03}"
