"""What 10^5 single pairs that are alive cost: memory, and time per operation on another pair.

The figures are written, never gated; what is gated is that no operation looks at all that are alive.
"""

from __future__ import annotations

import sys
import tracemalloc
from time import perf_counter
from types import FrameType
from typing import Any

import pytest

from shared_state.clock import VirtualClock
from shared_state.config import FibreConfig, LinkDevices, MemoryConfig, NodeDevices, WernerSource, WorldConfig
from shared_state.dice import Dice
from shared_state.world.ends import Delivered, Outcome
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.queues import Ticket

FEW, MANY = 10, 100_000
TRACED = 10_000  # pairs whose memory is measured: to trace all would be slow
OPERATED = 1000  # pairs that are made, flipped and measured for one figure
REPETITIONS = 5  # of which the fastest counts: the others were disturbed


class Lab:
    """Two nodes on one link, without a server: only the quantum world is measured."""

    def __init__(self) -> None:
        devices = NodeDevices(MemoryConfig(count=2 * MANY, t1=100.0, t2=50.0))
        link = LinkDevices(("alice", "bob"), FibreConfig(0.0), WernerSource(rate=1e6, fidelity=0.95))
        world = WorldConfig({"alice": devices, "bob": devices}, {"link": link}, seed=1)
        self.nature = Nature(world, VirtualClock(), Dice(1))
        self.links = Links(self.nature, self._settle)
        self.delivered: list[Delivered] = []

    def pair(self) -> tuple[Delivered, Delivered]:
        """Make a pair."""
        self.delivered.clear()
        for node in ("alice", "bob"):
            self.links.pairs.pair(node, node, 0.0, "run", "link")
        first, second = self.delivered
        return first, second

    def operate(self) -> float:
        """Return the seconds that a pair takes from its request to its last outcome."""
        best = float("inf")
        for _ in range(REPETITIONS):
            began = perf_counter()
            for _ in range(OPERATED):
                self.use_a_pair()
            best = min(best, perf_counter() - began)
        return best / OPERATED

    def use_a_pair(self) -> None:
        """Make a pair, flip a half, and measure both."""
        hers, his = self.pair()
        self.nature.gate("alice", hers.time, "x", [hers.qubit], [])
        self.nature.measure("alice", hers.time, hers.qubit, "Z")
        self.nature.measure("bob", his.time, his.qubit, "Z")

    def _settle(self, ticket: Ticket, outcome: Outcome) -> None:
        assert isinstance(outcome, Delivered), outcome
        self.delivered.append(outcome)


def steps(lab: Lab) -> int:
    """Count the instructions of Python that it takes to use a pair."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        lab.use_a_pair()
    finally:
        sys.settrace(before)
    return count


def test_an_operation_takes_as_many_steps_among_many_live_pairs_as_among_few() -> None:
    lab = Lab()
    lab.use_a_pair()  # what is computed once
    counted = []
    for live in (FEW, 100 * FEW):
        for _ in range(live):
            lab.pair()
        counted.append(min(steps(lab) for _ in range(20)))  # outcomes take different branches
    assert 1000 < counted[1] <= 1.05 * counted[0]


def test_live_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    lab = Lab()
    for _ in range(FEW):
        lab.pair()
    among_few = lab.operate()
    tracemalloc.start()
    for _ in range(TRACED):
        lab.pair()
    live, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for _ in range(MANY - FEW - TRACED):
        lab.pair()
    among_many = lab.operate()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{MANY} live single pairs: {live * MANY / TRACED / 1e6:.0f} MB\n"
            f"a pair made, flipped and measured among {FEW} live pairs: {among_few * 1e6:.0f} us, "
            f"among {MANY}: {among_many * 1e6:.0f} us, {among_many / among_few:.2f} times as long\n"
        )
    assert lab.nature.ledger.counts() == {"alice": MANY, "bob": MANY}
