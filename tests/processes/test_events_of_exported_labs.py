"""The events of a lab that others have started come to its operator, and to tests: real processes, under TLS."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.programs.choose import find_mosquitto
from tests.processes.exported_lab import ExportedLab
from tests.processes.test_pytest_plugin import INI, kept

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

pytestmark = [
    pytest.mark.processes,
    pytest.mark.mosquitto,
    pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed"),
]
pytest_plugins = ["pytester"]

PAIR = """
name: pair
runtime: {record: '%s'}
nodes: {alice: , bob: }
links:
  - {endpoints: [alice, bob], length: 20 km}
"""


@pytest.fixture
def lab(bellwire: Bellwire, tmp_path: Path) -> Iterator[ExportedLab]:
    """A lab that keeps its events for who asks."""
    exported = ExportedLab(PAIR % "on", tmp_path, bellwire)
    with exported.started():
        yield exported


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with tests for this lab."""
    pytester.makeini(INI)
    pytester.path.joinpath("pair.yaml").write_text(PAIR % "on")
    return pytester


def run(project: pytest.Pytester, lab: ExportedLab, text: str, *options: str) -> pytest.RunResult:
    """Run the text as a test file against the lab."""
    project.makepyfile('import asyncio, pytest\npytestmark = pytest.mark.lab("pair.yaml")\n' + text)
    return project.runpytest_subprocess(f"--lab-url={lab.operator}", *options)


def test_its_operator_sees_what_has_happened_and_what_happens(bellwire: Bellwire, lab: ExportedLab) -> None:
    assert bellwire("run", "teleport", "--rounds", "5", "-l", lab.operator).code == 0
    told = bellwire("events", "-l", lab.operator)
    assert (told.code, told.err) == (0, "")
    events = [json.loads(line) for line in told.out.splitlines()]
    assert {"part.started", "pair.heralded", "qubit.measured", "part.played"} <= {
        event["event"] for event in events
    }
    heralds = bellwire("events", "-l", lab.operator, "--node", "bob", "--event", "pair.heralded").out
    assert heralds.splitlines() == [
        line
        for line, event in zip(told.out.splitlines(), events, strict=True)
        if (event["node"], event["event"]) == ("bob", "pair.heralded")
    ]
    assert len(heralds.splitlines()) == 5

    following = bellwire.start("events", "-l", lab.operator, "-f", "--event", "link")
    assert following.stdout is not None
    for up in (False, True):
        assert bellwire("link", "up" if up else "down", "alice-bob", "-l", lab.operator).code == 0
        event = json.loads(following.stdout.readline())
        assert (event["event"], event["link"], event["up"]) == ("link.set", "alice-bob", up)
    assert lab.end("control") == 0
    rest, said = following.communicate(timeout=20)
    assert (following.returncode, rest, said) == (0, "", "Lab pair is down.\n")
    assert bellwire("events", "-l", lab.operator).code == 8


def test_in_virtual_time_they_are_those_of_a_record_byte_for_byte_while_somebody_follows(
    bellwire: Bellwire, tmp_path: Path
) -> None:
    text, record = f"seed: 7\n{PAIR % 'on'}", tmp_path / "run.jsonl"
    (tmp_path / "seeded.yaml").write_text(text)
    program = ("run", "teleport", "--rounds", "20")
    assert bellwire(*program, "--lab", tmp_path / "seeded.yaml", "--record", record).code == 0
    exported = ExportedLab(text, tmp_path, bellwire, mode="virtual")
    with exported.started():
        following = bellwire.start("events", "-l", exported.operator, "-f")
        assert bellwire(*program, "-l", exported.operator).code == 0
        told = bellwire("events", "-l", exported.operator).out.splitlines()
        assert exported.end("control") == 0
        assert following.communicate(timeout=20)[0].splitlines() == told
    assert told == record.read_text().splitlines()[1:]


def test_a_test_against_it_waits_for_events_lists_and_attaches_them(
    project: pytest.Pytester, lab: ExportedLab
) -> None:
    result = run(
        project,
        lab,
        """
async def test_in_order_and_none_from_before(lab):
    for _ in range(10):
        await lab.link("alice-bob").down()
        assert (await lab.events.wait_for("link.set"))["up"] is False
        await lab.link("alice-bob").up()
        assert (await lab.events.wait_for("link.set"))["up"] is True
    assert [event["up"] for event in lab.events.so_far("link.set")] == [False, True] * 10

async def test_what_a_run_has_told_is_there_when_it_is_over(lab):
    assert lab.events.so_far("link") == []
    await lab.run("teleport", rounds=20)
    assert len(lab.events.so_far("pair.heralded", node="bob")) == 20
    mark = lab.events.mark()
    with pytest.raises(Exception, match="none at all has come instead"):
        await lab.events.wait_for("pair", within=0.2)
    await lab.run("teleport")
    await lab.events.wait_for("pair.heralded", node="alice", after=mark)

async def test_fails(lab):
    await lab.link("alice-bob").down()
    await lab.events.wait_for("key.made", within=0.2)
""",
    )
    result.assert_outcomes(passed=2, failed=1)
    said = result.stdout.str()
    assert "no event 'key.made' within 0.2 s; instead came" in said
    assert "lab pair: the last" in said
    assert "link.set           link=alice-bob up=False" in said
    (directory,) = kept(result)
    head, *events = (directory / "record.jsonl").read_text().splitlines()
    assert json.loads(head)["lab"] == "pair"
    assert len(events) > 100
    assert [path.name for path in directory.iterdir()] == ["record.jsonl"]


def test_a_control_party_that_dies_and_comes_back_is_followed_on(
    project: pytest.Pytester, lab: ExportedLab, bellwire: Bellwire
) -> None:
    dying, back = project.path / "dying", project.path / "back"
    os.mkfifo(dying)
    os.mkfifo(back)

    def die_and_come_back() -> None:
        dying.read_text()
        try:
            lab.end("control", signal.SIGKILL)
            lab.start_control()
        finally:
            back.write_text("go on")

    replacing = threading.Thread(target=die_and_come_back, daemon=True)
    replacing.start()
    result = run(
        project,
        lab,
        f"""
from pathlib import Path

async def test_goes_on(lab):
    await lab.link("alice-bob").down()
    await lab.events.wait_for("link.set", up=False)
    Path({str(dying)!r}).write_text("now")
    Path({str(back)!r}).read_text()
    await lab.eve.attach("alice-bob", fraction=0.5)
    assert (await lab.events.wait_for("tap.attached"))["link"] == "alice-bob"
    assert [event["up"] for event in lab.events.so_far("link.set")] == [False, True]  # as in its file again
""",
    )
    result.assert_outcomes(passed=1)
    replacing.join(60)


def test_a_lab_that_keeps_no_record_says_so(
    bellwire: Bellwire, project: pytest.Pytester, tmp_path: Path
) -> None:
    silent = ExportedLab(PAIR % "off", tmp_path, bellwire)
    with silent.started():
        told = bellwire("events", "-l", silent.operator)
        assert told.code == 4
        assert "lab 'pair' keeps no record: 'record: off' stands in its file" in told.err
        result = run(
            project,
            silent,
            """
async def test_waits(lab):
    await lab.run("teleport")
    with pytest.raises(Exception, match="lab 'pair' keeps no record: 'record: off' stands in its file"):
        await lab.events.wait_for("part")
""",
        )
        result.assert_outcomes(passed=1)
