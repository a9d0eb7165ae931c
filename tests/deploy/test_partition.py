"""Who is parted from whom, on which plane; and what is no partition."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from deploy.cli.partition import read_groups
from deploy.errors import DeployError, NotFound, UsageError
from deploy.partition import WHOLE, divide

NODES = ("a", "b", "c", "d")


def test_groups_do_not_reach_each_other_and_who_is_in_none_reaches_all() -> None:
    parted = divide([["a", "b"], ["c"]], "both", NODES)
    assert [parted.severed(node) for node in NODES] == [("c",), ("c",), ("a", "b"), ()]
    assert [ends for ends in (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")) if parted.cuts(ends)] == [
        ("b", "c")
    ]


def test_one_group_is_parted_from_all_others() -> None:
    parted = divide([["a"]], "both", NODES)
    assert [parted.severed(node) for node in NODES] == [("b", "c", "d"), ("a",), ("a",), ("a",)]


def test_more_than_two_groups_are_parted_from_each_other() -> None:
    parted = divide([["a"], ["b"], ["c", "d"]], "both", NODES)
    assert [parted.severed(node) for node in NODES] == [
        ("b", "c", "d"),
        ("a", "c", "d"),
        ("a", "b"),
        ("a", "b"),
    ]


def test_on_one_plane_the_other_is_as_before() -> None:
    quantum, classical = (divide([["a"], ["b"]], plane, NODES) for plane in ("quantum", "classical"))
    assert (quantum.severed("a"), quantum.cuts(("b", "a"))) == ((), True)
    assert (classical.severed("a"), classical.cuts(("b", "a"))) == (("b",), False)
    assert (WHOLE.severed("a"), WHOLE.cuts(("a", "b"))) == ((), False)


@pytest.mark.parametrize(
    ("groups", "planes", "error", "says"),
    [
        ([["a"], ["bb"]], "both", NotFound, "unknown node 'bb'; did you mean 'b'?"),
        ([["a"], ["b"]], "quantm", UsageError, "unknown plane 'quantm'; did you mean 'quantum'?"),
        ([["a", "b"], ["b"]], "both", UsageError, "node 'b' cannot be on both sides"),
        ([], "both", UsageError, "at least two groups"),
        ([["a"], []], "both", UsageError, "at least two groups"),
        ([NODES], "both", UsageError, "at least two groups"),
    ],
)
def test_what_is_no_partition_is_refused(
    groups: Sequence[Sequence[str]], planes: str, error: type[DeployError], says: str
) -> None:
    with pytest.raises(error) as refused:
        divide(groups, planes, NODES)
    assert says in str(refused.value)


@pytest.mark.parametrize("words", [["a,b", "|", "c"], ["a,b | c"], ["a", "b", "|", "c"], ["a, b|c"]])
def test_groups_are_read_however_they_are_spaced(words: list[str]) -> None:
    assert read_groups(words) == [["a", "b"], ["c"]]


@pytest.mark.parametrize("words", [["|", "a"], ["a", "|"], ["a||b"], [","]])
def test_a_group_without_a_node_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="a group has no node in it"):
        read_groups(words)
