"""Races between swaps, expiry and messages: one short story each, in which the order of events is the point.

The chains have a pair on each link, called link/number: "1/0" is the first of link 1, between nodes 1 and 2, at both.
"""

from __future__ import annotations

import pytest

from nodes.errors import ProtocolViolation
from nodes.network.circuit import Distillation, Side
from nodes.network.tidings import Established, Expired, Parity, Purify, Swap, Tiding, Track, Verdict
from nodes.network.tracker import _REMEMBERED, Tracker
from tests.nodes.network.tracker_model import Rules, World, chain

BETWEEN = (1, 2, 3)
BY_DEJMPS = (Distillation(0, "dejmps"),)


def herald(world: World, *links: int) -> None:
    """Tell both ends of some links of their next pair."""
    for link in links:
        world.herald(link, "right")
        world.herald(link + 1, "left")


def hold(world: World) -> list[set[str]]:
    """Return the pairs of which each node holds a half."""
    return [{pair for pair, _ in held} for held in world.care]


# tracks


def test_a_late_track_does_not_touch_a_newer_pair_in_the_same_memory() -> None:
    world = World(Rules(chain(2), pairs=2, losses=(2,)))
    herald(world, 0, 1)
    world.end(1, "0/0")
    world.lose(2, "1/0")
    herald(world, 1)  # its successor takes its place
    assert isinstance(world.hear(1, 2), Track)
    assert hold(world)[2] == {"1/1"}
    assert world.channels == {(2, 1): (Expired("1/0"),)}
    world.settle()
    assert world.names(2) == {"0/1"}


def test_a_track_that_arrives_before_the_swap_waits_for_it() -> None:
    world = World(Rules(chain(3)))
    herald(world, 0, 1)
    world.end(1, "0/0")
    world.hear(1, 2)
    assert not world.channels
    herald(world, 2)
    world.end(2, "1/0")
    assert set(world.channels) == {(2, 3)}
    world.settle()
    assert world.names(0) == world.names(3) == {"0/0"}


def test_a_track_that_arrives_while_the_bell_measurement_is_under_way_waits_for_its_outcome() -> None:
    world = World(Rules(chain(3)))
    herald(world, 0, 1, 2)
    world.end(1, "0/0")
    world.hear(1, 2)
    assert not world.channels
    world.end(2, "1/0")
    world.settle()
    assert world.names(3) == {"0/0"}


def test_a_track_that_is_faster_than_the_herald_of_its_pair_waits_for_that() -> None:
    world = World(Rules(chain(2)))
    herald(world, 0)
    world.herald(1, "right")
    world.end(1, "0/0")
    world.hear(1, 2)
    assert not world.channels
    world.herald(2, "left")
    world.settle()
    assert world.names(0) == world.names(2) == {"0/0"}


def test_a_track_for_a_pair_that_was_discarded_is_not_passed_on() -> None:
    world = World(Rules(chain(3), cutoffs=BETWEEN))
    herald(world, 0, 1)
    world.end(1, "0/0")
    world.overdue(2, "1/0")
    assert isinstance(world.hear(1, 2), Track)
    herald(world, 2)
    world.settle()
    assert hold(world) == [set(), set(), {"2/0"}, {"2/0"}]


# expiry


def test_an_expiry_and_a_track_that_cross_end_the_pair_at_both_ends() -> None:
    world = World(Rules(chain(3, (1, 2)), cutoffs=BETWEEN))
    herald(world, 0, 1)
    world.end(1, "0/0")
    world.overdue(2, "1/0")
    assert set(world.channels) == {(1, 2), (2, 1)}
    world.settle()
    assert hold(world)[:2] == [set(), set()]
    assert not world.delivered


def test_an_expiry_that_is_faster_than_the_herald_of_its_pair_waits_for_that() -> None:
    world = World(Rules(chain(2), cutoffs=BETWEEN))
    world.herald(1, "left")
    world.overdue(1, "0/0")
    world.hear(1, 0)
    world.herald(0, "right")
    assert hold(world) == [set(), set(), set()]


