"""How long pairs take: links wait for places at both ends, then for luck, and repeaters for both their links."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from math import exp, inf, sqrt
from pathlib import Path

import numpy as np
import pytest

from shared_state.config import FibreConfig, MemoryConfig, PhotonPairSource, WernerSource
from shared_state.validation.chains import difference_moment, rounds_moments
from tests.nodes.runtime.network_physics import (
    Floats,
    course_of,
    delivered,
    events,
    heralds,
    likely_law,
    likely_mean,
    row,
    werner,
)

pytestmark = pytest.mark.thorough

LENGTHS = (20e3, 45e3, 10e3, 30e3, 15e3)
CYCLE = 1e-3


def heralds_of_row(n: int, record: Path) -> Floats:
    names = ["alice", *(f"r{number}" for number in range(1, n)), "bob"]
    found = [heralds(record, names[link])[f"{names[link]}-{names[link + 1]}"] for link in range(n)]
    return np.array([times[: min(map(len, found))] for times in found])


def begun(heralded: Floats, delays: list[float], asked_at: float, window: int) -> Floats:
    """Return from when on each link could make each of its pairs, shape (links, pairs).

    Both its ends have ``window`` places on its side, from the moment at which the word that all take part has come by;
    a repeater's are free again when it swaps, an end's when its half is delivered. A link makes one pair at a time.
    """
    n, count = heralded.shape
    course = course_of(heralded, delays)
    freed = np.vstack([course.at_alice, course.swaps, course.at_bob])
    up = asked_at + sum(delays) + np.array([sum(delays[node:]) for node in range(n + 1)])
    free = np.hstack([np.repeat(up[:, np.newaxis], window, axis=1), freed])[:, :count]
    last = np.hstack([np.zeros((n, 1)), heralded[:, :-1]])
    return np.maximum(np.maximum(free[:-1], free[1:]), last)


@pytest.mark.parametrize("far", [False, True], ids=["messages at once", "messages as fast as light"])
@pytest.mark.parametrize(
    ("rates", "window"),
    [
        ((500.0,), 1),
        ((300.0, 900.0), 1),
        ((300.0, 900.0), 4),
        ((800.0, 500.0, 1000.0), 2),
        ((700.0, 400.0, 900.0, 500.0), 1),
        ((700.0, 400.0, 900.0, 500.0, 600.0), 3),
    ],
)
async def test_a_link_begins_when_both_its_ends_have_a_place_and_then_takes_an_exponential_time(
    rates: tuple[float, ...], window: int, far: bool, tmp_path: Path
) -> None:
    n, count = len(rates), 100
    lengths = LENGTHS[:n] if far else (0.0,) * n
    delays = [length / 2e8 for length in lengths]
    sources = [WernerSource(rate=rate) for rate in rates]
    world = row(sources, seed=21, fibres=[FibreConfig(length) for length in lengths])
    found = await delivered(world, count, tmp_path / "record", window=window)
    heralded = heralds_of_row(n, tmp_path / "record")
    course = course_of(heralded, delays)
    assert found.at_alice == pytest.approx(course.at_alice[:count], abs=1e-12)
    waits = (heralded - begun(heralded, delays, found.asked_at[0], window))[:, :count]
    assert waits.min() > -1e-12
    scaled = np.sort((waits * np.array(rates)[:, np.newaxis]).ravel())
    assert likely_law(scaled, 1 - np.exp(-scaled))


def mean_maximum(rates: tuple[float, ...], power: int = 1) -> float:
    """Return E[max_i t_i] or E[(max_i t_i)^2] of exponential times, by inclusion and exclusion."""
    return sum(
        (1.0 if size % 2 else -1.0) * power / sum(chosen) ** power
        for size in range(1, len(rates) + 1)
        for chosen in combinations(rates, size)
    )


@pytest.mark.parametrize(
    ("rates", "number", "count"),
    [
        ((200.0,), 0, 200),
        ((100.0, 100.0), 0, 200),
        ((50.0, 400.0), 0, 200),
        ((100.0, 300.0, 200.0), 0, 200),
        ((100.0, 300.0, 200.0, 150.0), 1, 60),
        pytest.param(
            (100.0, 300.0, 200.0, 150.0, 80.0), 1, 500, marks=pytest.mark.processes
        ),  # it takes long
    ],
)
async def test_one_pair_at_a_time_takes_the_longest_of_exponential_times(
    rates: tuple[float, ...], number: int, count: int
) -> None:
    found = await delivered(
        row([WernerSource(rate=rate) for rate in rates], seed=22), count, number=number, window=1
    )
    # up to three links all begin again together: when the last repeater swaps, all places become free
    times = found.at_alice - found.asked_at if number else found.intervals
    mean = mean_maximum(rates)
    assert likely_mean(times, mean, sqrt(mean_maximum(rates, 2) - mean**2))
    times = np.sort(times)
    assert likely_law(times, np.prod([1 - np.exp(-rate * times) for rate in rates], axis=0))


@pytest.mark.parametrize(
    ("n", "p", "count"),
    [
        (2, 0.05, 60),
        (3, 0.3, 60),
        (4, 0.01, 60),
        # these start no process, and take too long for `make check`
        *[pytest.param(n, 0.05, 600, marks=pytest.mark.processes) for n in (2, 3, 4)],
    ],
)
async def test_attempts_until_all_links_have_a_pair_are_those_of_bernardes(
    n: int, p: float, count: int, tmp_path: Path
) -> None:
    source = PhotonPairSource(attempt_rate=1 / CYCLE, emission=(p, 1.0))
    found = await delivered(row([source] * n, seed=24), count, tmp_path / "record", number=1, window=1)
    firsts: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for event in events(tmp_path / "record", "pair.heralded"):
        # a link may succeed at once when its first pair is swapped, and before its circuit is over
        firsts[event["session"]].setdefault(event["pair"].rpartition("/")[0], event["at"])
    heralded = np.array([list(times.values()) for times in firsts.values()])
    attempts = np.rint((heralded.T - found.asked_at) / CYCLE) + 1
    taken = (found.at_alice - found.asked_at) / CYCLE + 1
    assert taken == pytest.approx(attempts.max(axis=0), abs=1e-6)
    mean, variance = rounds_moments(n, p)
    assert likely_mean(taken, mean, sqrt(variance))
    assert likely_mean(attempts.ravel(), 1 / p, sqrt(1 - p) / p)


@pytest.mark.parametrize(("p", "decay"), [(0.05, 0.01), (0.3, 0.1)])
async def test_the_older_of_two_pairs_decays_as_the_geometric_law_says(p: float, decay: float) -> None:
    fidelity, count = 0.95, 60
    source = PhotonPairSource(attempt_rate=1 / CYCLE, emission=(p, 1.0), fidelity=fidelity)
    ideal, decaying = MemoryConfig(), MemoryConfig(depolarising_time=CYCLE / decay)
    world = row([source] * 2, seed=25, memories=[ideal, decaying, ideal])
    found = await delivered(world, count, number=1, window=1)
    weight = 0.75 * werner(fidelity) ** 2
    waited = np.rint((found.at_alice - found.heralded_at) / CYCLE)
    assert found.fidelities == pytest.approx(0.25 + weight * np.exp(-decay * waited), abs=1e-9)
    kept, kept_twice = (difference_moment(exp(-times * decay), p) for times in (1, 2))
    assert likely_mean(found.fidelities, 0.25 + weight * kept, weight * sqrt(kept_twice - kept**2))


async def test_ideal_links_have_their_pairs_at_once() -> None:
    source = PhotonPairSource(attempt_rate=1 / CYCLE, emission=(1.0, 1.0))
    found = await delivered(row([source] * 4, seed=26), 5, number=1, window=1)
    assert found.at_alice == pytest.approx(found.asked_at, abs=1e-12)
    assert max(found.intervals) < inf
