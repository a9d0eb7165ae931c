"""Records of runs on real processes: the same bytes again, and a replay that says where they are not the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes

JOBS = {
    "teleport": ("run", "teleport", "--lab", "alice-bob", "-n", 5),
    "entangle": ("entangle", "alice", "bob", "--lab", "alice-charlie-bob", "-n", 5),
    "qkd": ("qkd", "alice", "bob", "--lab", "alice-bob", "--pulses", 20_000),
    "send": ("send", "alice", "bob", "letter.txt", "--lab", "alice-bob", "--out", "arrived.txt"),
}


@pytest.mark.parametrize("job", JOBS)
def test_two_runs_with_one_seed_have_the_same_record(bellwire: Bellwire, job: str) -> None:
    (bellwire.work / "letter.txt").write_text("hello")
    for name in ("one", "two"):
        assert bellwire(*JOBS[job], "--seed", 7, "--record", name).code == 0
    record = (bellwire.work / "one").read_bytes()
    assert record == (bellwire.work / "two").read_bytes()
    assert b"hello" not in record


def test_a_replay_finds_the_record_identical_though_no_seed_was_given(bellwire: Bellwire) -> None:
    assert bellwire("run", "chsh", "--lab", "alice-bob", "-n", 5, "--record", "run").code == 0
    lines = (bellwire.work / "run").read_text().splitlines()
    assert json.loads(lines[0])["seed"] is not None
    replayed = bellwire("replay", "run")
    assert (replayed.code, replayed.out) == (0, f"identical: {len(lines) - 1} events\n")


def test_a_replay_names_the_line_that_was_tampered_with(bellwire: Bellwire) -> None:
    bellwire("run", "teleport", "--lab", "alice-bob", "-n", 2, "--record", "run")
    file = bellwire.work / "run"
    lines = file.read_text().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if '"outcome":' in line)
    lines[number] = lines[number].replace('"outcome":0', '"outcome":2').replace('"outcome":1', '"outcome":2')
    file.write_text("".join(lines))
    replayed = bellwire("replay", "run", "--json")
    difference = json.loads(replayed.out)["difference"]
    assert replayed.code == 7
    assert f"run:{number + 1}: the first difference" in replayed.err
    assert (difference["line"], difference["recorded"]) == (number + 1, lines[number].rstrip("\n"))


def test_a_print_in_a_program_changes_no_event_and_a_run_that_failed_is_repeated(
    bellwire: Bellwire,
) -> None:
    program = bellwire.work / "mine.py"
    text = (
        "from nodes.ports import Memory\n"
        "async def alice(memory: Memory) -> int:\n"
        "    outcome = await (await memory.qubit()).measure('X')\n"
        "    raise ValueError(outcome)\n"
    )
    program.write_text(text)
    assert bellwire("run", "./mine.py", "--lab", "alice-bob", "--seed", 1, "--record", "one").code == 1
    assert bellwire("replay", "one").code == 0
    program.write_text(text.replace("    raise", "    print('hello')\n    raise"))
    assert bellwire("run", "./mine.py", "--lab", "alice-bob", "--seed", 1, "--record", "two").code == 1
    one, two = [(bellwire.work / name).read_text().splitlines() for name in ("one", "two")]
    assert one[0] != two[0]
    assert one[1:] == two[1:]


@pytest.mark.parametrize(
    ("file", "code", "says"),
    [("nothing", 4, "No such file"), ("lab.yaml", 3, "is no record"), (".", 4, "Is a directory")],
)
def test_what_is_no_record_is_not_replayed(bellwire: Bellwire, file: str, code: int, says: str) -> None:
    (bellwire.work / "lab.yaml").write_text("name: lab\n")
    replayed = bellwire("replay", file)
    assert replayed.code == code
    assert says in replayed.err


@pytest.mark.parametrize("file", ["/dev/full", "/nowhere/record"])
def test_a_record_that_cannot_be_written_is_an_error_before_anything_starts(
    bellwire: Bellwire, file: str
) -> None:
    done = bellwire("run", "teleport", "--lab", "alice-bob", "--record", file)
    assert done.code == 4
    assert f"cannot write the record {file}" in done.err
    assert "Bringing up" not in done.err


def test_the_events_of_a_lab_that_is_up_can_be_read_and_it_takes_no_other_record(
    bellwire: Bellwire,
) -> None:
    assert bellwire("up", "alice-bob", "-d").code == 0
    assert bellwire("run", "teleport", "-n", 2).code == 0
    told = [json.loads(line) for line in bellwire("events", "--node", "bob").out.splitlines()]
    assert {event["node"] for event in told} == {"bob"}
    assert {"pair.heralded", "message.delivered", "part.played"} <= {event["event"] for event in told}
    heralds = bellwire("events", "--event", "pair").out.splitlines()
    assert len(heralds) == 4
    assert bellwire("run", "teleport", "--record", "mine").code == 2
    assert not Path(bellwire.work / "mine").exists()
    assert bellwire("down").code == 0