def test_both_ends_of_a_link_may_discard_at_once() -> None:
    world = World(Rules(chain(3), cutoffs=BETWEEN))
    herald(world, 1)
    world.overdue(1, "1/0")
    world.overdue(2, "1/0")
    world.settle()
    assert hold(world)[1:3] == [{"0/0"}, {"2/0"}]


def test_both_ends_of_a_segment_may_discard_at_once() -> None:
    world = World(Rules(chain(4, (2, 1, 2)), cutoffs=BETWEEN))
    herald(world, 1, 2)
    world.end(2, "1/0")
    world.hear(2, 3)
    world.overdue(1, "1/0")  # which has not heard yet that it shares with 3
    world.overdue(3, "2/0")
    assert set(world.channels) == {(3, 1), (1, 2)}
    world.settle()
    assert hold(world)[1:4] == [{"0/0"}, set(), {"3/0"}]


def test_an_expiry_that_is_heard_while_the_bell_measurement_is_under_way_is_passed_on_after_it() -> None:
    world = World(Rules(chain(3), cutoffs=BETWEEN))
    herald(world, 0, 1)
    world.overdue(2, "1/0")
    world.hear(2, 1)
    assert not world.channels
    world.end(1, "0/0")
    assert world.channels == {(1, 0): (Expired("0/0"),)}


def test_expiries_from_both_sides_during_a_bell_measurement_leave_nobody_to_tell() -> None:
    world = World(Rules(chain(4, (2, 1, 2)), cutoffs=BETWEEN))
    herald(world, 1, 2)
    world.overdue(1, "1/0")
    world.overdue(3, "2/0")
    world.hear(1, 2)
    world.hear(3, 2)
    world.end(2, "1/0")
    assert not world.channels
    assert hold(world) == [set()] * 5


def test_an_expiry_passes_through_all_that_have_swapped() -> None:
    world = World(Rules(chain(4), losses=(4,)))
    herald(world, 3, 2, 1, 0)
    for stop, pair in ((3, "2/0"), (2, "1/0"), (1, "0/0")):
        world.end(stop, pair)
    world.lose(4, "3/0")
    assert [world.hear(here, here - 1) for here in (4, 3, 2, 1)] == [
        Expired(f"{link}/0") for link in (3, 2, 1, 0)
    ]
    world.settle()
    assert hold(world) == [set()] * 5


def test_a_cutoff_that_passes_during_a_bell_measurement_or_later_changes_nothing() -> None:
    world = World(Rules(chain(2), cutoffs=BETWEEN))
    herald(world, 0, 1)
    world.overdue(1, "0/0")
    world.end(1, "0/0")
    assert world.tell(1, "overdue", "1/0") == ()
    world.settle()
    assert world.names(0) == world.names(2) == {"0/0"}


def test_a_failed_swap_tells_both_sides() -> None:
    world = World(Rules(chain(2), losses=(1,)))
    herald(world, 0, 1)
    world.end(1, "0/0", "badly")
    assert world.channels == {(1, 0): (Expired("0/0"),), (1, 2): (Expired("1/0"),)}
    world.settle()
    assert hold(world) == [set()] * 3


def test_a_failed_swap_does_not_tell_who_has_given_up_before() -> None:
    world = World(Rules(chain(3), cutoffs=BETWEEN, losses=(1,)))
    herald(world, 0, 1)
    world.overdue(2, "1/0")
    world.hear(2, 1)
    world.end(1, "0/0", "badly")
    assert set(world.channels) == {(1, 0)}


# ends of segments


def test_established_for_a_half_that_was_discarded_changes_nothing() -> None:
    world = World(Rules(chain(3, (2, 1)), cutoffs=BETWEEN))
    herald(world, 1, 2)
    world.end(2, "1/0")
    world.hear(2, 3)
    world.overdue(1, "1/0")
    assert isinstance(world.hear(3, 1), Established)
    assert hold(world)[1] == set()
    world.settle()
    assert hold(world)[3] == set()


