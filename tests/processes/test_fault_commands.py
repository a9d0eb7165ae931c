"""Faults on demand from the command line, and chaos that leaves everything whole."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from deploy.errors import NotFound, UsageError

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes

LAB = "alice-charlie-bob"


@pytest.fixture
def up(bellwire: Bellwire) -> Bellwire:
    """The command, with a lab of three nodes up in real time."""
    assert bellwire("up", LAB, "-d").code == 0
    return bellwire


def links(command: Bellwire) -> dict[str, Any]:
    """How the links are, by name."""
    return {link["name"]: link for link in command("link", "ls", "--json").document["links"]}


def test_links_are_changed_shown_and_reset(up: Bellwire) -> None:
    before = links(up)
    done = up("link", "set", "alice-charlie", "length=40 km", "classical.loss=5 %", "--json")
    assert done.document == {
        "schema": "bellwire.link/1",
        "lab": LAB,
        "link": "alice-charlie",
        "up": True,
        "changed": {"length": "40 km", "classical.loss": "5 %"},
    }
    assert up("link", "set", "alice-charlie", "source.fidelity=0.7").code == 0
    shown = up("link", "show", "alice-charlie")
    assert "length\t40 km (changed)\n" in shown.out
    assert "source.rate\t10 kHz\n" in shown.out
    listed = up("link", "ls").out.splitlines()
    assert listed[1].split("\t") == [
        "alice-charlie",
        "alice - charlie",
        "up",
        "40 km",
        "length=40 km, classical.loss=5 %, source.fidelity=0.7",
    ]
    pairs = up("entangle", "alice", "charlie", "-n", "20", "--json").document
    assert pairs["fidelity_mean"] < 0.71
    assert up("link", "reset", "alice-charlie").code == 0
    assert links(up) == before
    assert up("link", "flap", "alice-bob", "--down", "0.05", "--up", "0.05", "-n", "3").code == 0
    assert links(up) == before
    for words, error, says in (
        (("set", "alice-charlie", "lenght=40 km"), UsageError, "did you mean 'length'?"),
        (("set", "alice-charlie", "length=40"), UsageError, "'40' has no unit; write length: 40 km"),
        (("set", "alice-charlie", "length"), UsageError, "takes NAME=VALUE"),
        (("set", "alice-chalie", "length=40 km"), NotFound, "did you mean 'alice-charlie'?"),
        (("reset", "alice-chalie"), NotFound, "did you mean 'alice-charlie'?"),
        (("show", "alice-chalie"), NotFound, "did you mean 'alice-charlie'?"),
        (("flap", "alice-chalie"), NotFound, "did you mean 'alice-charlie'?"),
    ):
        refused = up("link", *words, "--json")
        assert (refused.code, json.loads(refused.out)["exit_code"]) == (error.exit_code, error.exit_code)
        assert says in refused.err
    assert links(up) == before
    assert up("down").code == 0


def test_eve_is_attached_seen_in_the_key_and_detached(up: Bellwire) -> None:
    attached = up("eve", "attach", "alice-bob", "--fraction", "50 %", "--at", "9 km", "--json").document
    assert attached["eve"] == "eve-2"
    spied = up("qkd", "alice", "bob", "--json")
    assert json.loads(spied.out)["qber"] > 0.1
    told = {eve["name"]: eve for eve in up("eve", "ls", "--json").document["eves"]}
    assert told["eve-2"]["at_m"] == 9000.0
    assert told["eve-2"]["report"]["kept"] > 0
    assert (told["eve-2"]["enabled"], told["eve"]["enabled"]) == (True, False)
    assert up("eve", "detach", "eve-2").code == 0
    assert "eve-2" not in up("eve", "ls").out
    assert up("qkd", "alice", "bob", "--json").document["qber"] < 0.03
    assert up("eve", "attach", "eve").code == 0
    assert "eve\talice-bob\t11 km\tintercept-resend\t1\tattached" in up("eve", "ls").out
    for words, error, says in (
        (("detach", "eev"), NotFound, "did you mean 'eve'?"),
        (("attach", "alice-bbo"), NotFound, "did you mean 'alice-bob'?"),
        (("attach", "alice-bob", "--fraction", "much"), UsageError, "--fraction: 'much' is not a fraction"),
        (("attach", "alice-bob", "--fraction", "3"), UsageError, "write one from 0 to 1"),
        (("attach", "alice-bob", "--at", "99 km"), UsageError, "write 22 km or less"),
        (
            ("attach", "alice-bob", "--strategy", "intercpt-resend"),
            UsageError,
            "did you mean 'intercept-resend'?",
        ),
    ):
        refused = up("eve", *words)
        assert refused.code == error.exit_code
        assert says in refused.err
        assert "Traceback" not in refused.err
    assert up("down").code == 0


def test_nodes_are_killed_paused_and_resumed_and_the_lab_parted_and_healed(up: Bellwire) -> None:
    assert up("kill", "bob", "--json").document == {"schema": "bellwire.kill/1", "lab": LAB, "node": "bob"}
    failed = up("entangle", "alice", "bob", "-n", "3")
    assert failed.code != 0
    assert "'bob'" in failed.err
    assert up("resume", "bob").code == 0
    assert up("entangle", "alice", "bob", "-n", "3").code == 0
    assert up("pause", "charlie").code == 0
    states = {p["name"]: p["state"] for p in up("ps", "--json").document["processes"]}
    assert (states["charlie"], states["bob"]) == ("paused", "ready")
    assert up("resume", "charlie").code == 0
    parted = up("partition", "alice,bob", "|", "charlie", "--plane", "quantum", "--json").document
    assert (parted["groups"], parted["plane"]) == ([["alice", "bob"], ["charlie"]], "quantum")
    assert {name for name, link in links(up).items() if not link["up"]} == {"alice-charlie", "charlie-bob"}
    assert "It is cut all the same" in up("link", "up", "alice-charlie").err
    assert up("heal").code == 0
    assert all(link["up"] for link in links(up).values())
    assert up("entangle", "alice", "bob", "-n", "3").code == 0
    for words, error, says in (
        (("kill", "bbo"), NotFound, "did you mean 'bob'?"),
        (("pause", "bbo"), NotFound, "did you mean 'bob'?"),
        (("resume", "bbo"), NotFound, "did you mean 'bob'?"),
        (("partition", "alice", "|", "bbo"), NotFound, "did you mean 'bob'?"),
        (("partition", "alice", "|", "alice"), UsageError, "both sides"),
        (("partition", "alice", "|", "|"), UsageError, "no node in it"),
        (("partition", "alice", "--plane", "clasical"), UsageError, "did you mean 'classical'?"),
        (("heal", "-l", "metro"), NotFound, "no lab 'metro' is up"),
    ):
        refused = up(*words)
        assert refused.code == error.exit_code, refused.err
        assert says in refused.err
    events = [json.loads(line) for line in up("events", "--event", "lab.intervened").out.splitlines()]
    assert [event["what"] for event in events] == [
        "kill",
        "resume",
        "pause",
        "resume",
        "partition",
        "set_link",
        "heal",
    ]
    assert up("down").code == 0


def test_chaos_is_the_same_for_a_seed_and_leaves_the_lab_whole(up: Bellwire) -> None:
    before = links(up)
    dry = [up("chaos", "--seed", "7", "--for", "60s", "--dry-run", "--json").out for _ in range(2)]
    assert dry[0] == dry[1] != up("chaos", "--seed", "8", "--for", "60s", "--dry-run", "--json").out
    planned = [json.loads(line) for line in dry[0].splitlines()]
    assert {step["schema"] for step in planned} == {"bellwire.chaos/1"}
    assert links(up) == before
    for seed in ("7", "11"):
        done = up("chaos", "--seed", seed, "--for", "6 s", "--intensity", "2", "--json")
        assert done.code == 0, done.err
        steps = [json.loads(line) for line in done.out.splitlines()]
        assert [step["error"] for step in steps] == [None] * len(steps)
        assert f"--seed {seed}" in done.err
    assert whole(up) == before
    for words in (("--for", "soon"), ("--for", "0 s"), ("--intensity", "-1")):
        assert up("chaos", *words).code == 2
    assert up("down").code == 0


def test_ctrl_c_heals_what_chaos_has_broken(up: Bellwire) -> None:
    before = links(up)
    chaos = up.start("chaos", "--seed", "7", "--for", "5 min", "--intensity", "3")
    assert chaos.stdout is not None
    for _ in range(12):
        assert chaos.stdout.readline()
    os.killpg(chaos.pid, signal.SIGINT)
    out, complaint = chaos.communicate(timeout=40)
    assert chaos.returncode == 130, complaint
    assert "Traceback" not in complaint + out
    assert whole(up) == before
    assert up("down").code == 0


def whole(command: Bellwire) -> dict[str, Any]:
    """Check that every process is there and works; return how the links are."""
    states = {p["name"]: p["state"] for p in command("ps", "--json").document["processes"]}
    assert set(states.values()) <= {"running", "ready"}, states
    assert all(not eve["enabled"] for eve in command("eve", "ls", "--json").document["eves"])
    made = command("entangle", "alice", "bob", "-n", "3", "--json")
    assert made.document["pairs"] == 3
    return links(command)
