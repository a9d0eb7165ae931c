"""A lab that others keep up: whichever of its parties dies and is started again, it is fit for runs afterwards."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from broker.programs.choose import find_mosquitto
from tests.processes.exported_lab import ExportedLab

if TYPE_CHECKING:
    import subprocess

    from tests.processes.conftest import Bellwire, Finished

pytestmark = [
    pytest.mark.processes,
    pytest.mark.mosquitto,
    pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed"),
]

ROW = """
name: row
defaults: {memories: {count: 2}}
nodes: {alice: , bob: , carol: }
links:
  - {endpoints: [alice, bob], length: 20 km}
  - {endpoints: [bob, carol], length: 20 km}
"""
ENDLESS = ("run", "teleport", "--rounds", "1000000")
SHORT = ("run", "teleport", "--rounds", "5", "--deadline", "10")


class Row:
    """The lab, and its operator."""

    def __init__(self, lab: ExportedLab, bellwire: Bellwire) -> None:
        self.lab, self._bellwire = lab, bellwire
        self.wait_for = bellwire.wait_for

    def __call__(self, *arguments: object) -> Finished:
        return self._bellwire(*arguments, "-l", self.lab.operator)

    def done(self, *arguments: object) -> Finished:
        """Do what must succeed."""
        finished = self(*arguments)
        assert finished.code == 0, finished.err
        return finished

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name that the lab still has."""
        return [json.loads(line) for line in self("events", "--event", name).out.splitlines()]

    def in_a_run(self) -> subprocess.Popen[str]:
        """Begin a run that goes on and on; return the command that waits for it."""
        before = len(self.events("pair.heralded"))
        running = self._bellwire.start(*ENDLESS, "-l", self.lab.operator)
        self.wait_for(lambda: len(self.events("pair.heralded")) > before)
        return running

    def said(self, command: subprocess.Popen[str], within: float) -> str:
        """Return what a command has said that fails, soon."""
        _, said = command.communicate(timeout=within)
        assert command.returncode != 0
        return said

    def check_empty(self) -> None:
        """Check that nothing is left in the quantum world; the control party ends for that."""
        assert self.lab.end("control") == 0
        census = asyncio.run(self.lab.census())
        assert (census.qubits, census.reserved, census.waiting, census.sessions) == (0, 0, 0, 4)


@pytest.fixture
def row(bellwire: Bellwire, tmp_path: Path) -> Iterator[Row]:
    exported = ExportedLab(ROW, tmp_path, bellwire)
    with exported.started():
        yield Row(exported, bellwire)


def test_a_control_party_that_comes_back_finds_the_lab_as_its_file_says(row: Row) -> None:
    row.done("run", "teleport", "--rounds", "2")
    row.done("link", "set", "bob-carol", "length=40 km")
    row.done("link", "down", "bob-carol")
    row.done("eve", "attach", "alice-bob", "--fraction", "10 %")
    row.done("partition", "alice,bob", "|", "carol", "--plane", "classical")
    running = row.in_a_run()
    row.lab.end("control", signal.SIGKILL)
    row.said(running, within=10)
    row.lab.start_control()
    began = time.monotonic()
    row.done(*SHORT)
    row.done(*SHORT, "--role", "alice=carol", "--role", "bob=bob")
    assert time.monotonic() - began < 20
    assert row.done("eve", "ls", "--json").document["eves"] == []
    assert [link["up"] for link in row.done("link", "ls", "--json").document["links"]] == [True, True]
    assert [(event["link"], event["up"]) for event in row.events("link.set")] == [
        ("bob-carol", False),
        ("bob-carol", True),
    ]
    assert [event["fibre.length"] for event in row.events("link.changed")] == [40e3, 20e3]
    assert [event["tap"] for event in row.events("tap.detached")] == ["eve"]
    names = {event["session"].partition(":")[0] for event in row.events("part.started")}
    assert len(names) == 4, "each run has a name of its own"
    row.check_empty()


def test_a_node_that_dies_ends_the_runs_it_plays_in_however_soon_it_is_back(row: Row) -> None:
    running = row.in_a_run()
    row.lab.end("alice", signal.SIGKILL)
    row.lab.start("alice")
    assert "alice" in row.said(running, within=15)
    row.wait_for(lambda: '"lost"' not in row("ps", "--json").out)
    row.done(*SHORT)
    row.check_empty()


def test_a_node_that_does_not_answer_ends_the_run_within_its_deadline(row: Row) -> None:
    row.lab.send("bob", signal.SIGSTOP)
    try:
        began = time.monotonic()
        finished = row("run", "teleport", "--rounds", "5", "--deadline", "2")
        assert time.monotonic() - began < 20
    finally:
        row.lab.send("bob", signal.SIGCONT)
    assert finished.code == 6
    assert "'bob'" in finished.err
    row.done(*SHORT)
    row.check_empty()


def test_a_broker_that_dies_and_comes_back_ends_runs_and_no_more(row: Row) -> None:
    running = row.in_a_run()
    row.lab.end("broker", signal.SIGKILL)
    row.lab.start("broker")
    assert "the broker was started again meanwhile" in row.said(running, within=25)
    row.done(*SHORT)
    row.check_empty()


def test_when_the_state_server_dies_all_begin_anew(row: Row) -> None:
    running = row.in_a_run()
    with row.lab.kept_up():
        row.lab.send("state", signal.SIGKILL)
        row.said(running, within=30)
        row.wait_for(lambda: row(*SHORT).code == 0, within=60)
    row.check_empty()
