"""What cannot be done again is refused before anything starts, in a sentence that says why."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy import replay as replaying
from deploy.cli.app import app
from deploy.errors import DeployError, LabFileInvalid, NotFound, RecordInvalid
from deploy.intervened import interventions
from deploy.jobs import Job
from deploy.plan import plan
from deploy.recording import begin, header_of
from deploy.replay import replay
from deploy.topology import read

LINKS = "links: [{endpoints: [alice, bob], length: 20 km}]\n"
PLAIN = "name: two\nnodes: {alice: , bob: }\n" + LINKS
OUTSIDE = "name: two\nnodes: {alice: {external: true}, bob: , carol: {external: true}}\n" + LINKS
ROUTED = PLAIN + "network: {controller: external}\n"
TELEPORT = Job("teleport", {"alice": "alice", "bob": "bob"})
PAIRS = Job("entangle", {"alice": "alice", "bob": "bob"}, 2)


class Started(Exception):
    """A lab would have been brought up."""


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be told when a lab would be brought up."""

    def start(*arguments: object, **options: object) -> None:
        raise Started

    monkeypatch.setattr(replaying, "Laboratory", start)


def record(
    folder: Path, text: str = PLAIN, job: Job | None = TELEPORT, *events: object, **head: object
) -> Path:
    """Write the record of a job on a lab, with these events, and in its head what is stated."""
    lab = read(text, folder / "two.yaml")
    (folder / "two.yaml").write_text(text)
    header = header_of(lab, plan(lab, default_mode="virtual", seed=3), job)
    begin(folder / "record", replace(header, **head))  # type: ignore[arg-type]
    with (folder / "record").open("a") as writing:
        writing.writelines(
            (each if isinstance(each, str) else json.dumps(each, separators=(",", ":"))) + "\n"
            for each in events
        )
    return folder / "record"


def done(what: str, at: object = 0.5, arguments: str = "{}") -> dict[str, object]:
    """What a record says of an intervention."""
    return {"at": at, "event": "lab.intervened", "what": what, "arguments": arguments}


async def refusal(file: Path, error: type[DeployError] = RecordInvalid) -> str:
    """Return why a record is not replayed; fail when that takes long."""
    async with asyncio.timeout(5):
        with pytest.raises(error) as refused:
            await replay(file, file.parent / "again")
    assert not (file.parent / "again").exists()
    return str(refused.value)


async def test_the_record_of_a_run_in_virtual_time_is_replayed(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    with pytest.raises(Started):
        await replay(record(tmp_path), tmp_path / "again")


async def test_a_record_of_a_lab_with_nodes_that_others_run_is_refused_with_their_names(
    tmp_path: Path,
) -> None:
    why = await refusal(
        record(tmp_path, OUTSIDE, None, program="teleport", roles=TELEPORT.roles, deadline=30.0)
    )
    assert "is of a lab with nodes that others run (alice, carol): what their programs do is not in it" in why


def test_the_command_says_so_and_ends_with_the_code_for_an_invalid_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWIRE_HOME", str(tmp_path / "home"))
    file = record(tmp_path, OUTSIDE)
    refused = CliRunner().invoke(app, ["replay", str(file)])
    assert refused.exit_code == RecordInvalid.exit_code
    assert "nodes that others run (alice, carol)" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


async def test_where_somebody_elses_controller_finds_the_ways_a_run_that_asks_for_some_is_refused(
    tmp_path: Path,
) -> None:
    assert "a routing controller of somebody else's" in await refusal(record(tmp_path, ROUTED, PAIRS))
    (tmp_path / "again").mkdir()
    for text, job in ((ROUTED, TELEPORT), (PLAIN, PAIRS)):
        with pytest.raises(Started):
            await replay(record(tmp_path, text, job), tmp_path / "again")


async def test_a_record_that_was_never_of_a_repeatable_run_is_refused(tmp_path: Path) -> None:
    assert "is the record of a lab that was up" in await refusal(record(tmp_path, PLAIN, None))
    assert "was recorded in real time" in await refusal(record(tmp_path, clock="real-time"))
    assert "has no seed" in await refusal(record(tmp_path, seed=None))
    assert "a record of format 2" in await refusal(record(tmp_path, bellwire_record=2))


@pytest.mark.parametrize("what", ["kill", "pause", "resume"])
async def test_what_was_done_to_a_process_is_refused_with_its_line(tmp_path: Path, what: str) -> None:
    file = record(tmp_path, PLAIN, TELEPORT, {"at": 0.0, "event": "part.started"}, done("heal"), done(what))
    assert f"record:4: {what} was done to a process, which happens on the wall" in await refusal(file)


async def test_what_has_gone_since_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("async def alice() -> None: ...\n")
    file = record(tmp_path, PLAIN, Job(str(tmp_path / "mine.py"), {"alice": "alice"}))
    (tmp_path / "mine.py").unlink()
    assert "mine.py of the record" in await refusal(file, NotFound)
    assert "unknown tap 'eve'" in await refusal(record(tmp_path, tap="eve"), NotFound)
    assert "two.yaml:1:8: nodes: not a mapping" in await refusal(
        record(tmp_path, lab_text="nodes: 3\n"), LabFileInvalid
    )


@pytest.mark.parametrize(
    "line",
    [
        done("heal", "soon"),
        done("heal", float("nan")),
        done("heal", float("inf")),
        done("heal", -1.0),
        done("heal", 10**400),
        done("heal", arguments="["),
        done("heal", arguments="3"),
        {"event": "lab.intervened"},
        '{"event":"lab.intervened"',
        {"at": float("nan"), "event": "part.started"},
        '{"event":"part.started"',
    ],
    ids=lambda line: str(line)[:60],
)
async def test_a_line_that_nobody_can_read_is_named(tmp_path: Path, line: object) -> None:
    assert "record:2: no " in await refusal(record(tmp_path, PLAIN, TELEPORT, line))


def test_what_was_done_before_the_run_is_told_from_what_was_done_meanwhile(tmp_path: Path) -> None:
    file = record(
        tmp_path,
        PLAIN,
        TELEPORT,
        done("set_link", 0.25, '{"name": "alice-bob", "up": false}'),
        {"at": 0.5, "event": "part.started"},
        {"at": 0.5, "event": "part.started"},
        done("heal", 0.75),
    )
    before, begun, meanwhile = interventions(file)
    assert [(each.at, each.what, each.arguments) for each in before] == [
        (0.25, "set_link", {"name": "alice-bob", "up": False})
    ]
    assert (begun, [(each.at, each.what) for each in meanwhile]) == (0.5, [(0.75, "heal")])
