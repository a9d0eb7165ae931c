"""A test goes through the events of its lab in order, misses none, and takes none for the consequence of a deed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.laboratory import ProcessStatus
from deploy.testing.doing import Doing
from deploy.testing.errors import EventMissing, NotOfThisLab
from deploy.testing.events import Events
from deploy.testing.lab_thread import LabThread
from deploy.testing.standing import StandingLab


class ARecord(StandingLab):
    """A lab that is nothing but its record."""

    name = "pair"

    def __init__(self, record: Path | None) -> None:
        self.record = record
        self.thread = LabThread(self._nothing())
        self.thread.open()

    async def status(self) -> list[ProcessStatus]:
        return []

    async def unless_failed(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    async def kill_server(self, name: str) -> None:
        return None

    def close(self) -> None:
        self.thread.close()

    def tell(self, name: str, node: str = "alice", **fields: Any) -> None:
        """Write an event down."""
        assert self.record is not None
        with self.record.open("a") as file:
            file.write(json.dumps({"at": 1.5, "node": node, "session": "", "event": name, **fields}) + "\n")

    @asynccontextmanager
    async def _nothing(self) -> AsyncIterator[None]:
        yield


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ARecord]:
    """A lab in which something has happened before the test."""
    lab = ARecord(tmp_path / "record.jsonl")
    lab.tell("key.made", number=0)
    yield lab
    lab.close()


@pytest.fixture
def events(lab: ARecord) -> Events:
    """The events since the test began."""
    return Events(lab)


async def test_what_has_come_since_the_test_began_is_found_in_order_and_once(
    lab: ARecord, events: Events
) -> None:
    for number in (1, 2, 3):
        lab.tell("key.made", number=number)
    assert [(await events.wait_for("key.made"))["number"] for _ in range(3)] == [1, 2, 3]
    assert [event["number"] for event in events.so_far("key")] == [1, 2, 3]
    with pytest.raises(EventMissing):
        await events.wait_for("key.made", within=0.1)


async def test_what_was_there_before_a_deed_is_not_its_consequence(lab: ARecord, events: Events) -> None:
    async def mend() -> None:
        lab.tell("key.made", number=2)

    lab.tell("key.made", number=1)
    await Doing(lab, events).do("mend", mend())
    assert (await events.wait_for("key.made"))["number"] == 2


async def test_from_a_mark_or_an_event_on_it_is_looked_again(lab: ARecord, events: Events) -> None:
    lab.tell("key.made", number=1)
    mark = events.mark()
    lab.tell("key.made", number=2)
    second = await events.wait_for("key.made")
    lab.tell("key.made", number=3)
    assert (await events.wait_for("key.made", after=mark))["number"] == 2
    assert (await events.wait_for("key.made", after=second))["number"] == 3
    assert (await events.wait_for("key.made", after=0, where=lambda event: event["number"] < 1))[
        "number"
    ] == 0


async def test_who_waits_in_vain_is_told_for_what_and_what_came_instead(lab: ARecord, events: Events) -> None:
    with pytest.raises(
        EventMissing, match=r"^no event 'key.alarm' within 0.1 s; none at all has come instead$"
    ):
        await events.wait_for("key.alarm", within=0.1)
    lab.tell("key.refused", "bob", qber=0.2)
    for _ in range(3):
        lab.tell("message.sent")
    with pytest.raises(TimeoutError) as missing:
        await events.wait_for("key.alarm", node="bob", qber=0.25, within=0.1)
    first, *nearest = str(missing.value).splitlines()
    assert first == (
        "no event 'key.alarm node=bob qber=0.25' within 0.1 s; instead came message.sent 3, key.refused 1; "
        "the last of 'key':"
    )
    assert [line.split()[2:] for line in nearest] == [["bob", "-", "key.refused", "qber=0.2"]]


async def test_a_lab_without_a_record_says_so(lab: ARecord) -> None:
    silent = ARecord(None)
    try:
        with pytest.raises(NotOfThisLab, match="keeps no record: 'record: off' stands in its file"):
            await Events(silent).wait_for("key.made")
    finally:
        silent.close()