def test_established_across_a_larger_segment_may_overtake_that_across_a_smaller_one() -> None:
    world = World(Rules(chain(4, (1, 2, 1))))
    herald(world, 0, 1, 2, 3)
    world.end(1, "0/0")
    world.end(3, "2/0")
    world.hear(1, 2)
    world.hear(3, 4)
    world.hear(4, 2)
    world.end(2, "1/0")
    world.hear(2, 4)
    assert isinstance(world.hear(4, 0), Established)
    assert world.names(0) == {"0/0"}
    assert isinstance(world.hear(2, 0), Established)
    world.settle()


def test_established_across_a_smaller_segment_may_arrive_after_the_swap_of_the_larger_one() -> None:
    world = World(Rules(chain(5, (3, 1, 2, 1))))
    herald(world, 1, 2, 3, 4)
    world.end(2, "1/0")
    world.end(4, "3/0")
    world.hear(2, 3)
    world.hear(4, 5)
    world.hear(5, 3)
    world.end(3, "2/0")
    world.hear(3, 5)
    world.hear(5, 1)
    herald(world, 0)
    world.end(1, "0/0")
    assert isinstance(world.hear(3, 1), Established)
    world.settle()
    assert world.names(0) == world.names(5) == {"0/0"}


def test_established_before_the_herald_keeps_later_news_of_its_sender_behind_it() -> None:
    world = World(Rules(chain(4, (2, 1, 2)), pairs=2, places=2))
    herald(world, 1, 2, 2)
    world.herald(2, "left")
    world.end(2, "1/1")
    world.end(2, "1/0")
    for _ in range(2):
        world.hear(2, 3)
        world.hear(3, 1)
    herald(world, 0)
    assert not world.operations
    world.herald(1, "right")
    assert world.operations == {(1, "0/0"): Swap("0/0", "1/1")}


def test_both_ends_of_a_segment_use_its_pairs_in_the_order_in_which_they_are_ready() -> None:
    world = World(Rules(chain(4, (2, 1, 2)), pairs=2, places=2))
    herald(world, 1, 1, 2, 2)
    world.end(2, "1/1")
    world.end(2, "1/0")
    herald(world, 3)
    world.hear(2, 3)
    assert world.operations == {(3, "2/1"): Swap("2/1", "3/0")}
    world.hear(2, 3)
    world.hear(3, 1)
    world.hear(3, 1)
    herald(world, 0)
    assert world.operations[1, "0/0"] == Swap("0/0", "1/1")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_pairs_in_flight_when_the_limit_is_reached_are_given_up_at_both_ends(order: tuple[int, int]) -> None:
    world = World(Rules(chain(2), pairs=2, places=2, limit=1))
    herald(world, 0, 0, 1, 1)
    for number in order:
        world.end(1, f"0/{number}")
    world.hear(1, 2)
    assert world.names(2) == {f"0/{order[0]}"}
    world.hear(1, 2)
    world.settle()
    assert world.names(0) == world.names(2) == {f"0/{order[0]}"}
    assert hold(world) == [set()] * 3


def test_an_end_that_wants_no_more_gives_up_what_comes() -> None:
    world = World(Rules(chain(2)))
    herald(world, 0, 1)
    world.end(1, "0/0")
    world.tracker(2).limit = 0
    world.settle()
    assert not world.delivered
    assert hold(world) == [set()] * 3


# purification


def _measured_at_the_tail() -> World:
    """Purify 1/1 away on link 1, where the right end has done its part."""
    world = World(Rules(chain(2, distillations=BY_DEJMPS), 2, 2, cutoffs=(1,), losses=(1, 2), noise=True))
    herald(world, 1, 1)
    assert world.operations == {(2, "1/0"): Purify("1/0", "1/1", "dejmps", left=False)}
    world.end(2, "1/0")
    return world


