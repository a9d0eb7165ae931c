"""Whose visit is there, when processes die and others take their places before the lab has noticed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from nodes.errors import PeerSilent
from nodes.runtime.visits import Visits


def visit(run: str, visitor: str, process: str = "first") -> Any:
    """Return as much of a stage as visits look at."""
    return SimpleNamespace(order=SimpleNamespace(run=run, visitor=visitor, visitor_process=process))


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


async def test_a_visit_is_over_when_another_process_is_in_its_visitors_place(
    visits: Visits, processes: dict[str, str | None]
) -> None:
    visits.begin(visit("visit-1", "alice"))
    assert visits.of("alice") is not None
    processes["alice"] = "second"
    visits.look()
    assert visits.of("alice") is None
    with pytest.raises(PeerSilent):
        await visits.begun("alice", 0.0, "alice has not connected")

    waiting = asyncio.create_task(visits.begun("alice", 20.0, "alice has not connected"))
    await asyncio.sleep(0)
    visits.begin(following := visit("visit-2", "alice", "second"))
    assert await waiting is following


async def test_a_visitor_that_has_gone_for_a_moment_is_waited_for_and_its_visit_goes_on(
    visits: Visits, processes: dict[str, str | None]
) -> None:
    visits.begin(begun := visit("visit-1", "alice"))
    processes["alice"] = None
    assert visits.of("alice") is begun, "who has gone may come back"
    with pytest.raises(PeerSilent):
        await visits.begun("alice", 0.0, "alice has not connected")
    waiting = asyncio.create_task(visits.begun("alice", 20.0, "alice has not connected"))
    await asyncio.sleep(0)
    processes["alice"] = "first"
    visits.look()
    assert await waiting is begun


@pytest.mark.parametrize("known", ["", "former"])
async def test_a_visit_that_is_heard_of_before_its_visitor_begins_when_that_is_heard_of(
    visits: Visits, processes: dict[str, str | None], known: str
) -> None:
    processes["alice"] = known
    visits.begin(begun := visit("visit-1", "alice"))
    assert visits.of("alice") is begun
    waiting = asyncio.create_task(visits.begun("alice", 20.0, "alice has not connected"))
    await asyncio.sleep(0)
    assert not waiting.done()
    processes["alice"] = "first"
    visits.look()
    assert await waiting is begun


async def test_where_nobody_tells_of_processes_visits_alone_tell_who_is_there() -> None:
    visits = Visits("bob")
    visits.begin(begun := visit("visit-1", "alice"))
    assert visits.of("alice") is await visits.begun("alice", 0.0, "") is begun


def test_ones_own_visit_is_there_whatever_others_say_of_this_node(
    visits: Visits, processes: dict[str, str | None]
) -> None:
    own = visit("visit-1", "bob")
    visits.begin(own)
    processes["bob"] = None
    assert visits.of("bob") is own
