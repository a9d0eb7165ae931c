"""A source makes pairs one after the other, and a transmitter sends one train after the other."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from shared_state.clock import LabClock, RealTimeClock, VirtualClock
from shared_state.config import FibreConfig, LinkDevices, NodeDevices, PulseConfig, WernerSource, WorldConfig
from shared_state.dice import Dice
from shared_state.world.ends import Delivered, Outcome
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.occupancy import REMEMBERED, Occupancy
from shared_state.world.queues import Ticket

SIGMAS = 4.9  # false alarm 1e-6, two-sided
RATE = 10.0


class Link:
    """Alice and Bob on one link, with the outcomes in the order of their tickets."""

    def __init__(self, clock: LabClock) -> None:
        devices = LinkDevices(
            ("alice", "bob"), FibreConfig(0.0), WernerSource(rate=RATE), PulseConfig(pulse_rate=1e3)
        )
        world = WorldConfig({"alice": NodeDevices(), "bob": NodeDevices()}, {"ab": devices})
        self.settled: dict[Ticket, Outcome] = {}
        self.links = Links(Nature(world, clock, Dice(5)), self.settled.__setitem__)

    def heralds(self, count: int, run: str, at: float = 0.0) -> list[float]:
        """Ask for pairs all at the same time, and return when they came, in the order of the requests."""
        for node in ("alice", "bob"):
            for number in range(count):
                self.links.pairs.pair((node, run, number), node, at, run, "ab")
        times = []
        for number in range(count):
            delivered = self.settled["alice", run, number]
            assert isinstance(delivered, Delivered)
            times.append(delivered.time)
        return times

    def emit(self, run: str, at: float = 0.0, sender: str = "alice") -> float:
        bits = np.zeros(1000, dtype=np.uint8)
        return self.links.light.emit_pulses(sender, at, run, "ab", bits, bits)


def test_pairs_asked_for_together_come_as_a_poisson_process_of_the_sources_rate() -> None:
    gaps: list[float] = []
    link = Link(VirtualClock())
    for number in range(500):
        gaps += np.diff([1.0, *link.heralds(8, f"run-{number}", at=1.0)]).tolist()
        for node in ("alice", "bob"):
            link.links.close_run(node, f"run-{number}")
    assert min(gaps) > 0
    # over n exponential times of mean 1 the mean has variance 1 / n, and the variance 8 / n
    assert abs(np.mean(gaps) * RATE - 1) < SIGMAS / sqrt(len(gaps))
    assert abs(np.var(gaps) * RATE**2 - 1) < SIGMAS * sqrt(8 / len(gaps))


def test_in_virtual_time_a_run_does_not_wait_for_the_pairs_of_another() -> None:
    link = Link(VirtualClock())
    late = link.heralds(1, "run-1", at=1000.0)[0]
    assert link.heralds(1, "run-2")[0] < 1000.0
    assert link.heralds(1, "run-1/swap")[0] > late  # a part of the first, on the same clock


def test_in_real_time_all_runs_share_the_source() -> None:
    link = Link(RealTimeClock(1.0, lambda: 0.0))
    first = link.heralds(3, "run-1")
    assert link.heralds(2, "run-2")[0] > first[-1]


def test_who_comes_after_a_run_that_was_called_off_does_not_wait_for_its_pairs() -> None:
    link = Link(RealTimeClock(1.0, lambda: 0.0))
    called_off = link.heralds(8, "run-1")
    for node in ("alice", "bob"):
        link.links.close_run(node, "run-1")
    assert link.heralds(1, "run-2")[0] < called_off[-1]


@pytest.mark.parametrize("clock", [VirtualClock(), RealTimeClock(1.0, lambda: 0.0)])
def test_a_train_leaves_after_the_one_before_it(clock: LabClock) -> None:
    link = Link(clock)
    assert link.emit("run", at=2.0) == pytest.approx(3.0)
    assert link.emit("run", at=2.5) == pytest.approx(4.0)
    assert link.emit("run", at=7.0) == pytest.approx(8.0)
    assert link.emit("run", at=2.0, sender="bob") == pytest.approx(3.0)  # with a transmitter of its own


def test_of_many_runs_the_oldest_are_forgotten() -> None:
    occupancy = Occupancy(VirtualClock().story)
    for number in range(REMEMBERED + 1):
        occupancy.occupy("source", f"run-{number}", 1.0)
    assert occupancy.free_from("source", "run-0") == 0.0
    assert occupancy.free_from("source", "run-1") == 1.0
