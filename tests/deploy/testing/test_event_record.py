"""A record is read from any place in it, on and on as it is written; what does not come is told with what came."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deploy.testing.event_record import LabEvent, end_of, events_in, first


def line(name: str, node: str = "alice", **fields: Any) -> str:
    return json.dumps({"at": 1.5, "node": node, "session": "run-1", "event": name, **fields}) + "\n"


@pytest.fixture
def record(tmp_path: Path) -> Path:
    file = tmp_path / "record.jsonl"
    file.write_text(
        '{"bellwire_record": 1}\n' + line("key.made", qber=0.01) + line("link.set", "control", up=False)
    )
    return file


def test_the_head_is_no_event_and_half_a_line_is_not_read(record: Path) -> None:
    with record.open("a") as file:
        file.write('{"at": 2, "node"')
    assert [(event.name, event.node) for event in events_in(record)] == [
        ("key.made", "alice"),
        ("link.set", "control"),
    ]


def test_the_end_of_a_record_is_behind_its_last_complete_line(record: Path) -> None:
    size = record.stat().st_size
    assert end_of(record) == size
    with record.open("a") as file:
        file.write("x" * 100_000)
    assert end_of(record) == size
    record.write_text("no line yet")
    assert end_of(record) == 0


def test_from_where_an_event_ends_those_behind_it_are_read(record: Path) -> None:
    made, cut = events_in(record)
    assert list(events_in(record, made.end)) == [cut]
    assert list(events_in(record, cut.end)) == []
    assert cut["up"] is False


@pytest.mark.parametrize(
    ("name", "node", "fields", "fits"),
    [
        ("key.made", None, {}, True),
        ("key", "alice", {"qber": 0.01}, True),
        ("", None, {}, True),
        ("ke", None, {}, False),
        ("key.made", "bob", {}, False),
        ("key.made", None, {"qber": 0.02}, False),
        ("key.made", None, {"nothing": None}, False),
    ],
)
def test_an_event_fits_by_name_or_its_beginning_by_node_and_by_fields(
    name: str, node: str | None, fields: dict[str, Any], fits: bool
) -> None:
    event = LabEvent(1.0, "alice", "run-1", "key.made", {"qber": 0.01})
    assert event.fits(name, node, fields) is fits


async def test_the_first_that_fits_is_found_when_it_is_written_and_the_others_are_kept(record: Path) -> None:
    others: deque[LabEvent] = deque()
    looking = asyncio.create_task(first(record, 0, lambda event: event.name == "key.alarm", others))
    with record.open("a") as file:
        file.write(line("key.refused"))
        file.flush()
        half = line("key.alarm", "bob", qber=0.25)
        file.write(half[:20])
        file.flush()
        await asyncio.sleep(0)
        file.write(half[20:])
    async with asyncio.timeout(10):
        found = await looking
    assert (found.node, found["qber"], found.end) == ("bob", 0.25, end_of(record))
    assert [event.name for event in others] == ["key.made", "link.set", "key.refused"]


async def test_a_search_that_is_given_up_leaves_no_process(record: Path) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await first(record, 0, lambda event: False, deque())
    assert tails_of(record) == []


def tails_of(record: Path) -> list[str]:
    """Return the processes that still read a file."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(command.read_bytes().decode())
    return [line for line in found if str(record) in line]
