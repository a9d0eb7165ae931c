"""Every verb of the command does what it says: data on stdout, one JSON document with ``--json``, exit code 0."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.cli.app import VERBS
from deploy.topology import find

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes

TRIED_HERE = {
    "demo",
    "up",
    "ps",
    "logs",
    "down",
    "ls",
    "validate",
    "inspect",
    "run",
    "entangle",
    "qkd",
    "send",
    "version",
}
TRIED_ELSEWHERE = {
    "bench",
    "controller",
    "events",
    "replay",
    "validate-physics",
    "doctor",
    "exec",
    "serve",
} | {
    "kill",
    "pause",
    "resume",
    "partition",
    "heal",
    "chaos",
}
GROUPS_TRIED_ELSEWHERE = {"keys", "link", "eve", "image", "export", "node"}

QKD_FIELDS = {
    "pulses",
    "sifted_bits",
    "qber",
    "leaked_bits",
    "efficiency",
    "secret_bits",
    "secret_rate_bps",
} | {
    "wall_s",
    "aborted",
    "reason",
}


def test_no_verb_is_left_out() -> None:
    assert set(VERBS) == TRIED_HERE | TRIED_ELSEWHERE | GROUPS_TRIED_ELSEWHERE


def test_the_demo_shows_every_figure_and_ends_well(bellwire: Bellwire) -> None:
    demo = bellwire("demo")
    assert demo.code == 0, demo.err
    for figure in ("pairs swapped", "S = ", "qubits teleported", "QBER", "SHA-256", "refused, no file sent"):
        assert figure in demo.out
    for process in ("state", "broker", "alice", "charlie", "bob"):
        assert f"{process:8} pid" in demo.out
    assert float(demo.out.partition("Done in ")[2].split()[0]) < 30


def test_a_lab_comes_up_does_jobs_and_goes_down(bellwire: Bellwire, tmp_path: Path) -> None:
    up = bellwire("up", "alice-charlie-bob", "-d")
    assert (up.code, up.out) == (0, ""), up.err
    processes = bellwire("ps", "--json").document["processes"]
    assert [p["name"] for p in processes] == ["state", "broker", "alice", "charlie", "bob"]
    assert {p["state"] for p in processes} == {"running", "ready"}
    assert {p["pid"] for p in processes} < set(bellwire.processes())
    assert "alice-charlie-bob\talice, charlie, bob\treal-time" in bellwire("ls").out

    teleport = bellwire("run", "teleport", "-l", "alice-charlie-bob", "--rounds", "3", "--json").document
    assert (teleport["schema"], teleport["rounds"]) == ("bellwire.run/1", 3)
    assert 2 / 3 < teleport["fidelity_mean"] <= 1
    assert teleport["duration_s"] > 0 < teleport["wall_s"]
    assert bellwire("run", "swap").out.startswith("swap, 1 round: ")
    assert bellwire("entangle", "alice", "bob", "-n", "2").out.startswith(
        "2 pairs along alice - charlie - bob"
    )
    assert "QBER" in bellwire("qkd", "alice", "bob").out
    (tmp_path / "letter").write_bytes(b"Dear Bob")
    assert "8 bytes" in bellwire("send", "alice", "bob", "letter").out
    assert (tmp_path / "bob" / "letter").read_bytes() == b"Dear Bob"
    log = bellwire("logs", "charlie").out.splitlines()
    assert all(line.startswith("charlie ") for line in log)
    assert any("part.played" in line for line in log)
    assert "node.ready" in bellwire("logs").out

    down = bellwire("down")
    assert (down.code, down.out) == (0, ""), down.err
    assert bellwire("ls").out.startswith("No lab is up.")


def test_labs_that_are_up_are_listed_as_one_document(bellwire: Bellwire) -> None:
    listed = bellwire("ls", "--json").document
    assert (listed["schema"], listed["running"]) == ("bellwire.ls/1", [])
    assert {"alice-bob", "alice-charlie-bob"} <= set(listed["ready"])


def test_two_labs_are_up_at_once_and_end_together(bellwire: Bellwire) -> None:
    for name in ("alice-bob", "alice-charlie-bob"):
        assert bellwire("up", name, "-d").code == 0
    ambiguous = bellwire("run", "teleport")
    assert ambiguous.code == 2
    assert (
        "several labs are up, name one (run, qkd, send, logs: -l NAME): alice-bob, alice-charlie-bob"
        in ambiguous.err
    )
    again = bellwire("up", "alice-bob", "-d")
    assert again.code == 2
    assert "lab 'alice-bob' is up already" in again.err
    assert bellwire("down", "--all").code == 0


def test_pairs_are_reported_with_rate_and_fidelity(bellwire: Bellwire) -> None:
    document = bellwire("entangle", "alice", "bob", "-n", 5, "--lab", "alice-charlie-bob", "--json").document
    assert document["schema"] == "bellwire.entangle/1"
    assert (document["pairs"], document["path"]) == (5, ["alice", "charlie", "bob"])
    assert 0.9 < document["fidelity_mean"] < 1
    assert 0 <= document["fidelity_stderr"] < 0.1
    assert document["rate_hz"] == pytest.approx(1 / document["interval_mean_s"])


def test_a_key_is_reported_with_all_its_figures(bellwire: Bellwire) -> None:
    document = bellwire("qkd", "alice", "bob", "--blocks", 2, "--lab", "alice-bob", "--json").document
    assert document["schema"] == "bellwire.qkd/1"
    assert document.keys() >= QKD_FIELDS
    assert (document["pulses"], document["blocks"], document["qber"]) == (200_000, 2, 0.0)
    assert document["secret_bits"] > 0
    assert (document["aborted"], document["reason"]) == (False, "")


def test_a_key_is_refused_when_eve_listens_and_the_document_says_so(bellwire: Bellwire) -> None:
    refused = bellwire("qkd", "alice", "bob", "--tap", "eve", "--lab", "alice-charlie-bob", "--json")
    document = json.loads(refused.out)
    assert refused.code == 7
    assert document["aborted"] is True
    assert (document["secret_bits"], document["leaked_bits"]) == (0, 0)
    assert 0.2 < document["qber"] < 0.3
    assert f"the key was refused: {document['reason']}" in refused.err


def test_a_file_is_sent_and_reported(bellwire: Bellwire, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "report.bin").write_bytes(content)
    target = tmp_path / "arrived.bin"
    document = bellwire(
        *("send", "alice", "bob", "report.bin", "--out", target, "--lab", "alice-bob", "--json")
    ).document
    assert document["schema"] == "bellwire.send/1"
    assert document.keys() >= QKD_FIELDS
    assert (document["name"], document["size_bytes"], document["out"]) == (
        "report.bin",
        len(content),
        str(target),
    )
    assert document["sha256"] == hashlib.sha256(content).hexdigest()
    assert target.read_bytes() == content


def test_a_seed_determines_a_run(bellwire: Bellwire) -> None:
    # In a swap every measurement is followed by a message; two parties that measure one pair without any are served in
    # order of arrival, which no seed determines.
    arguments = ("run", "swap", "--lab", "alice-charlie-bob", "--rounds", 40, "--seed", 7, "--json")
    first, second = bellwire(*arguments).document, bellwire(*arguments).document
    assert first["seed"] == 7
    assert first.pop("wall_s") > 0 < second.pop("wall_s")
    assert first == second


def test_a_lab_file_is_described(bellwire: Bellwire) -> None:
    document = bellwire("validate", "alice-bob", "--json").document
    assert (document["schema"], document["valid"], document["lab"]) == (
        "bellwire.validate/1",
        True,
        "alice-bob",
    )
    (link,) = document["links"]
    assert link["length_m"] == 20_000
    assert link["transmission"] == pytest.approx(10**-0.4)
    text = bellwire("validate", find("alice-bob"))
    assert text.code == 0
    assert "is valid" in text.out


def test_what_to_expect_of_a_lab_is_told_without_starting_it(bellwire: Bellwire) -> None:
    document = bellwire("inspect", "--lab", "delft-thehague", "--json").document
    assert (document["schema"], document["lab"]) == ("bellwire.inspect/1", "delft-thehague")
    (link,) = document["links"]
    assert link["pairs"]["rate_hz"] == pytest.approx(link["pairs"]["success_probability"] / 150e-6)
    assert {node["storage"]["t2_s"] for node in document["nodes"]} == {1.0}
    text = bellwire("inspect", "--lab", "delft-thehague")
    assert text.code == 0
    assert "single-click" in text.out


def test_the_versions_are_printed(bellwire: Bellwire) -> None:
    document = bellwire("version", "--json").document
    assert document["schema"] == "bellwire.version/1"
    assert document.keys() >= {"bellwire", "python", "amqtt", "mosquitto"}
    assert bellwire("version").out.startswith("bellwire ")
