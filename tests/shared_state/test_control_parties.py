"""Control parties come one after the other: the server counts them, and undoes what the one before has done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared_state.config import ServerConfig, TapConfig, WorldConfig
from shared_state.oracle import OracleClient
from shared_state.record_file import RecordFile
from shared_state.service import Service


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The file with the events."""
    return tmp_path / "record.jsonl"


@pytest.fixture
def service(config: ServerConfig, wall: list[float], record: Path) -> Service:
    """A server that keeps a record."""
    record.touch()
    return Service(config, lambda: wall[0], record=RecordFile(record))


@pytest.fixture
def told(record: Path) -> Callable[[], list[str]]:
    """Return what has been told, but for what follows the event's name."""

    def names() -> list[str]:
        return [line.partition('"event":"')[2].partition('"')[0] for line in record.read_text().splitlines()]

    return names


async def test_they_are_counted_and_whoever_asks_again_is_no_other_one(service: Service) -> None:
    for before in range(3):
        async with await OracleClient.local(service) as control:
            assert [await control.take_over() for _ in range(2)] == [before, before]


async def test_the_first_one_undoes_nothing_and_nothing_is_told(
    service: Service, told: Callable[[], list[str]]
) -> None:
    async with await OracleClient.local(service) as control:
        await control.set_link("alice-charlie", False)
        await control.take_over()
    assert told() == ["link.set"]


async def test_what_the_one_before_did_to_links_and_by_eavesdroppers_is_undone_and_told(
    service: Service, world: WorldConfig, told: Callable[[], list[str]]
) -> None:
    longer = world.links["charlie-bob"]
    async with await OracleClient.local(service) as former:
        await former.take_over()
        await former.set_link("alice-charlie", False)
        await former.change_link("charlie-bob", replace(longer, fibre=replace(longer.fibre, length=5000.0)))
        await former.attach_tap("mallory", TapConfig("charlie-bob", position=4000.0, enabled=True))
        await former.set_tap("eve", True)
    done = ["link.set", "link.changed", "tap.attached", "tap.set"]
    assert told() == done
    async with await OracleClient.local(service) as later:
        await later.take_over()
        assert told() == [*done, "tap.detached", "tap.set", "link.set", "link.changed"]
        await later.attach_tap("mallory", TapConfig("charlie-bob", position=500.0))  # the name is free
        await later.take_over()
        await later.tap_report("mallory")  # who asks again undoes nothing
