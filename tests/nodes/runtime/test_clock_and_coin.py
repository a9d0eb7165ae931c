"""Time and chance of a node."""

from __future__ import annotations

import asyncio
from math import sqrt

import numpy as np
import pytest

from nodes.runtime.clock import Alone, RealTimeClock, VirtualClock
from nodes.runtime.coin import make_coin


async def test_a_virtual_clock_moves_only_by_what_is_waited_for_and_never_back() -> None:
    clock = VirtualClock(Alone(2.0))
    await clock.until(1.0)
    assert clock.now() == 2.0
    await clock.until(3.5)
    await clock.sleep(0.25)
    assert clock.now() == 3.75


async def test_an_hour_of_virtual_time_takes_none() -> None:
    clock = VirtualClock(Alone())
    async with asyncio.timeout(1.0):
        await clock.sleep(3600.0)
    assert clock.now() == 3600.0


@pytest.mark.parametrize("scale", [0.5, 1.0, 20.0])
async def test_a_real_time_clock_waits_for_the_emulated_time_at_its_scale(scale: float) -> None:
    loop = asyncio.get_running_loop()
    clock = RealTimeClock(lambda: loop.time() * scale, scale)
    started = loop.time()
    await clock.sleep(0.02 * scale)
    assert 0.019 <= loop.time() - started < 1.0


@pytest.mark.parametrize("duration", [-1e-9, -1.0, float("nan")])
async def test_no_clock_runs_backwards(duration: float) -> None:
    for clock in (VirtualClock(Alone()), RealTimeClock(lambda: 0.0)):
        with pytest.raises(ValueError, match="backwards"):
            await clock.sleep(duration)


def test_a_named_stream_is_a_function_of_seed_and_names_alone() -> None:
    def draw(seed: int, *stream: str) -> bytes:
        return make_coin(seed, *stream).secret(32)

    assert draw(1, "alice", "run-1") == draw(1, "alice", "run-1")
    others = [
        draw(2, "alice", "run-1"),
        draw(1, "bob", "run-1"),
        draw(1, "alice", "run-2"),
        draw(1, "alicerun-1"),
    ]
    assert draw(1, "alice", "run-1") not in others
    assert len(set(others)) == len(others)


def test_unique_bytes_do_not_come_again_under_the_same_seed() -> None:
    assert make_coin(1, "alice").unique(16) != make_coin(1, "alice").unique(16)


def test_without_a_seed_no_two_coins_agree() -> None:
    assert make_coin(None, "alice").secret(32) != make_coin(None, "alice").secret(32)


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.5, 0.9])
def test_coins_show_one_with_their_probability(probability: float) -> None:
    count = 200_000
    ones = int(make_coin(3, "coin").bits(count, probability).sum())
    assert abs(ones - count * probability) < 4.9 * sqrt(count * probability * (1 - probability))  # 1e-6


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_exactly_as_many_bits_as_asked_for_come(count: int) -> None:
    bits = make_coin(4, "coin").bits(count)
    assert bits.shape == (count,)
    assert set(np.unique(bits)) <= {0, 1}


@pytest.mark.parametrize(("population", "count"), [(1, 1), (10, 0), (10, 10), (1000, 37)])
def test_a_choice_is_sorted_without_repetition_and_in_range(population: int, count: int) -> None:
    chosen = make_coin(5, "coin").choose(population, count)
    assert chosen.size == count
    assert np.all(np.diff(chosen) > 0)
    assert np.all((chosen >= 0) & (chosen < population))


def test_every_integer_below_the_bound_is_drawn_equally_often() -> None:
    count, high = 90_000, 9
    seen = np.bincount(make_coin(6, "coin").integers(high, count), minlength=high)
    sigma = sqrt(count / high * (1 - 1 / high))
    assert seen.size == high
    assert np.all(np.abs(seen - count / high) < 5.4 * sigma)  # nine comparisons: 6e-7 together


async def test_operations_take_their_time_on_either_clock() -> None:
    for clock in (VirtualClock(Alone(1.0)), RealTimeClock(lambda: 1.0)):
        clock.spend(0.25)
        clock.spend(0.5)
        assert clock.now() == 1.75
