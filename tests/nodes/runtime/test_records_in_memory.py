"""The same lab, program and seed give the same record, byte for byte."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from deploy.plan import plan
from deploy.topology import find, load
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest

PAIR = {"alice": "alice", "bob": "bob"}
CASES: dict[str, tuple[str, dict[str, str], int, dict[str, Any]]] = {
    "teleport": ("alice-bob", PAIR, 5, {}),
    "swap": ("alice-charlie-bob", {**PAIR, "charlie": "charlie"}, 5, {}),
    "chsh": ("alice-bob", PAIR, 20, {}),
    "entangle": ("alice-charlie-bob", PAIR, 5, {}),
    "witness": ("alice-bob", PAIR, 5, {}),
    "qkd": ("alice-bob", PAIR, 1, {"pulses": 20_000}),
}


async def record_of(program: str, file: Path, seed: int = 5) -> bytes:
    """Run a program and return the record without its head."""
    lab, roles, rounds, parameters = CASES[program]
    world = plan(load(find(lab)), default_mode="virtual", seed=seed).world
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"head\n")
    async with in_memory_lab(world, record=file) as conductor:
        await conductor.run(RunRequest(program, roles, rounds, parameters))
    with os.fdopen(descriptor, "rb") as record:
        return record.read()


@pytest.mark.parametrize("program", CASES)
async def test_two_runs_with_one_seed_have_the_same_record_and_another_seed_another(
    program: str, tmp_path: Path
) -> None:
    first = await record_of(program, tmp_path / "one")
    assert first == await record_of(program, tmp_path / "two")
    assert first != await record_of(program, tmp_path / "three", seed=6)


async def test_every_message_that_is_sent_is_delivered_and_none_is_told_word_for_word(tmp_path: Path) -> None:
    told = [json.loads(line) for line in (await record_of("qkd", tmp_path / "record")).splitlines()]
    sent = [event for event in told if event["event"] == "message.sent"]
    delivered = [event for event in told if event["event"] == "message.delivered"]
    key = ("session", "protocol", "kind", "sequence", "bytes")
    assert sorted([e[k] for k in key] + [e["to"]] for e in sent) == sorted(
        [e[k] for k in key] + [e["node"]] for e in delivered
    )
    assert {"key.made", "pulses.emitted", "pulses.detected"} <= {event["event"] for event in told}
    assert all(set(event) <= {"at", "node", "event", "to", *key} for event in sent)
