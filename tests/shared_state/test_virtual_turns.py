"""The conservative clock: who has the turn, and when, follows from what is due and from nothing else."""

from __future__ import annotations

from math import inf

import pytest

from shared_state.errors import BadRequest, LimitExceeded, TimeReversed
from shared_state.turns import MAX_PLANNED, Answer, Arrival, Due, Stalled, Turns, Wake

Granted = tuple[str, float, list[Due]]


def arrival(sequence: int = 0) -> Arrival:
    return Arrival("someone", "run", sequence)


@pytest.fixture
def granted() -> list[Granted]:
    """What has been granted so far."""
    return []


@pytest.fixture
def turns(granted: list[Granted]) -> Turns:
    return Turns(lambda node, time, due: granted.append((node, time, due)))


def held(turns: Turns, *nodes: str) -> None:
    """Let nodes join, and wait for nothing."""
    turns.hold("test")
    for node in nodes:
        turns.end(node, None, ())
    turns.release("test")


def test_what_is_due_earlier_comes_first_whenever_it_was_planned(
    turns: Turns, granted: list[Granted]
) -> None:
    held(turns, "alice", "bob")
    turns.hold("test")
    turns.plan(2.0, "alice", arrival(2))
    turns.plan(1.0, "bob", arrival(1))
    turns.release("test")
    assert granted == [("bob", 1.0, [arrival(1)])]
    turns.end("bob", None, ())
    assert granted[1:] == [("alice", 2.0, [arrival(2)])]


def test_of_what_is_due_at_the_same_time_the_name_of_the_node_decides_who_is_first(
    turns: Turns, granted: list[Granted]
) -> None:
    held(turns, "zoe", "alice")
    turns.hold("test")
    turns.plan(1.0, "zoe", arrival())
    turns.plan(1.0, "alice", arrival())
    turns.release("test")
    turns.end("alice", None, ())
    assert [node for node, _, _ in granted] == ["alice", "zoe"]


def test_what_is_due_to_one_node_at_the_same_time_comes_in_one_turn_in_the_order_of_planning(
    turns: Turns, granted: list[Granted]
) -> None:
    held(turns, "alice")
    turns.hold("test")
    due: list[Due] = [arrival(3), Answer(7, 0), arrival(1), Wake()]
    for each in due:
        turns.plan(1.0, "alice", each)
    turns.release("test")
    assert granted == [("alice", 1.0, due)]


def test_a_timer_that_goes_off_with_a_message_shares_its_turn(turns: Turns, granted: list[Granted]) -> None:
    turns.join("bob")
    turns.end("alice", 1.0, ())
    turns.plan(1.0, "alice", arrival())
    turns.end("bob", None, ())
    assert granted == [("alice", 1.0, [arrival()])]
    assert turns.count == 1


def test_nobody_gets_a_turn_while_another_has_it(turns: Turns, granted: list[Granted]) -> None:
    turns.join("alice")
    turns.end("bob", 0.5, ())
    turns.plan(0.25, "bob", arrival())
    assert turns.holder == "alice"
    assert not granted
    turns.end("alice", None, ())
    assert granted == [("bob", 0.25, [arrival()])]


def test_an_idle_hour_is_one_turn(turns: Turns, granted: list[Granted]) -> None:
    turns.end("alice", 3600.0, ())
    assert granted == [("alice", 3600.0, [])]
    assert turns.count == 1


def test_a_deadlock_is_told_to_all_who_wait_with_the_whole_story(
    turns: Turns, granted: list[Granted]
) -> None:
    turns.join("bob")
    turns.end("carol", None, ())
    turns.end("alice", None, ["a message of bob", "a herald"])
    turns.end("bob", None, ["a message of alice"])
    story = "at 0 s everybody waits: alice for a message of bob, a herald; bob for a message of alice"
    assert granted == [("alice", 0.0, [Stalled(story)])]
    turns.end("alice", None, ())
    assert granted[1:] == [("bob", 0.0, [Stalled(story)])]
    turns.end("bob", None, ())
    assert len(granted) == 2  # carol waits for nobody and is not told


def test_who_is_content_with_waiting_for_ever_is_no_deadlock(turns: Turns, granted: list[Granted]) -> None:
    held(turns, "alice", "bob")
    assert not granted
    turns.plan(5.0, "alice", arrival())
    assert granted == [("alice", 5.0, [arrival()])]


