"""Chaos that can be had again: a schedule is a function of its seed, every fault is healed, whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from deploy.chaos import LONGEST, SHORTEST, Step, Taken, schedule, unleash
from deploy.errors import ControlUnreachable, UsageError
from deploy.faults import Faults
from deploy.interventions import REPEATABLE
from deploy.link_changes import changed
from deploy.plan import Plan, plan
from deploy.topology import find, load

SIGMAS = 4.9
"""Standard deviations: a correct implementation fails a test once in 10^6."""


@pytest.fixture
def planned() -> Plan:
    """A lab in real time."""
    return plan(load(find("alice-charlie-bob")), mode="real-time")


class FakeLab(Faults):
    """A lab whose clock shows what was waited for; what is done is noted, and some of it fails."""

    def __init__(self) -> None:
        self.time = 100.0
        self.done: list[tuple[float, str, dict[str, Any]]] = []
        self.fails: dict[str, Exception] = {}
        self.stuck = asyncio.Event()
        self.stops_at: str = ""

    async def carry_out(self, what: str, arguments: Mapping[str, Any]) -> Any:
        """Take a step at its time."""
        given = dict(arguments)
        if what == "now":
            return self.time
        if what == "pass_time":
            self.time += given["seconds"]
            return None
        self.time = max(self.time, given.pop("when", self.time))
        self.done.append((self.time, what, given))
        if what == self.stops_at:
            self.stops_at = ""
            self.stuck.set()
            await asyncio.Event().wait()
        if what in self.fails:
            raise self.fails[what]
        return f"eve-{len(self.done)}" if what == "attach_eve" else None


def test_the_same_seed_gives_the_same_schedule_and_another_one_another(planned: Plan) -> None:
    assert schedule(planned, 7, 60.0) == schedule(planned, 7, 60.0)
    assert schedule(planned, 7, 60.0) != schedule(planned, 8, 60.0)
    assert [step.what for step in schedule(planned, 7, 10.0, 1.0)][:4] == [
        "partition",
        "change_link",
        "reset_link",
        "change_link",
    ]  # what a user has noted down must still be what the seed gives


@pytest.mark.parametrize("seed", range(20))
def test_every_fault_is_healed_in_time_and_no_two_befall_the_same(planned: Plan, seed: int) -> None:
    duration = 60.0
    steps = schedule(planned, seed, duration, 2.0)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    open_faults: dict[int, Step] = {}
    befallen: set[Any] = set()
    for step in steps:
        assert 0 < step.at <= duration
        target = _target(step)
        if step.heals:
            first = open_faults.pop(step.fault)
            assert SHORTEST - 1e-9 <= step.at - first.at <= LONGEST
            befallen.discard(_target(first))
        else:
            assert _target(step) not in befallen
            befallen.add(_target(step))
            open_faults[step.fault] = step
        assert step.what == "detach_eve" or target in {*planned.nodes, *planned.links, "partition"}
    assert open_faults == {}


def _target(step: Step) -> str:
    arguments = step.arguments
    return str(arguments.get("link") or arguments.get("name") or arguments.get("node") or "partition")


def test_faults_begin_as_a_poisson_process_and_are_of_all_kinds() -> None:
    planned = plan(load(find("grid-3x3")), mode="real-time")
    steps = [step for step in schedule(planned, 1, 5000.0, 0.5) if not step.heals]
    assert abs(len(steps) - 2500) <= SIGMAS * sqrt(2500)
    kinds = Counter(step.what for step in steps)
    assert set(kinds) == {"set_link", "change_link", "attach_eve", "pause", "kill", "partition"}


def test_in_virtual_time_no_process_is_touched() -> None:
    planned = plan(load(find("alice-charlie-bob")), mode="virtual")
    assert {step.what for step in schedule(planned, 3, 300.0, 2.0)} <= set(REPEATABLE)


def test_every_change_is_one_that_a_link_can_have(planned: Plan) -> None:
    for step in schedule(planned, 5, 300.0, 2.0):
        if step.what == "change_link":
            changed(planned.links[step.arguments["name"]], step.arguments["changes"])


@pytest.mark.parametrize(
    ("duration", "intensity"), [(0.0, 1.0), (-1.0, 1.0), (1e7, 1.0), (60.0, 0.0), (60.0, -1.0), (1e6, 1e6)]
)
def test_numbers_that_make_no_schedule_are_refused(planned: Plan, duration: float, intensity: float) -> None:
    with pytest.raises(UsageError, match="make no schedule"):
        schedule(planned, 1, duration, intensity)


async def test_every_step_is_taken_at_its_time_and_reported(planned: Plan) -> None:
    lab, told = FakeLab(), list[Taken]()
    steps = schedule(planned, 7, 30.0)
    async with asyncio.timeout(10):
        await unleash(lab, steps, told.append)
    assert sorted((taken.step.at, taken.step.fault) for taken in told) == [
        (step.at, step.fault) for step in steps
    ]
    assert not any(taken.error for taken in told)
    assert len(lab.done) == len(steps)
    attached = [a["name"] for _, what, a in lab.done if what == "attach_eve"]
    assert len(attached) == len(set(attached)) > 0
    assert sorted(a["name"] for _, what, a in lab.done if what == "detach_eve") == sorted(attached)


async def test_a_step_that_fails_is_told_and_the_rest_goes_on(planned: Plan) -> None:
    lab, told = FakeLab(), list[Taken]()
    lab.fails = {"attach_eve": UsageError("she is ill"), "kill": UsageError("it lives")}
    steps = schedule(planned, 7, 60.0, 1.0)
    await unleash(lab, steps, told.append)
    assert len(told) == len(steps)
    failed = {taken.step.what for taken in told if taken.error}
    assert {"attach_eve"} <= failed <= {"attach_eve", "detach_eve", "kill"}


async def test_a_lab_that_goes_away_ends_it(planned: Plan) -> None:
    lab = FakeLab()
    lab.fails = {"set_link": ControlUnreachable("the lab went down meanwhile")}
    with pytest.raises(ControlUnreachable, match="went down"):
        await unleash(lab, schedule(planned, 7, 60.0, 1.0))


@pytest.mark.parametrize(
    "stops_at", ["set_link", "partition", "kill", "change_link", "pause", "resume", "attach_eve"]
)
async def test_what_is_broken_when_it_is_cancelled_is_healed(planned: Plan, stops_at: str) -> None:
    lab = FakeLab()
    steps = schedule(planned, 7, 200.0, 1.0)
    lab.stops_at = stops_at
    running = asyncio.ensure_future(unleash(lab, steps))
    await lab.stuck.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    broken: dict[str, str] = {}
    for _, what, arguments in lab.done:
        target = str(arguments.get("name") or arguments.get("link") or arguments.get("node") or "lab")
        if what in ("reset_link", "resume", "heal", "detach_eve") or arguments.get("up"):
            broken.pop(target, None)
        else:
            broken[target] = what
    assert broken == {}


async def test_a_fault_that_cannot_be_healed_keeps_no_other_from_it() -> None:
    lab = FakeLab()
    lab.fails = {"reset_link": ControlUnreachable("it does not answer")}
    faults = [
        Step(1.0, 1, "change_link", {"name": "alice-charlie"}, False),
        Step(1.5, 2, "kill", {"node": "bob"}, False),
        Step(90.0, 1, "reset_link", {"name": "alice-charlie"}, True),
        Step(91.0, 2, "resume", {"node": "bob"}, True),
    ]
    lab.stops_at = "kill"
    async with asyncio.timeout(10):
        with pytest.raises(ControlUnreachable):
            await unleash(lab, faults)
    assert [what for _, what, _ in lab.done if what in ("reset_link", "resume")][-2:] == [
        "reset_link",
        "resume",
    ]


def test_nodes_that_others_run_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "name: own\nnodes: {a: {external: true}, b: , c: {external: true}}\n"
        "links: [{endpoints: [a, b], length: 1 km}, {endpoints: [b, c], length: 1 km}]\n"
    )
    steps = schedule(plan(load(file), mode="real-time"), 1, 600.0, 1.0)
    assert {step.arguments["node"] for step in steps if "node" in step.arguments} == {"b"}
