"""A quantum switch: how many pairs leaves get of it, all demand being saturated.

A pair between two leaves uses one pair of each of their links, so the leaves together get no more than sum_l r_l / 2 of
links of rates r_l. That takes links that never rest, and a link rests while all its ``window`` places are taken, by
pairs that have no partner yet. Of two links of equal rate r one is ahead by -w ... w pairs, all equally likely, so they
get r 2w/(2w+1); of more leaves that all want each other a link serves the request that has waited for it longest.
"""

from __future__ import annotations

from collections import deque
from itertools import combinations
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import LinkDevices, MemoryConfig, NodeDevices, WernerSource, WorldConfig
from tests.nodes.runtime.network_physics import AT_ONCE, SIGMAS, Floats

pytestmark = pytest.mark.thorough

PROGRAM = str(Path(__file__).with_name("switch_demand.py"))
RATE = 100.0


async def served(
    rates: tuple[float, ...], number: int, window: int, *, everyone: bool, seed: int
) -> dict[tuple[str, str], Floats]:
    """Return when each two leaves of a switch got their pairs; check that it was the same ones."""
    leaves = [f"leaf{each}" for each in range(1, len(rates) + 1)]
    world = WorldConfig(
        {name: NodeDevices(MemoryConfig(count=1024)) for name in ("switch", *leaves)},
        {
            leaf: LinkDevices(("switch", leaf), AT_ONCE, WernerSource(rate=rate))
            for leaf, rate in zip(leaves, rates, strict=True)
        },
        seed=seed,
    )
    request = RunRequest(
        PROGRAM,
        {leaf: leaf for leaf in leaves},
        parameters={"everyone": everyone, "number": number, "window": window},
    )
    async with in_memory_lab(world) as lab:
        (returned,) = (await lab.run(request)).returned
    found = {(leaf, each["partner"]): each for leaf in leaves for each in returned[leaf]}
    for (one, other), each in found.items():
        assert each["bits"] == found[other, one]["bits"]
    return {ends: np.array(each["times"]) for ends, each in found.items() if ends[0] < ends[1]}


def rate_of_two(one: float, other: float, window: int) -> float:
    """Return the rate of two links, one of which is ahead by k = -w ... w pairs, with weight (one/other)^k."""
    weights = np.cumprod([1.0, *[one / other] * (2 * window)])
    return float(one * (1 - weights[-1] / weights.sum()))


def times_of_two(rates: tuple[float, float], window: int, count: int, replicas: int, seed: int) -> Floats:
    """Sample when two links have swapped ``count`` pairs, shape (replicas,)."""
    rng = np.random.default_rng(seed)
    swaps, there = np.zeros((count + window, replicas)), np.zeros((2, replicas))
    for k in range(count):
        for link, rate in enumerate(rates):
            there[link] = np.maximum(there[link], swaps[k]) + rng.exponential(1 / rate, replicas)
        swaps[k + window] = there.max(axis=0)
    last: Floats = swaps[-1]
    return last


@pytest.mark.parametrize("rates", [(100.0, 100.0), (70.0, 250.0)])
@pytest.mark.parametrize("window", [1, 3, 8])
async def test_two_leaves_get_what_the_windows_leave_of_the_slower_link(
    rates: tuple[float, float], window: int
) -> None:
    ((_, times),) = (await served(rates, 120, window, everyone=False, seed=51)).items()
    samples = times_of_two(rates, window, 120, 4000, seed=52)
    assert abs(times[-1] - samples.mean()) < SIGMAS * samples.std()
    # and in the long run that is the closed form, which is bounded by both links
    many = times_of_two(rates, window, 4000, 200, seed=53)
    assert 4000 / many.mean() == pytest.approx(rate_of_two(*rates, window), rel=0.01)
    assert rate_of_two(*rates, window) < rate_of_two(*rates, window + 1) < min(rates)


async def test_pairs_of_leaves_with_links_of_their_own_do_not_slow_each_other_down() -> None:
    found = await served((RATE,) * 6, 100, 2, everyone=False, seed=54)
    assert len(found) == 3
    samples = times_of_two((RATE, RATE), 2, 100, 4000, seed=55)
    for times in found.values():
        assert abs(times[-1] - samples.mean()) < SIGMAS * samples.std()


def saturated(rates: tuple[float, ...], number: int, window: int, rng: np.random.Generator) -> float:
    """Play a switch whose leaves all want each other until some request has its pairs; return pairs per second.

    A link makes one pair at a time, for the request that has waited longest for one.
    """
    requests = list(combinations(range(len(rates)), 2))
    queues = [
        deque(each for each in requests if link in each for _ in range(window)) for link in range(len(rates))
    ]
    ahead = {(each, link): 0 for each in requests for link in each}
    done, time = dict.fromkeys(requests, 0), 0.0
    while max(done.values()) < number:
        busy = np.array([rate if queue else 0.0 for rate, queue in zip(rates, queues, strict=True)])
        time += rng.exponential(1 / busy.sum())
        link = int(rng.choice(len(rates), p=busy / busy.sum()))
        each = queues[link].popleft()
        other = each[each[0] == link]
        if ahead[each, other]:
            ahead[each, other] -= 1
            done[each] += 1
            queues[link].append(each)
            queues[other].append(each)
        else:
            ahead[each, link] += 1
    return sum(done.values()) / time


@pytest.mark.parametrize(("rates", "reached"), [((RATE,) * 4, 0.97), ((80.0, 120.0, 100.0), 0.9)])
async def test_leaves_that_all_want_each_other_come_up_to_the_capacity_of_the_switch(
    rates: tuple[float, ...], reached: float
) -> None:
    capacity, rng = sum(rates) / 2, np.random.default_rng(57)
    for window in (1, 4, 12):
        times = await served(rates, 25, window, everyone=True, seed=56 + window)
        until = min(each[-1] for each in times.values())
        count = sum(int((each <= until).sum()) for each in times.values())
        samples = np.array([saturated(rates, 25, window, rng) for _ in range(60)])
        # 60 replicas know their own deviation to a tenth
        assert abs(count / until - samples.mean()) < 1.3 * SIGMAS * samples.std(ddof=1)
        # no more than two Poisson pairs for each
        assert count / until < capacity + SIGMAS * sqrt(capacity / until / 2)
    # and in the long run that grows with the window: all of the capacity where the links are alike, and most of it
    # where they are not, since every request has as many places at the fast links as at the slow ones
    small, larger, large = (saturated(rates, 500, window, rng) / capacity for window in (1, 3, 12))
    assert small < larger < large + SIGMAS * sqrt(2 / 1500)
    assert reached < large < 1 + SIGMAS / sqrt(1500)