def test_who_waits_beside_one_with_a_timer_is_in_no_deadlock_yet(
    turns: Turns, granted: list[Granted]
) -> None:
    turns.join("alice")
    turns.end("bob", None, ["a message of alice"])
    turns.end("alice", 4.0, ())
    assert granted == [("alice", 4.0, [])]


def test_the_turn_of_one_who_leaves_goes_to_the_next(turns: Turns, granted: list[Granted]) -> None:
    turns.join("alice")
    turns.end("bob", 2.0, ())
    turns.leave("alice")
    assert granted == [("bob", 2.0, [])]
    assert "alice" not in turns
    turns.leave("alice")  # once more is no error
    assert turns.holder == "bob"


def test_what_was_due_to_one_who_left_is_not_due_to_its_successor(
    turns: Turns, granted: list[Granted]
) -> None:
    turns.join("bob")
    turns.end("alice", None, ())
    turns.plan(1.0, "alice", arrival())
    turns.leave("alice")
    turns.plan(1.0, "alice", arrival())
    turns.end("alice", None, ())
    turns.end("bob", None, ())
    assert not granted


def test_the_last_to_leave_makes_the_others_deadlock_known(turns: Turns, granted: list[Granted]) -> None:
    turns.join("alice")
    turns.end("bob", None, ["a message of alice"])
    turns.leave("alice")
    assert granted == [("bob", 0.0, [Stalled("at 0 s everybody waits: bob for a message of alice")])]


def test_time_stands_still_until_the_last_hold_is_released(turns: Turns, granted: list[Granted]) -> None:
    turns.hold("control")
    turns.hold("another")
    turns.hold("control")  # twice is once
    turns.end("alice", 1.0, ())
    turns.release("control")
    assert not granted
    turns.release("another")
    assert granted == [("alice", 1.0, [])]


def test_a_timer_in_the_past_is_refused_and_the_turn_kept(turns: Turns) -> None:
    turns.end("alice", 10.0, ())
    with pytest.raises(TimeReversed, match=r"a timer is stated for 9.0 s, and the lab is at 10.0 s already"):
        turns.end("alice", 9.0, ())
    assert turns.holder == "alice"


def test_what_is_due_in_the_past_is_refused(turns: Turns) -> None:
    turns.end("alice", 10.0, ())
    with pytest.raises(TimeReversed, match="what is due is stated for"):
        turns.plan(9.0, "alice", arrival())


@pytest.mark.parametrize("time", [2e9, inf])
def test_nothing_is_due_after_the_end_of_time(turns: Turns, time: float) -> None:
    turns.join("alice")
    with pytest.raises(BadRequest, match="virtual time ends at"):
        turns.end("alice", time, ())
    with pytest.raises(BadRequest, match="virtual time ends at"):
        turns.plan(time, "alice", arrival())


def test_a_time_that_was_added_up_another_way_is_the_present(turns: Turns, granted: list[Granted]) -> None:
    turns.end("alice", 0.3, ())
    turns.end("alice", 0.1 + 0.1 + 0.1 - 1e-15, ())
    assert granted[-1] == ("alice", 0.3, [])


def test_an_operation_before_its_nodes_turn_is_refused_and_one_in_it_is_not(turns: Turns) -> None:
    turns.end("alice", 10.0, ())
    turns.check("alice", 10.0)
    turns.check("alice", 11.0)
    turns.check("nobody", 0.0)  # takes no turns, and states its own times
    with pytest.raises(TimeReversed, match=r"alice states 9.5 s, and its turn began at 10.0 s"):
        turns.check("alice", 9.5)


def test_so_many_messages_may_be_on_their_way_to_a_node_and_no_more(turns: Turns) -> None:
    turns.join("alice")
    for sequence in range(MAX_PLANNED):
        turns.plan(1.0, "alice", arrival(sequence))
    with pytest.raises(LimitExceeded, match=f"{MAX_PLANNED} messages are on their way to alice"):
        turns.plan(1.0, "alice", arrival())
    turns.plan(1.0, "alice", Answer(1, 0))  # what the node itself has asked for is bounded elsewhere
    turns.end("alice", None, ())
    turns.plan(1.0, "alice", arrival())  # they have arrived


def test_what_is_withdrawn_does_not_come(turns: Turns, granted: list[Granted]) -> None:
    turns.join("alice")
    turns.plan(1.0, "alice", Answer(7, 0, 3))
    turns.plan(2.0, "alice", arrival())
    assert turns.withdraw("alice", 7) == Answer(7, 0, 3)
    assert turns.withdraw("alice", 7) is None
    turns.end("alice", None, ())
    assert granted == [("alice", 2.0, [arrival()])]
