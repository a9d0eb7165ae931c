"""What a soak judges by: lines through samples, what is left, what was handed out twice, which errors are allowed."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.topology import load
from shared_state.oracle import Census
from tests.benchmarks.soak import LAB, Soaked, document, main, report
from tests.benchmarks.soaking.sampling import Process, Sample
from tests.benchmarks.soaking.slopes import Slope, slope
from tests.benchmarks.soaking.traffic import JOBS, MASTER, SLAVE, Tally, Traffic, closed_set
from tests.benchmarks.soaking.verdict import JUDGED_AFTER, SIGMAS, grown, growth, left

EMPTY = Census(0, 0, {"alice": 0}, 0, 0, 0, 3, 0)


def moment(at: float, *processes: Process, census: Census = EMPTY, journal: int = 0) -> Sample:
    """Return a sample with these processes."""
    return Sample(at, processes, census, journal, 0)


def test_the_slope_of_a_line_is_found_without_error_and_that_of_a_zigzag_with_one() -> None:
    straight = slope([0, 10, 20, 30], [5, 6, 7, 8])
    assert straight is not None
    assert straight.per_hour == pytest.approx(360)
    assert straight.error == pytest.approx(0, abs=1e-9)
    assert (straight.samples, straight.span_s) == (4, 30)
    # y = 0, 1, 0, 1 at t = 0, 1, 2, 3: b = 1/5, residuals -1/5, 3/5, -3/5, 1/5, so s = sqrt(0.8 / 2 / 5)
    zigzag = slope([0, 1, 2, 3], [0, 1, 0, 1])
    assert zigzag is not None
    assert zigzag.per_hour == pytest.approx(3600 / 5)
    assert zigzag.error == pytest.approx(3600 * sqrt(0.08))


def test_a_step_rises_in_one_third_and_a_line_in_each() -> None:
    step = slope(range(30), [0.0] * 15 + [1.0] * 15)
    line = slope(range(30), range(30))
    assert step is not None
    assert line is not None
    assert step.per_hour > SIGMAS * step.error, "it looks certain"
    assert step.thirds[0] == step.thirds[2] == 0 < step.thirds[1]
    assert line.thirds == pytest.approx((3600, 3600, 3600))


def test_two_moments_determine_no_slope() -> None:
    assert slope([], []) is None
    assert slope([1, 2], [1, 2]) is None
    assert slope([1, 1, 2], [1, 2, 3]) is None


def test_growth_is_of_each_process_after_its_warm_up() -> None:
    samples = [
        moment(at, Process("state", 1, 7e9 if at < 30 else at, 5), Process("alice", int(at // 100), 1.0, 5))
        for at in range(0, 200, 10)
    ]
    slopes = growth(samples, 30)
    assert slopes["state", 1].per_hour == pytest.approx(3600)
    assert slopes["alice", 0].span_s == 60
    assert slopes["alice", 1].span_s == 60, "who comes later warms up, too"


@pytest.mark.parametrize(
    ("found", "judged"),
    [
        (Slope(50e6, 5e6, 40, JUDGED_AFTER, (40e6, 60e6, 50e6)), True),
        (Slope(50e6, 5e6, 40, JUDGED_AFTER - 1, (40e6, 60e6, 50e6)), False),
        (Slope(50e6, 20e6, 40, JUDGED_AFTER, (40e6, 60e6, 50e6)), False),
        (Slope(9e6, 1e3, 40, JUDGED_AFTER, (9e6, 9e6, 9e6)), False),
        (Slope(-50e6, 5e6, 40, JUDGED_AFTER, (-40e6, -60e6, -50e6)), False),
        (Slope(50e6, 5e6, 40, JUDGED_AFTER, (2e6, 140e6, 3e6)), False),
    ],
    ids=["a leak", "too short", "uncertain", "little", "shrinks", "a step"],
)
def test_growth_is_a_leak_when_it_is_long_certain_large_and_goes_on(found: Slope, judged: bool) -> None:
    assert bool(grown({("state", 1): found})) is judged


def test_what_was_not_there_before_is_named() -> None:
    state, alice = Process("state", 1, 1e6, 20), Process("alice", 2, 1e6, 30)
    before = moment(0, state, alice)
    assert left(before, moment(9, state, replace(alice, pid=7, descriptors=31))) == []
    assert left(before, moment(9, state)) == ["process 'alice' is not there"]
    assert left(before, moment(9, state, alice, alice)) == ["1 more processes are called 'alice'"]
    assert left(before, moment(9, state, replace(alice, descriptors=33))) == [
        "process 'alice' has 33 descriptors, and had 30"
    ]
    for census in (
        replace(EMPTY, qubits=2),
        replace(EMPTY, held={"alice": 1}),
        replace(EMPTY, handed_over=1),
        replace(EMPTY, reserved=1),
    ):
        assert "not empty" in left(before, moment(9, state, alice, census=census))[0]
    assert left(before, moment(9, state, alice, journal=10**9)) == ["the journal has 1000 MB"]


def test_the_closed_set_has_what_faults_cause_and_not_what_bellwire_is_at_fault_for() -> None:
    assert {"PeerGone", "DeadlinePassed", "LinkDown", "RequestFailed/timeout", "KeyRefused"} <= closed_set()
    assert closed_set().isdisjoint({"InternalError", "ProgramInvalid", "BadRequest", "KeyError", "NotYours"})


class Access:
    """Applications' access to keys, as a test has it: the last answer comes again and again."""

    def __init__(self, made: list[list[dict[str, Any]]], collected: list[list[dict[str, Any]]]) -> None:
        self._made, self._collected = made, collected

    def get_key(self, sae: str, slave: str, number: int, size: int | None) -> list[dict[str, Any]]:
        assert (sae, slave) == (MASTER, SLAVE)
        return self._made.pop(0)

    def get_key_with_ids(self, sae: str, master: str, key_ids: list[str]) -> list[dict[str, Any]]:
        assert (sae, master) == (SLAVE, MASTER)
        return self._collected.pop(0) if len(self._collected) > 1 else self._collected[0]


