"""In virtual time a run goes as if there were no other: not even the dice tell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shared_state.clock import RealTimeClock, VirtualClock
from shared_state.config import (
    DetectorConfig,
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PulseConfig,
    TapConfig,
    WorldConfig,
)
from shared_state.dice import Dice
from shared_state.world.ends import (
    Arrived,
    Delivered,
    DeliveredPairs,
    Detected,
    DetectedTrain,
    Outcome,
)
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.queues import Ticket

Story = list[object]


class Lab:
    """Alice and Bob, Eve on their fibre, and no device that is perfect."""

    def __init__(self, *, virtual: bool = True) -> None:
        nodes = dict.fromkeys(
            ("alice", "bob"), NodeDevices(MemoryConfig(1000), GateConfig(0.9, 0.9, "joint", 0.2, 0.2))
        )
        pulses = PulseConfig(
            intensities=(0.8,), intensity_probabilities=(1.0,), detectors=DetectorConfig(0.7, 0.01)
        )
        links = {"ab": LinkDevices(("alice", "bob"), FibreConfig(1e4), pulses=pulses)}
        taps = {"eve": TapConfig("ab", fraction=0.5, position=3e3, enabled=True)}
        clock = VirtualClock() if virtual else RealTimeClock(1.0, lambda: 0.0)
        self.nature = Nature(WorldConfig(nodes, links, taps), clock, Dice(8))
        self.settled: dict[Ticket, Outcome] = {}
        self.links = Links(self.nature, self.settled.__setitem__)

    def pair(self, run: str) -> Story:
        for node in ("alice", "bob"):
            self.links.pairs.pair(node, node, 1.0, run, "ab")
        hers, his = self.settled["alice"], self.settled["bob"]
        assert isinstance(hers, Delivered)
        assert isinstance(his, Delivered)
        bits = [
            self.nature.measure(node, hers.time, half.qubit, "Y").value
            for node, half in (("alice", hers), ("bob", his))
        ]
        return [hers.time, *bits]

    def batch(self, run: str) -> Story:
        for node in ("alice", "bob"):
            self.links.batches.pairs(node, node, 1.0, run, "ab", 8)
        hers = self.settled["alice"]
        assert isinstance(hers, DeliveredPairs)
        bases = np.zeros(8, dtype=np.uint8)
        bits = self.links.batches.measure("alice", float(hers.times[-1]), hers.batch, bases)
        return [*hers.times, *bits]

    def qubit(self, run: str) -> Story:
        qubit = self.nature.qubit("alice", 1.0, run)
        self.links.light.transmit("alice", 1.0, run, "ab", qubit)
        self.links.light.receive("bob", "bob", 1.0, run, "ab")
        arrived = self.settled["bob"]
        assert isinstance(arrived, Arrived)
        if arrived.qubit is None:
            return [None]
        return [self.nature.measure("bob", arrived.time, arrived.qubit, "X").value]

    def pulses(self, run: str) -> Story:
        bits = np.zeros(40, dtype=np.uint8)
        self.links.light.emit_pulses("alice", 1.0, run, "ab", bits, bits)
        self.links.light.measure_pulses("bob", "bob", 1.0, run, "ab", bits)
        detected = self.settled["bob"]
        assert isinstance(detected, Detected)
        return [*detected.clicked, *detected.bits]

    def train(self, run: str) -> Story:
        self.links.trains.emit("alice", 1.0, run, "ab", 100)
        self.links.trains.measure("bob", "bob", 1.0, run, "ab", 100)
        detected = self.settled["bob"]
        assert isinstance(detected, DetectedTrain)
        return [*detected.indices, *detected.bases, *detected.bits]

    def everything(self, run: str, times: int = 5) -> list[Story]:
        parts: list[Callable[[str], Story]] = [self.pair, self.batch, self.qubit, self.pulses, self.train]
        return [part(run) for _ in range(times) for part in parts]


@pytest.mark.parametrize("others", [["other"], ["a", "b", "c"]])
def test_a_run_goes_as_if_there_were_no_other(others: list[str]) -> None:
    alone = Lab().everything("run")
    beside = Lab()
    for other in others:
        beside.everything(other, 2)
    assert beside.everything("run") == alone


def test_runs_do_not_repeat_each_other_and_parts_of_one_do_not_either() -> None:
    lab = Lab()
    stories = [lab.everything(run) for run in ("run", "other", "run/1", "run/2")]
    for number, story in enumerate(stories):
        assert story not in stories[:number]


def test_in_real_time_all_runs_throw_the_same_dice() -> None:
    assert Lab(virtual=False).pair("run")[1:] == Lab(virtual=False).pair("other")[1:]
    alone, beside = Lab(virtual=False), Lab(virtual=False)
    beside.everything("other", 2)
    assert alone.pulses("run") != beside.pulses("run")
