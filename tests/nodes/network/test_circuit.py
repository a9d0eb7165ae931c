"""Circuits: which segments there are, by a definition that knows nothing of ladders; and circuits that cannot be."""

from __future__ import annotations

from itertools import product
from math import ceil, inf, log2
from typing import Any

import pytest

from nodes.network.circuit import Circuit, Distillation, Segment, ladder, nested, ordered

NAMES = "abcdefgh"


def circuit(levels: tuple[int, ...], **rest: Any) -> Circuit:
    """Return a circuit whose nodes between the ends have these levels."""
    links = len(levels) + 1
    return Circuit("c", "r", tuple(NAMES[: links + 1]), tuple(map(str, range(links))), levels, **rest)


def shared(levels: tuple[int, ...]) -> set[tuple[int, int]]:
    """Return who shares pairs at some time, if each node swaps with nodes of its own level or higher only."""
    level = [inf, *levels, inf]
    pairs = {(link, link + 1) for link in range(len(level) - 1)}
    while True:
        swapped = {
            (left, right)
            for left, here in pairs
            for other, right in pairs
            if here == other and level[left] >= level[here] <= level[right]
        }
        if swapped <= pairs:
            return pairs
        pairs |= swapped


def segments(levels: tuple[int, ...]) -> set[Segment]:
    """Return the links, and the pairs whose ends are both higher than all nodes between; the highest of these stop."""
    level = [inf, *levels, inf]
    found = set()
    for left, right in shared(levels):
        between = range(left + 1, right)
        top = max((level[node] for node in between), default=0)
        if min(level[left], level[right]) > top:
            stops = (node for node in between if level[node] == top)
            found.add(Segment((left, *stops, right), int(top)))
    return found


@pytest.mark.parametrize("between", range(6))
def test_ladders_list_the_segments_for_all_levels_of_up_to_five_nodes(between: int) -> None:
    for levels in product(range(1, between + 1), repeat=between):
        these, expected = circuit(levels), segments(levels)
        for here in range(between + 2):
            right = [segment for segment in expected if segment.ends[0] == here]
            left = [segment for segment in expected if segment.ends[1] == here]
            assert ladder(these, here, "right") == tuple(sorted(right, key=lambda one: one.ends[1]))
            assert ladder(these, here, "left") == tuple(sorted(left, key=lambda one: -one.ends[0]))


@pytest.mark.parametrize("between", range(1, 5))
def test_a_node_swaps_the_last_segments_of_its_ladders_whose_other_ends_are_not_lower(between: int) -> None:
    for levels in product(range(1, between + 1), repeat=between):
        these = circuit(levels)
        for here in range(1, between + 1):
            left, right = ladder(these, here, "left"), ladder(these, here, "right")
            assert these.level(left[-1].ends[0]) >= these.level(here) <= these.level(right[-1].ends[1])
            lower = [*(one.ends[0] for one in left[:-1]), *(one.ends[1] for one in right[:-1])]
            assert all(these.level(end) < these.level(here) for end in lower)


def test_the_ladders_of_an_end_lead_to_the_other_end_and_not_beyond() -> None:
    these = circuit((1, 3, 2, 1))
    assert ladder(these, 0, "right")[-1].ends == ladder(these, 5, "left")[-1].ends == (0, 5)
    assert ladder(these, 0, "left") == ladder(these, 5, "right") == ()


def test_the_chart_in_the_docstring_is_right() -> None:
    these = circuit((1, 2, 1))
    assert ladder(these, 2, "left") == (Segment((1, 2), 0), Segment((0, 1, 2), 1))
    assert ladder(these, 0, "right") == (Segment((0, 1), 0), Segment((0, 1, 2), 1), Segment((0, 2, 4), 2))


def test_without_levels_all_swap_as_soon_as_possible() -> None:
    these = Circuit("c", "r", ("a", "b", "c", "d"), ("0", "1", "2"))
    assert ladder(these, 0, "right") == (Segment((0, 1), 0), Segment((0, 1, 2, 3), 1))


