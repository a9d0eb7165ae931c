"""How late things are in real time: what is measured, what is told of it, and when a lab is behind."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from broker.bus import Bus
from broker.envelope import Envelope
from broker.faulty import Delayed, FaultyBus
from nodes.runtime.clock import RealTimeClock
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.lag import WINDOW, LagFigures, LagMeter
from nodes.runtime.orders import CONTROL
from nodes.runtime.run_request import RunRequest

pytestmark = pytest.mark.alone

if TYPE_CHECKING:
    from tests.nodes.runtime.conftest import Chain

PAIR = {"alice": "alice", "bob": "bob"}


def test_the_figures_are_count_mean_percentile_and_worst() -> None:
    meter = LagMeter(shortest_delay=1.0)
    for number in range(1, 201):
        meter.note(number / 1000)
    figures = meter.figures()
    assert (figures.count, figures.p99, figures.worst) == (200, 0.198, 0.2)
    assert figures.mean == pytest.approx(0.1005)


def test_the_worst_is_remembered_and_mean_and_percentile_are_of_the_last_measurements() -> None:
    meter = LagMeter(shortest_delay=1e-3)
    meter.note(5.0)
    assert meter.figures() == LagFigures(1, 5.0, 5.0, 5.0, behind=True)
    for _ in range(WINDOW):
        meter.note(0.0)
    assert meter.figures() == LagFigures(WINDOW + 1, 0.0, 0.0, 5.0, behind=False)


@pytest.mark.parametrize(("late", "behind"), [(9.99e-4, False), (1e-3, False), (1.001e-3, True)])
def test_a_node_is_behind_when_more_than_one_wait_in_a_hundred_is_late_by_more_than_the_shortest_link(
    late: float, behind: bool
) -> None:
    meter = LagMeter(shortest_delay=1e-3)
    for number in range(200):
        meter.note(late if number < 3 else 0.0)
    assert meter.figures().behind is behind


def test_one_wait_in_a_hundred_may_be_late() -> None:
    meter = LagMeter(shortest_delay=1e-3)
    for number in range(200):
        meter.note(1.0 if number < 2 else 0.0)
    assert not meter.figures().behind


def test_before_anything_is_measured_nothing_is_late() -> None:
    meter = LagMeter(shortest_delay=0.0)
    assert meter.figures() == LagFigures(0, 0.0, 0.0, 0.0, behind=False)
    assert not meter.measured.is_set()


def test_figures_that_make_no_sense_are_not_believed() -> None:
    honest: dict[str, Any] = asdict(LagFigures(3, 0.1, 0.2, 0.3, behind=True))
    assert LagFigures.read(honest) == LagFigures(3, 0.1, 0.2, 0.3, behind=True)
    for key, nonsense in (
        *(("p99", value) for value in (nan, inf, -1.0, "1", None)),
        *(("count", value) for value in (1.5, None)),
        *(("behind", value) for value in ("yes", None)),
    ):
        assert LagFigures.read(honest | {key: nonsense}) is None
    assert LagFigures.read({}) is None


@pytest.mark.parametrize("scale", [1.0, 50.0])
async def test_a_wait_that_ends_late_is_measured_in_emulated_seconds(scale: float) -> None:
    loop = asyncio.get_running_loop()
    measured: list[float] = []
    clock = RealTimeClock(lambda: loop.time() * scale, scale, measured.append)
    wait = asyncio.ensure_future(clock.sleep(0.01 * scale))
    await asyncio.sleep(0)
    started = loop.time()
    while loop.time() < started + 0.05:  # this task leaves nobody else the processor
        pass
    await wait
    (late,) = measured
    assert 0.039 * scale <= late < 1.0 * scale


async def test_what_comes_after_its_time_is_late_and_what_comes_before_is_not() -> None:
    measured: list[float] = []
    clock = RealTimeClock(lambda: 7.0, 1.0, measured.append)
    clock.overdue(7.5)
    clock.overdue(7.0)
    assert measured == []
    clock.overdue(5.0)
    assert measured == [2.0]
    await clock.until(6.0)  # a time that has passed is no wait
    assert measured == [2.0]


async def test_a_message_that_the_bus_brings_after_its_time_is_late(chain: Chain) -> None:
    def slow(bus: Bus) -> Bus:
        def fault(envelope: Envelope) -> list[Envelope | Delayed]:
            return [envelope if envelope.recipient == CONTROL else Delayed(envelope, 0.05)]

        return FaultyBus(bus, fault)

    told: dict[str, LagFigures] = {}
    async with in_memory_lab(chain("alice", "bob", mode="real-time"), slow, on_lag=told.__setitem__) as lab:
        await lab.run(RunRequest("teleport", PAIR))
    assert told["bob"].worst >= 0.05 - 100e-6  # the fibre is 10 km long


async def test_in_real_time_a_lab_tells_the_lag_of_its_nodes_and_in_virtual_time_there_is_none(
    chain: Chain,
) -> None:
    for mode in ("real-time", "virtual"):
        told: dict[str, LagFigures] = {}
        async with in_memory_lab(chain("alice", "bob", mode=mode), on_lag=told.__setitem__) as lab:
            await lab.run(RunRequest("teleport", PAIR, rounds=5))
        if mode == "virtual":
            assert told == {}
        else:
            assert told.keys() == {"alice", "bob"}
            assert all(figures.count >= 5 and figures.worst >= figures.p99 >= 0 for figures in told.values())


async def test_where_emulated_time_runs_faster_than_the_machine_every_node_is_behind(chain: Chain) -> None:
    told: dict[str, LagFigures] = {}
    world = chain("alice", "bob", mode="real-time", scale=1e6)
    async with in_memory_lab(world, on_lag=told.__setitem__) as lab:
        await lab.run(RunRequest("teleport", PAIR, rounds=5))
    assert all(figures.behind and figures.worst > 50e-6 for figures in told.values())
    assert told.keys() == {"alice", "bob"}
