"""Random courses of a virtual clock, beside the simplest model of it: a list of what is due, sorted."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from shared_state.turns import Arrival, Due, Stalled, Turns

NODES = ("alice", "bob", "carol", "dave")
STEPS = 400


class Model:
    """All that is due as one list of (time, node, order, due), sorted anew for every turn."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, str, int, Due]] = []
        self.until: dict[str, float] = {}
        self.waits: dict[str, list[str]] = {}
        self.running: set[str] = set()
        self.holds: set[str] = set()
        self.granted: list[tuple[str, float, list[Due]]] = []
        self._order = 0

    def end(self, node: str, until: float, waits: list[str]) -> None:
        self.running.discard(node)
        self.until[node], self.waits[node] = until, waits
        self.go_on()

    def plan(self, time: float, node: str, due: Due) -> None:
        if node in self.until:
            self._order += 1
            self.due.append((time, node, self._order, due))
            self.go_on()

    def leave(self, node: str) -> None:
        self.running.discard(node)
        self.until.pop(node, None)
        self.waits.pop(node, None)
        self.due = [each for each in self.due if each[1] != node]
        self.go_on()

    def release(self, who: str) -> None:
        self.holds.discard(who)
        self.go_on()

    def go_on(self) -> None:
        if self.holds or self.running or not self.until:
            return
        times = [(until, node) for node, until in self.until.items()] + [each[:2] for each in self.due]
        time, node = sorted(times)[0]
        if time == inf:
            waiting = {name: waits for name, waits in sorted(self.waits.items()) if waits}
            if not waiting:
                return
            said = "; ".join(f"{name} for {', '.join(waits)}" for name, waits in waiting.items())
            for name in waiting:
                self._order += 1
                stalled = Stalled(f"at {self.now:.9g} s everybody waits: {said}")
                self.due.append((self.now, name, self._order, stalled))
            self.go_on()
            return
        mine = sorted(each[:3] for each in self.due if each[1] == node and each[0] <= time)
        by_order = {each[2]: each for each in self.due}
        self.due = [each for each in self.due if each[1] != node or each[0] > time]
        self.now, self.until[node], self.waits[node] = time, inf, []
        self.running = {node}
        self.granted.append((node, time, [by_order[order][3] for _, _, order in mine]))


@pytest.mark.parametrize("seed", range(20))
def test_the_clock_does_what_the_sorted_list_does_and_time_never_runs_backwards(seed: int) -> None:
    rng = np.random.default_rng(seed)
    granted: list[tuple[str, float, list[Due]]] = []
    holders: set[str] = set()

    def grant(node: str, time: float, due: list[Due]) -> None:
        assert not holders, "two have the turn"
        holders.add(node)
        granted.append((node, time, due))

    turns, model = Turns(grant), Model()
    for step in range(STEPS):
        node = str(rng.choice(NODES))
        time = model.now + float(rng.integers(0, 4)) / 4  # coarse, so that much is due at the same time
        match int(rng.integers(0, 12)):
            case 0:
                holders.discard(node)
                turns.leave(node)
                model.leave(node)
            case 1:
                turns.hold(f"oracle {step % 2}")
                model.holds.add(f"oracle {step % 2}")
            case 2 | 3 | 4:
                turns.release(f"oracle {step % 2}")
                model.release(f"oracle {step % 2}")
            case 5 | 6 | 7:
                due = Arrival("someone", "run", step)
                turns.plan(time, node, due)
                model.plan(time, node, due)
            case _:
                node = next(iter(model.running), node)
                until, waits = (None, ["a message"] * int(rng.integers(0, 2))) if step % 3 else (time, [])
                holders.discard(node)
                turns.end(node, until, waits)
                model.end(node, inf if until is None else until, waits)
        assert granted == model.granted
        assert turns.now == model.now
        assert turns.holder == next(iter(model.running), None)
    times = [time for _, time, _ in granted]
    assert times == sorted(times)
    assert len(granted) > STEPS / 20