async def broken(made: list[list[dict[str, Any]]], collected: list[list[dict[str, Any]]]) -> list[str]:
    """Fetch as many keys as there are, and return what was wrong with them."""
    traffic = Traffic(cast(Laboratory, None), cast(Any, Access(list(made), collected)), Tally())
    for _ in made:
        await traffic.fetch_keys()
    return traffic.tally.broken


async def test_keys_that_come_twice_or_differ_are_noticed() -> None:
    one, other = {"key_ID": "1", "key": "YQ=="}, {"key_ID": "2", "key": "Yg=="}
    assert await broken([[one]], [[one], [one]]) == ["key 1 was collected twice"]
    assert "different keys" in (await broken([[one]], [[other]]))[0]
    again = await broken([[one], [one]], [[one]])
    assert again.count("key 1 was handed out twice") == 2, "its identity and its secret"
    assert "key 3 was handed out twice" in await broken([[one], [one | {"key_ID": "3"}]], [[one]])


def test_the_lab_has_all_that_the_jobs_and_applications_want() -> None:
    planned = plan(load(LAB), mode="real-time")
    assert {MASTER, SLAVE} == set(planned.saes)
    assert {link.name for link in planned.key_links} == {"west", "east"}
    assert {node for job in JOBS.values() for node in job.roles.values()} <= set(planned.nodes)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--for", "0s"],
        ["--for", "30"],
        ["--for", "an hour"],
        ["--for", "25h"],
        ["--launcher", "swarm"],
        ["--seed", "x"],
    ],
)
def test_what_cannot_be_meant_is_said(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(wrong)
    assert refused.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_an_intensity_that_makes_no_schedule_is_said_before_any_lab_is_up(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWIRE_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit) as refused:
        main(["--for", "1s", "--intensity", "-1"])
    assert "make no schedule" in str(refused.value.code)


def test_a_report_says_what_was_wrong_and_a_document_has_it_all() -> None:
    soaked = Soaked(
        1, [], {"qkd": 3}, {}, [moment(0)], {("state", 1): Slope(1e6, 1e5, 9, 90, (1e6, 2e6, 0.0))}, []
    )
    assert report(soaked).endswith("nothing leaked, all promises were kept")
    assert "WRONG: it leaks" in report(replace(soaked, wrong=["it leaks"]))
    written = document(soaked)
    assert written["schema"] == "bellwire.soak/1"
    assert written["slopes"] == [
        {
            "process": "state",
            "pid": 1,
            "per_hour": 1e6,
            "error": 1e5,
            "samples": 9,
            "span_s": 90,
            "thirds": (1e6, 2e6, 0.0),
        }
    ]
