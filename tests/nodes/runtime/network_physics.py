"""What the tests of the network's physics share: rows of nodes, the pairs that they deliver, and bounds on chance.

Sampled claims have a false-alarm probability of 1e-6 each and are never tried again: the seeds are fixed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.network.swap import PHI_PLUS
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.programs import Scalar
from nodes.runtime.run_request import RunRequest
from shared_state.config import (
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    SourceConfig,
    WorldConfig,
)

Floats = NDArray[np.float64]

FALSE_ALARM = 1e-6
SIGMAS = 5.0
"""A mean of many samples is further off with probability 5.7e-7."""
AT_ONCE = FibreConfig(0.0)
"""A fibre over which messages take no time."""
PROGRAM = str(Path(__file__).with_name("judged_pairs.py"))


def row(
    sources: Sequence[SourceConfig],
    *,
    seed: int,
    memories: MemoryConfig | Sequence[MemoryConfig] = MemoryConfig(count=64),  # noqa: B008
    repeaters: GateConfig = GateConfig(),  # noqa: B008
    ends: GateConfig = GateConfig(),  # noqa: B008
    fibres: Sequence[FibreConfig] = (),
) -> WorldConfig:
    """Lay a link for each of ``sources`` from alice over r1, r2, ... to bob.

    ``memories`` of all nodes, or from alice to bob; ``repeaters`` and ``ends``: the gates that each has.
    """
    names = ["alice", *(f"r{number}" for number in range(1, len(sources))), "bob"]
    stores = [memories] * len(names) if isinstance(memories, MemoryConfig) else memories
    return WorldConfig(
        nodes={
            name: NodeDevices(store, ends if name in ("alice", "bob") else repeaters)
            for name, store in zip(names, stores, strict=True)
        },
        links={
            f"{first}-{second}": LinkDevices((first, second), fibre, source)
            for (first, second), fibre, source in zip(
                pairwise(names), fibres or [AT_ONCE] * len(sources), sources, strict=True
            )
        },
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class Delivered:
    """Pairs in the order of their delivery: states of shape (n, 4, 4), ids, ways, and times of shape (n,).

    ``heralded_at``: of the oldest link pair of each, as far as alice knows; ``at_alice``, ``at_bob``: of the delivery.
    """

    states: NDArray[np.complex128]
    pairs: list[str]
    paths: list[list[str]]
    asked_at: Floats
    heralded_at: Floats
    at_alice: Floats
    at_bob: Floats

    @property
    def fidelities(self) -> Floats:
        """Return the fidelities with Phi+, shape (n,)."""
        fidelities: Floats = np.einsum("i,nij,j->n", PHI_PLUS.conj(), self.states, PHI_PLUS).real
        return fidelities

    @property
    def bell_weights(self) -> Floats:
        """Return the weights of Phi+, Psi-, Psi+ and Phi-, shape (n, 4)."""
        bell = np.array([[1, 0, 0, 1], [0, 1, -1, 0], [0, 1, 1, 0], [1, 0, 0, -1]]) / sqrt(2)
        weights: Floats = np.einsum("ki,nij,kj->nk", bell, self.states, bell).real
        return weights

    @property
    def intervals(self) -> Floats:
        """Return the time between one delivery to alice and the next, the request being the first, shape (n,)."""
        return np.diff(self.at_alice, prepend=self.asked_at[0])


async def delivered(world: WorldConfig, count: int, record: Path | None = None, **terms: Scalar) -> Delivered:
    """Let alice request ``count`` pairs with bob, and judge each when it is there; see ``judged_pairs``.

    ``record``: the file for the lab's events.
    """
    request = RunRequest(PROGRAM, {"alice": "alice", "bob": "bob"}, rounds=count, parameters=terms)
    if record is not None:
        _begin(record)
    async with in_memory_lab(world, record=record) as lab:
        run = await lab.run(request)
        census = await lab.census()
    assert not any((census.qubits, census.reserved, census.waiting, *census.held.values()))
    parts = np.array([value for value in run.figures.values() if value is not None]).reshape(count, 16, 2)
    ends: dict[str, list[dict[str, Any]]] = {
        end: [returned[end] for returned in run.returned] for end in ("alice", "bob")
    }
    times = {
        (end, name): np.array([given[name] for given in gifts])
        for end, gifts in ends.items()
        for name in ("asked_at", "heralded_at", "delivered_at")
    }
    return Delivered(
        states=(parts[..., 0] + 1j * parts[..., 1]).reshape(count, 4, 4),
        pairs=[given["pair"] for given in ends["alice"]],
        paths=[given["path"] for given in ends["alice"]],
        asked_at=times["alice", "asked_at"],
        heralded_at=times["alice", "heralded_at"],
        at_alice=times["alice", "delivered_at"],
        at_bob=times["bob", "delivered_at"],
    )


def _begin(record: Path) -> None:
    record.write_text('{"format": "a record of events"}\n')


def events(record: Path, name: str) -> list[dict[str, Any]]:
    """Return the events of one name in their order."""
    lines = [json.loads(line) for line in record.read_text().splitlines()[1:]]
    return [event for event in lines if event["event"] == name]


def heralds(record: Path, node: str) -> dict[str, Floats]:
    """Return when a node knew of each pair, in the order of their numbers, by link."""
    times: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for event in events(record, "pair.heralded"):
        if event["node"] == node:
            link, _, number = event["pair"].rpartition("/")
            times[link][int(number)] = event["at"]
    return {link: np.array([found[number] for number in sorted(found)]) for link, found in times.items()}


def werner(fidelity: float) -> float:
    """Return w = (4F - 1)/3."""
    return (4 * fidelity - 1) / 3


def likely_share(successes: int, trials: int, probability: float) -> bool:
    """Tell whether so many successes are likely, by Chernoff: P(as far off) <= 2 e^(-n D(share || probability))."""
    share = successes / trials
    divergence = sum(
        x * log(x / y) if y else (float("inf") if x else 0.0)
        for x, y in ((share, probability), (1 - share, 1 - probability))
        if x
    )
    return trials * divergence <= log(2 / FALSE_ALARM)


def likely_mean(samples: Floats, mean: float, deviation: float | None = None) -> bool:
    """Tell whether independent samples are likely to have this mean: it lies within 5 standard errors."""
    spread = float(samples.std(ddof=1)) if deviation is None else deviation
    return abs(float(samples.mean()) - mean) <= SIGMAS * spread / sqrt(len(samples)) + 1e-12


def likely_law(samples: Floats, distribution: Floats) -> bool:
    """Tell whether samples, sorted, follow a law, whose distribution function has these values there.

    Dvoretzky, Kiefer, Wolfowitz and Massart: P(sup |F_n - F| > e) <= 2 exp(-2 n e^2).
    """
    n = len(samples)
    steps = np.arange(n + 1) / n
    distance = max(np.abs(distribution - steps[1:]).max(), np.abs(distribution - steps[:-1]).max())
    return bool(distance <= sqrt(log(2 / FALSE_ALARM) / (2 * n)))


@dataclass(frozen=True, slots=True)
class Course:
    """When what happens in a row that swaps as soon as it can, given the ``heralds``, shape (links, pairs).

    ``swaps`` of the repeaters, shape (links - 1, pairs), ``at_bob`` and ``at_alice``: when an end has its half,
    shape (pairs,). Pairs leave every node in the order in which they came.
    """

    heralds: Floats
    swaps: Floats
    at_bob: Floats
    at_alice: Floats


def course_of(heralds: Floats, delays: Sequence[float]) -> Course:
    """Follow the tracks: each repeater adds its outcome when it has swapped, bob corrects and tells alice.

    ``delays`` of messages over each link, in seconds.
    """
    swaps = np.maximum(heralds[:-1], heralds[1:])
    if not len(swaps):
        return Course(heralds, swaps, heralds[0], heralds[0])
    track = swaps[0]
    for swap, delay in zip(swaps[1:], delays[1:-1], strict=True):
        track = np.maximum(track + delay, swap)
    at_bob = track + delays[-1]
    return Course(heralds, swaps, at_bob, at_bob + sum(delays))
