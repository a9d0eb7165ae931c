"""Time and chance are arguments, and repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared_state.clock import MAX_LEAP, MAX_TIME, SLACK, lab_clock
from shared_state.config import ClockConfig, ServerConfig
from shared_state.dice import Dice
from shared_state.errors import BadRequest, TimeReversed
from shared_state.journal import Journal


def test_real_time_runs_at_its_scale_from_zero() -> None:
    wall = [100.0]
    clock = lab_clock(ClockConfig("real-time", scale=50.0), lambda: wall[0])
    assert clock.now() == 0
    wall[0] += 0.1
    assert clock.now() == pytest.approx(5.0)


def test_in_real_time_what_comes_late_happens_at_once() -> None:
    clock = lab_clock(ClockConfig("real-time"), lambda: 0.0)
    assert clock.reconcile(1.0, touched=2.0) == 2.0


@pytest.mark.parametrize("scale", [0.5, 1.0, 100.0])
def test_in_real_time_what_a_node_states_is_believed_within_the_slack(scale: float) -> None:
    wall = [0.0]
    clock = lab_clock(ClockConfig("real-time", scale), lambda: wall[0])
    wall[0] = 10.0
    now, slack = 10.0 * scale, SLACK * scale
    for stated, counts in (
        (0.0, now - slack),
        (now, now),
        (now - slack / 2, now - slack / 2),
        (1e300, now + slack),
    ):
        assert clock.believe(stated) == pytest.approx(counts)


def test_virtual_time_leaps_so_far_and_ends() -> None:
    clock = lab_clock(ClockConfig("virtual"), lambda: 0.0)
    clock.check(MAX_LEAP)
    with pytest.raises(BadRequest, match=r"1e\+300 s, and the lab is at 0\.0 s"):
        clock.check(1e300)
    clock.observe(MAX_TIME)
    clock.check(MAX_TIME)
    with pytest.raises(BadRequest, match="virtual time ends"):
        clock.check(MAX_TIME + 1)


def test_virtual_time_is_the_latest_that_was_stated() -> None:
    clock = lab_clock(ClockConfig("virtual"), lambda: 99.0)
    clock.observe(3.0)
    clock.observe(1.0)
    assert clock.now() == 3.0


def test_virtual_time_does_not_run_backwards_on_a_qubit() -> None:
    clock = lab_clock(ClockConfig("virtual"), lambda: 0.0)
    with pytest.raises(TimeReversed, match=r"1\.0 s"):
        clock.reconcile(1.0, touched=2.0)
    assert clock.reconcile(0.1 + 0.2 - 1e-16, touched=0.3) == pytest.approx(0.3)  # rounding is no reversal


def test_a_stream_depends_on_seed_and_name_only() -> None:
    first, second = Dice(1), Dice(1)
    second.stream("node/bob").random(10)
    assert first.stream("node/alice").random() == second.stream("node/alice").random()
    assert Dice(1).stream("node/alice").random() != Dice(1).stream("node/bob").random()
    assert Dice(1).stream("node/alice").random() != Dice(2).stream("node/alice").random()


def test_without_a_seed_the_dice_differ_every_time() -> None:
    assert Dice(None).stream("node/alice").random() != Dice(None).stream("node/alice").random()


@pytest.mark.parametrize("pictures", [False, True])
def test_a_time_of_day_that_was_set_back_does_not_turn_back_the_clock_of_a_lab_with_a_journal(
    config: ServerConfig, tmp_path: Path, pictures: bool
) -> None:
    ages = []
    for day in (1000.0, 400.0, 410.0, 405.0):
        journal = Journal(tmp_path / "journal", config, day)
        ages.append(journal.age)
        journal.write(["end", "node", "alice", ""])
        journal.commit(5.0)  # the server lived for five seconds
        if pictures:
            journal.replace(lambda: b"a picture", lambda: 0.0)
        journal.close()
    assert ages == [0.0, 5.0, 15.0, 20.0]


def test_a_stream_of_one_course_of_time_knows_nothing_of_another() -> None:
    first, second = Dice(1), Dice(1)
    second.stream("node/alice", "other").random(10)
    second.stream("node/alice").random(10)
    assert first.stream("node/alice", "run").random() == second.stream("node/alice", "run").random()
    drawn = [Dice(1).stream(name, story).random() for name in ("a", "b") for story in ("", "a", "b")]
    assert len(set(drawn)) == 6


def test_streams_that_were_forgotten_do_not_repeat_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_state.dice.REMEMBERED", 3)
    dice = Dice(1)
    drawn = [dice.stream("node/alice", f"run {number % 5}").random() for number in range(40)]
    assert len(set(drawn)) == 40
    again = Dice(1)  # and it happens alike every time
    assert drawn == [again.stream("node/alice", f"run {number % 5}").random() for number in range(40)]
    kept = Dice(1)
    assert drawn[:3] == [kept.stream("node/alice", f"run {number}").random() for number in range(3)]