@pytest.mark.parametrize("gone", ["1/0", "1/1"])
def test_a_parity_that_crosses_an_expiry_ends_the_pair_at_both_ends(gone: str) -> None:
    world = _measured_at_the_tail()
    world.overdue(1, gone)
    assert world.channels == {(2, 1): (Parity("1/0", "1/1", 0),), (1, 2): (Expired(gone),)}
    world.settle()
    assert hold(world)[1:] == [{"0/0", "0/1"} & hold(world)[0], set()]


@pytest.mark.parametrize("how", ["well", "noise"])
def test_a_verdict_that_crosses_an_expiry_ends_the_pair_at_both_ends(how: str) -> None:
    world = _measured_at_the_tail()
    world.hear(2, 1)
    world.lose(2, "1/0")
    world.end(1, "1/0", how)
    assert world.channels == {(2, 1): (Expired("1/0"),), (1, 2): (Verdict("1/0", success=how == "well"),)}
    world.settle()
    assert hold(world)[2] == set()


def test_an_expiry_that_is_heard_during_a_purification_at_the_left_end_ends_it() -> None:
    world = _measured_at_the_tail()
    world.hear(2, 1)
    world.lose(2, "1/0")
    world.hear(2, 1)
    world.end(1, "1/0")
    assert "1/0" not in hold(world)[1]
    world.settle()


@pytest.mark.parametrize("gone", ["1/0", "1/1"])
def test_an_expiry_that_is_heard_during_a_purification_at_the_right_end_ends_it(gone: str) -> None:
    world = World(Rules(chain(2, distillations=BY_DEJMPS), 2, 2, cutoffs=(1,)))
    herald(world, 1, 1)
    world.overdue(1, gone)
    world.hear(1, 2)
    world.end(2, "1/0")
    assert set(world.channels) == {(2, 1)}
    world.settle()
    assert hold(world)[1:] == [{"0/0"}, set()]


def test_a_cutoff_that_passes_while_the_other_end_is_asked_waits_for_its_verdict() -> None:
    world = World(Rules(chain(2, distillations=BY_DEJMPS), 2, 2, cutoffs=(1,), noise=True))
    herald(world, 0, 0)
    world.end(1, "0/0")
    world.overdue(1, "0/0")
    assert hold(world)[1] == {"0/0"}
    world.hear(1, 0)
    world.end(0, "0/0")
    world.hear(0, 1)
    assert hold(world)[1] == set()
    world.settle()
    assert hold(world)[0] == set()


def test_a_cutoff_that_passes_while_the_other_end_is_asked_does_not_stop_a_swap_that_can_be() -> None:
    world = World(Rules(chain(2, distillations=BY_DEJMPS), 2, 2, cutoffs=(1,)))
    herald(world, 1, 1)
    world.end(2, "1/0")
    world.hear(2, 1)
    world.end(1, "1/0")
    herald(world, 0, 0)
    world.end(1, "0/0")
    world.overdue(1, "0/0")
    world.settle()
    assert world.names(0) == world.names(2) == {"0/0"}


def test_a_parity_waits_for_the_herald_of_the_half_that_it_spends() -> None:
    world = World(Rules(chain(1, distillations=BY_DEJMPS), 2, 2))
    world.herald(1, "left")
    world.herald(1, "left")
    world.end(1, "0/0")
    world.herald(0, "right")
    world.hear(1, 0)
    assert not world.operations
    world.herald(0, "right")
    world.settle()
    assert world.names(0) == world.names(1) == {"0/0"}


@pytest.mark.parametrize("at", [1, 2])
def test_a_spoilt_purification_ends_all_four_halves(at: int) -> None:
    world = World(Rules(chain(2, distillations=BY_DEJMPS), 2, 2, losses=(1, 2)))
    herald(world, 1, 1)
    if at == 1:
        world.end(2, "1/0")
        world.hear(2, 1)
    world.end(at, "1/0", "badly")
    world.settle()
    assert not {"1/0", "1/1"} & (hold(world)[1] | hold(world)[2])


