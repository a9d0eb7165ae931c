from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.envelope import Envelope
from broker.errors import InboxOverflow
from broker.inbox import Sequencer


def message(sequence: int, sender: str = "alice", session: str = "run-1") -> Envelope:
    return Envelope(
        "lab", sender, "bob", "teleport", session, sequence, 0.0, 0.0, "Correction", {"n": sequence}
    )


@given(st.integers(0, 20).flatmap(lambda count: st.permutations([*range(count), *range(count)])))
def test_any_order_with_any_repetition_comes_out_once_and_in_order(arrivals: list[int]) -> None:
    inbox = Sequencer()
    delivered = [envelope for sequence in arrivals for envelope in inbox.accept(message(sequence))]
    assert [envelope.sequence for envelope in delivered] == list(range(len(arrivals) // 2))
    assert inbox.gap("alice", "run-1") is None


@given(st.sets(st.integers(0, 20)).flatmap(lambda numbers: st.permutations(sorted(numbers))))
def test_delivery_stops_at_the_first_missing_message(arrivals: list[int]) -> None:
    inbox = Sequencer()
    delivered = [envelope.sequence for number in arrivals for envelope in inbox.accept(message(number))]
    missing = next(number for number in range(22) if number not in arrivals)
    assert delivered == list(range(missing))
    assert inbox.gap("alice", "run-1") == (missing if len(arrivals) > missing else None)


def test_senders_and_sessions_are_counted_apart() -> None:
    inbox = Sequencer()
    assert inbox.accept(message(0, "alice", "run-1"))
    assert inbox.accept(message(0, "alice", "run-2"))
    assert inbox.accept(message(0, "charlie", "run-1"))
    assert not inbox.accept(message(2, "charlie", "run-1"))
    assert inbox.gap("charlie", "run-1") == 1
    assert inbox.gap("alice", "run-1") is None


def test_a_forgotten_session_stays_closed_to_late_duplicates() -> None:
    inbox = Sequencer()
    inbox.accept(message(0))
    inbox.accept(message(2))
    inbox.forget("run-1")
    assert inbox.accept(message(0)) == []
    assert inbox.gap("alice", "run-1") is None


def test_too_many_early_messages_are_an_error_that_names_the_missing_one() -> None:
    inbox = Sequencer(hold=3)
    for sequence in (1, 2, 3):
        inbox.accept(message(sequence))
    with pytest.raises(InboxOverflow, match="Missing sequence 0 from alice in session run-1"):
        inbox.accept(message(4))
    assert len(inbox.accept(message(0))) == 4
