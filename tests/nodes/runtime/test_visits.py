"""Whose visit is there, when processes die and others take their places before the lab has noticed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from nodes.errors import PeerSilent
from nodes.runtime.visits import Visits


def visit(run: str, visitor: str) -> Any:
    """Return as much of a stage as visits look at."""
    return SimpleNamespace(order=SimpleNamespace(run=run, visitor=visitor))


@pytest.fixture
def processes() -> dict[str, str | None]:
    """Tell which process each node is."""
    return {"alice": "first", "bob": "own"}


@pytest.fixture
def visits(processes: dict[str, str | None]) -> Visits:
    """Keep the visits at bob."""
    return Visits("bob", lambda node: processes.get(node))


def test_a_visit_is_there_from_its_beginning_to_its_end(visits: Visits) -> None:
    assert visits.of("alice") is None
    begun = visit("visit-1", "alice")
    visits.begin(begun)
    assert visits.of("alice") is begun
    visits.over("visit-1")
    assert (visits.of("alice"), visits.last("alice")) == (None, begun)


@pytest.mark.parametrize("now", [None, "second"], ids=["gone", "another process"])
async def test_the_visit_of_a_process_that_is_not_there_any_more_is_given_to_nobody(
    visits: Visits, processes: dict[str, str | None], now: str | None
) -> None:
    visits.begin(visit("visit-1", "alice"))
    processes["alice"] = now
    assert visits.of("alice") is None
    with pytest.raises(PeerSilent):
        await visits.begun("alice", 0.0, "alice has not connected")

    waiting = asyncio.create_task(visits.begun("alice", 20.0, "alice has not connected"))
    await asyncio.sleep(0)
    processes["alice"], following = "second", visit("visit-2", "alice")
    visits.begin(following)
    assert await waiting is following


async def test_who_waits_for_a_process_that_was_taken_for_gone_goes_on_when_it_is_back(
    visits: Visits, processes: dict[str, str | None]
) -> None:
    begun = visit("visit-1", "alice")
    visits.begin(begun)
    processes["alice"] = None
    waiting = asyncio.create_task(visits.begun("alice", 20.0, "alice has not connected"))
    await asyncio.sleep(0)
    processes["alice"] = "first"
    visits.look()
    assert await waiting is begun


def test_a_visit_that_is_heard_of_before_its_visitor_is_that_of_the_first_process(
    visits: Visits, processes: dict[str, str | None]
) -> None:
    begun = visit("visit-1", "alice")
    processes["alice"] = ""
    visits.begin(begun)
    processes["alice"] = "first"
    assert visits.of("alice") is begun
    processes["alice"] = "second"
    assert visits.of("alice") is None


def test_ones_own_visit_is_there_whatever_others_say_of_this_node(
    visits: Visits, processes: dict[str, str | None]
) -> None:
    own = visit("visit-1", "bob")
    visits.begin(own)
    processes["bob"] = None
    assert visits.of("bob") is own