@pytest.mark.parametrize("power", range(5))
def test_over_a_power_of_two_of_links_a_node_has_the_level_of_how_often_2_divides_its_position(
    power: int,
) -> None:
    levels = nested(2**power)
    assert levels == tuple(1 + (here & -here).bit_length() - 1 for here in range(1, 2**power))


@pytest.mark.parametrize("links", range(1, 33))
def test_nested_levels_halve_every_stretch_and_are_as_few_as_can_be(links: int) -> None:
    levels = nested(links)
    assert len(levels) == links - 1
    assert max(levels, default=0) == ceil(log2(links))

    def check(stretch: tuple[int, ...]) -> None:
        if stretch:
            middle = len(stretch) // 2 if len(stretch) % 2 else (len(stretch) - 1) // 2
            assert sum(level == stretch[middle] for level in stretch) == 1
            assert stretch[middle] == max(stretch)
            check(stretch[:middle])
            check(stretch[middle + 1 :])

    check(levels)


def test_nodes_swap_in_the_order_in_which_they_are_named_after_all_others() -> None:
    assert ordered(["d", "b"], "bcd") == (3, 1, 2)
    assert ordered([], "bcd") == (1, 1, 1)


@pytest.mark.parametrize(
    ("names", "between", "reason"),
    [
        (["a"], "bcd", "'a' does not swap between the ends; there are: b, c, d"),
        (["a"], "", "there are: none"),
        (["b", "b"], "bcd", "each node swaps once"),
    ],
)
def test_an_order_of_nodes_that_are_not_there_or_come_twice_is_refused(
    names: list[str], between: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        ordered(names, between)


GOOD: dict[str, Any] = {"name": "c", "purpose": "r", "path": ("a", "b", "c"), "links": ("1", "2")}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"path": ("a",), "links": ()}, "no circuit leads over"),
        ({"path": ("a", "b", "a")}, "no circuit leads over"),
        ({"links": ("1",)}, "no circuit leads over"),
        ({"levels": (1, 1)}, "1 nodes between the ends take as many levels"),
        ({"levels": (0,)}, "levels from 1 on"),
        ({"alphas": (0.1,)}, "2 links take as many alphas"),
        ({"batch": 0}, "a unit has 1 to 64 pairs"),
        ({"batch": 65}, "a unit has 1 to 64 pairs"),
        ({"window": 0}, "a window at least one"),
        ({"cutoff": 0.0}, "a cut-off is a positive time"),
        ({"cutoff": float("nan")}, "a cut-off is a positive time"),
        ({"distillations": (Distillation(0, "dejmps"),), "batch": 2}, "batch 1, kind keep"),
        ({"distillations": (Distillation(0, "dejmps"),), "kind": "measure"}, "batch 1, kind keep"),
        ({"distillations": (Distillation(0, "twirl"),)}, "purification is one of bbpssw, dejmps, epl"),
        ({"distillations": (Distillation(1, "epl"),)}, "the first purification of level 0"),
        ({"distillations": (Distillation(0, "dejmps"), Distillation(0, "epl"))}, "the first purification"),
    ],
)
def test_a_circuit_that_cannot_be_is_refused_with_the_reason(changed: dict[str, Any], reason: str) -> None:
    Circuit(**GOOD)
    with pytest.raises(ValueError, match=reason):
        Circuit(**GOOD | changed)


def test_epl_may_come_after_purifications_of_other_levels() -> None:
    steps = Distillation(1, "dejmps"), Distillation(0, "epl"), Distillation(0, "dejmps")
    these = Circuit(**GOOD, distillations=steps)
    link, whole = ladder(these, 0, "right")
    assert these.protocols(link) == ("epl", "dejmps")
    assert these.protocols(whole) == ("dejmps",)
    assert these.least == 4


def test_a_link_has_its_own_alpha_unless_one_is_given() -> None:
    assert Circuit(**GOOD).alpha(1) is None
    assert Circuit(**GOOD, alphas=(None, 0.2)).alpha(1) == 0.2
