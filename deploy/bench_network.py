"""How many end-to-end pairs a wall second the network delivers over real processes, in real time, with ideal links."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from deploy.jobs import Job
from deploy.lab import Lab
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.registry import Registry
from deploy.topology import load
from nodes.errors import ProtocolViolation

_PROGRAM: Final = str(Path(__file__).parent / "bench_programs" / "requests.py")
_REQUESTS: Final = 8
"""So many requests are in flight at a time."""


async def network_rates(pairs: int, broker: str) -> dict[str, float]:
    """Measure chains of 3 and 9 nodes, ``pairs`` end-to-end pairs each, one by one and in batches of 32.

    Returns pairs per wall second, and for 3 nodes swaps, which are as many. Raises ``ProtocolViolation`` when the two
    ends of a pair do not agree in Z.
    """
    rates: dict[str, float] = {}
    with Registry().scratch() as directory:
        for nodes in (3, 9):
            lab = _chain(nodes, directory)
            async with Laboratory(
                replace(plan(lab, mode="real-time"), broker=broker), directory / lab.name
            ) as running:
                for batch, key in ((1, "single"), (32, "batched")):
                    number = max(1, pairs // (_REQUESTS * batch))
                    parameters = {"requests": str(_REQUESTS), "number": str(number), "batch": str(batch)}
                    result = await running.run(Job(_PROGRAM, parameters=parameters))
                    bits = result.returned[0]
                    if bits["alice"] != bits["bob"]:
                        raise ProtocolViolation("the ends of perfect pairs do not agree")
                    rates[f"chain_{nodes}_{key}_hz"] = sum(map(len, bits["alice"])) / result.wall
    return rates


def _chain(nodes: int, directory: Path) -> Lab:
    """Make a chain of perfect nodes, 1 m and a million pairs a second from each to the next."""
    names = ["alice", *(f"r{number}" for number in range(1, nodes - 1)), "bob"]
    links = [
        f"  - {{endpoints: [{a}, {b}], length: 1 m, source: {{rate: 1 MHz}}}}" for a, b in pairwise(names)
    ]
    file = directory / f"bench-{nodes}.yaml"
    lines = [f"name: bench-{nodes}", "defaults: {memories: {count: 1024}}", "nodes:"]
    file.write_text("\n".join([*lines, *(f"  {name}:" for name in names), "links:", *links, ""]))
    return load(file)
