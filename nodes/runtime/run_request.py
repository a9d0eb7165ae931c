"""A run as somebody asks for it, what the nodes are told of it, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodes.runtime.orders import RunOrder, SwapPath
from nodes.runtime.programs import Program, Scalar

Route = Callable[[str, str], Sequence[str]]
"""The chain of nodes along which two nodes make pairs, both ends included; raises when there is none."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run: a program, who plays which role, how often, and how long any single wait may last (wall seconds).

    ``source``: the text of the program's file, read here where it is empty.
    """

    program: str
    roles: Mapping[str, str]
    rounds: int = 1
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    deadline: float = 30.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. ``duration`` is emulated, ``wall`` is real, both in seconds.

    ``figures`` are what the referee found over all rounds; ``returned`` is what each role returned in each round, a
    qubit as None.
    """

    run: str
    program: str
    roles: dict[str, str]
    rounds: int
    figures: dict[str, float | None]
    returned: list[dict[str, Any]]
    paths: list[list[str]]
    duration: float
    wall: float


def swap_paths(program: Program, roles: Mapping[str, str], route: Route) -> tuple[SwapPath, ...]:
    """Lay out the pairs of one round: for each two roles that share halves, the nodes between them."""
    order = list(program.roles)
    return tuple(
        SwapPath(first, last, index, tuple(route(roles[first], roles[last])))
        for first in order
        for last, count in program.roles[first].halves().items()
        if order.index(first) < order.index(last)
        for index in range(count)
    )


def order_of(
    run: str,
    request: RunRequest,
    source: str,
    role: str,
    paths: tuple[SwapPath, ...],
    network: tuple[str, ...],
    started_at: float,
) -> RunOrder:
    """Return what the node is told that plays ``role`` in a run, or relays in it where that is empty."""
    return RunOrder(
        run=run,
        program=request.program,
        role=role,
        rounds=request.rounds,
        roles=tuple(request.roles.items()),
        paths=paths,
        parameters=json.dumps(dict(request.parameters)),
        started_at=started_at,
        deadline=request.deadline,
        network=network,
        source=source if role else "",
    )
