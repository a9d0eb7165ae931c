"""The record of a lab's events: what is in it, in which order, and what happens when it cannot be written."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.engine.later import Later
from shared_state.errors import BadRequest, NotYours, RecordFailed
from shared_state.journal import Journal
from shared_state.oracle import OracleClient
from shared_state.party import fields, integer
from shared_state.record import Record, digest, line_of
from shared_state.record_file import RecordFile
from shared_state.service import Service


def recorded(config: ServerConfig, file: Path, journal: Journal | None = None) -> Service:
    if not file.exists():
        file.write_text("head\n")
    return Service(config, lambda: 0.0, journal, RecordFile(file))


def events(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()[1:]]


def names(file: Path) -> list[str]:
    return [event["event"] for event in events(file)]


async def play(service: Service) -> None:
    """Make a pair and measure both halves."""
    alice, charlie = [await NodeClient.local(service, name=name) for name in ("alice", "charlie")]
    asked = alice._line.request("pair", 0.0, "run", "alice-charlie", None)
    theirs = await charlie.pair(0.0, "run", "alice-charlie")
    mine = integer(fields(await asked)[0])
    alice.gate(theirs.time, "h", [mine])
    await alice.measure(theirs.time, mine, "X")
    await charlie.measure(theirs.time, theirs.qubit, "Z")


async def test_a_line_has_its_keys_in_their_order_and_the_time_as_python_writes_it(
    config: ServerConfig, tmp_path: Path
) -> None:
    service = recorded(config, tmp_path / "record")
    alice = await NodeClient.local(service, name="alice")
    qubit = await alice.qubit(0.1 + 0.2, "run")
    alice.gate(0.5, "rx", [qubit], 0.25)
    outcome = await alice.measure(0.5, qubit, "Z")
    lines = (tmp_path / "record").read_text().splitlines()
    at = '{"at":0.5,"node":"alice","session":"run","event"'
    assert lines[1:] == [
        '{"at":0.30000000000000004,"node":"alice","session":"run","event":"qubit.initialised","qubit":0}',
        at + ':"gate.applied","gate":"rx","qubits":[0],"angles":[0.25]}',
        at + f':"qubit.measured","qubit":0,"basis":"Z","outcome":{outcome}}}',
    ]


async def test_a_herald_is_told_once_at_each_end(config: ServerConfig, tmp_path: Path) -> None:
    await play(recorded(config, tmp_path / "record"))
    heralds = [event for event in events(tmp_path / "record") if event["event"] == "pair.heralded"]
    assert {event["node"] for event in heralds} == {"alice", "charlie"}
    assert {event["pair"] for event in heralds} == {"alice-charlie/1"}


async def test_a_refusal_is_told_with_its_code(config: ServerConfig, tmp_path: Path) -> None:
    alice = await NodeClient.local(recorded(config, tmp_path / "record"), name="alice")
    with pytest.raises(NotYours):
        await alice.measure(0.0, 1, "Z")
    (event,) = events(tmp_path / "record")
    assert (event["event"], event["operation"], event["code"]) == (
        "operation.refused",
        "measure",
        "not-yours",
    )


async def test_a_node_tells_of_itself_only_what_nobody_else_can(config: ServerConfig, tmp_path: Path) -> None:
    alice = await NodeClient.local(recorded(config, tmp_path / "record"), name="alice")
    alice.note(0.5, "run", "part.started", {"role": "alice"})
    await alice.sync()
    alice.note(0.5, "run", "qubit.measured", {"outcome": 0})
    with pytest.raises(BadRequest, match=r"one of the events message\.sent"):
        await alice.sync()
    assert names(tmp_path / "record") == ["part.started"]


async def test_another_node_in_the_lab_changes_nothing_of_what_a_node_is_told(
    config: ServerConfig, tmp_path: Path
) -> None:
    nodes = {**config.world.nodes, "aaron": config.world.nodes["alice"]}
    larger = replace(
        config,
        world=replace(config.world, nodes=nodes),
        credentials={**config.credentials, "aaron": "aaron's token"},
    )
    await play(recorded(config, tmp_path / "small"))
    await play(recorded(larger, tmp_path / "large"))
    assert events(tmp_path / "small") == events(tmp_path / "large")


async def test_nothing_is_told_without_a_record(service: Service) -> None:
    await play(service)
    assert service._standing.record.count == 0
    assert not service._standing.record.take()


async def test_a_server_that_died_tells_nothing_twice_and_leaves_nothing_out(
    config: ServerConfig, tmp_path: Path
) -> None:
    await play(recorded(config, tmp_path / "undisturbed"))
    journal = Journal(tmp_path / "journal", config, 0.0)
    await play(recorded(config, tmp_path / "record", journal))
    journal.close()
    whole = (tmp_path / "record").read_bytes()
    assert whole == (tmp_path / "undisturbed").read_bytes()
    for kept in range(whole.index(b"\n") + 1, len(whole) + 1, 37):  # it died somewhere while it wrote
        (tmp_path / "record").write_bytes(whole[:kept])
        journal = Journal(tmp_path / "journal", config, 0.0)
        recorded(config, tmp_path / "record", journal)
        journal.close()
        assert (tmp_path / "record").read_bytes() == whole


async def test_a_full_disk_ends_the_record_and_not_the_lab(config: ServerConfig, tmp_path: Path) -> None:

    class Full(RecordFile):
        def __init__(self) -> None:
            super().__init__(tmp_path / "record")
            self._path = Path("/dev/full")
            with self._path.open("wb", buffering=0) as full:
                os.dup2(full.fileno(), self._file)

    service = Service(config, lambda: 0.0, None, Full())
    oracle = await OracleClient.local(service)
    await play(service)
    count, failure = await oracle.close_record()
    assert count > 0
    assert "No space left on device" in failure
    assert "/dev/full" in failure


def test_a_record_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordFailed, match=r"cannot be written: Is a directory"):
        RecordFile(tmp_path)


async def test_after_its_end_nothing_is_added_to_a_record(config: ServerConfig, tmp_path: Path) -> None:
    service = recorded(config, tmp_path / "record")
    oracle = await OracleClient.local(service)
    await play(service)
    told = names(tmp_path / "record")
    assert await oracle.close_record() == (len(told), "")
    await (await NodeClient.local(service, name="bob")).qubit(9.0, "run")
    assert names(tmp_path / "record") == told


def test_what_is_known_later_keeps_its_place() -> None:
    record, outcome = Record(), Later[int]()
    record.tell_later(0.0, "alice", "run", "qubit.measured", outcome, lambda bit: {"outcome": bit})
    record.tell(0.0, "bob", "run", "gate.applied", {})
    assert record.take() == []
    outcome.become(1)
    assert [json.loads(line)["node"] for line in record.take()] == ["alice", "bob"]


def test_equal_arrays_have_equal_digests() -> None:
    one = np.arange(6, dtype=np.uint8)
    assert digest(one) == digest(one[::-1].copy()[::-1]) != digest(one[::-1])
    assert line_of(1, "a", "s", "e", {}) == line_of(1.0, "a", "s", "e", {})