# what cannot be


@pytest.mark.parametrize(
    ("here", "heard"),
    [
        pytest.param(0, [(2, Established("0/0", "1/0", 0, 0, 0.0))] * 2, id="the same established twice"),
        pytest.param(0, [(1, Established("0/0", "1/0", 0, 0, 0.0))], id="established by a stop"),
        pytest.param(2, [(3, Established("1/0", "2/0", 0, 0, 0.0))], id="established to a right end"),
        pytest.param(
            2, [(0, Track("1/0", "0/0", 0, 0, 0.0))], id="a track from another node than the last stop"
        ),
        pytest.param(2, [(1, Track("1/0", "0/0", 0, 0, 0.0))] * 2, id="the same track twice"),
        pytest.param(1, [(2, Track("1/0", "2/0", 0, 0, 0.0))], id="a track from the right"),
        pytest.param(1, [(0, Track("0/0", "x", 0, 0, 0.0))], id="a track to the first stop"),
        pytest.param(0, [(1, Parity("0/0", "0/1", 0))], id="a parity without purification"),
        pytest.param(2, [(1, Verdict("1/0", success=True))], id="a verdict without purification"),
    ],
)
def test_news_that_cannot_be_true_raises_with_its_sender(here: int, heard: list[tuple[int, Tiding]]) -> None:
    tracker = Tracker(chain(3, (1, 2)), here)
    sides: tuple[tuple[Side, int], ...] = (("left", here - 1), ("right", here))
    for side, link in sides[here == 0 :]:
        for number in range(2):
            list(tracker.heralded(side, f"{link}/{number}", 0.0))
    *before, (sender, last) = heard
    for early, tiding in before:
        list(tracker.received(early, tiding))
    with pytest.raises(ProtocolViolation, match=f"node '{'abcd'[sender]}' says {type(last).__name__}"):
        list(tracker.received(sender, last))


def test_a_parity_for_one_half_twice_or_for_halves_that_are_not_alike_raises() -> None:
    tracker = Tracker(chain(1, distillations=BY_DEJMPS * 2), 0)
    for number in range(3):
        list(tracker.heralded("right", f"0/{number}", 0.0))
    with pytest.raises(ProtocolViolation):
        list(tracker.received(1, Parity("0/0", "0/0", 0)))
    list(tracker.received(1, Parity("0/0", "0/1", 0)))
    with pytest.raises(ProtocolViolation):
        list(tracker.received(1, Parity("0/0", "0/2", 0)))
    list(tracker.measured("0/0", "0/1", 0))
    with pytest.raises(ProtocolViolation):
        list(tracker.received(1, Parity("0/0", "0/2", 0)))


# memory


def test_news_of_a_pair_that_never_comes_does_not_hold_up_its_sender_for_ever() -> None:
    tracker = Tracker(chain(2), 0)
    list(tracker.heralded("right", "0/0", 0.0))
    list(tracker.received(1, Expired("never")))
    list(tracker.received(1, Expired("0/0")))
    assert tracker.held() == ["0/0"]
    for number in range(_REMEMBERED - 1):
        list(tracker.received(1, Expired(f"never {number}")))
    assert tracker.held() == []


def test_a_stop_remembers_a_bounded_number_of_swaps_and_passes_news_of_the_latest_on() -> None:
    tracker = Tracker(chain(2), 1)
    for number in range(10 * _REMEMBERED):
        list(tracker.heralded("left", f"0/{number}", 0.0))
        list(tracker.heralded("right", f"1/{number}", 0.0))
        list(tracker.swapped(f"0/{number}", f"1/{number}", 0, 0))
    assert len(tracker._halves) == 2 * _REMEMBERED
    assert len(tracker._gone) == _REMEMBERED
    (send,) = tracker.received(2, Expired(f"1/{10 * _REMEMBERED - 1}"))
    assert send.tiding == Expired(f"0/{10 * _REMEMBERED - 1}")  # type: ignore[union-attr]
