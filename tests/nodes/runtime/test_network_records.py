"""What a lab's record tells of the network: the same bytes for the same lab, program and seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import GateConfig, WorldConfig

Chain = Callable[..., WorldConfig]

NAMES = ("alice", "r1", "r2", "bob")


async def record(world: WorldConfig, file: Path, **parameters: str | float) -> list[str]:
    begin(file)
    async with in_memory_lab(world, record=file) as lab:
        await lab.run(RunRequest("entangle", {"alice": "alice", "bob": "bob"}, 8, parameters))
    return events(file)


def begin(file: Path) -> None:
    file.write_text("{}\n")


def events(file: Path) -> list[str]:
    return file.read_text().splitlines()[1:]


async def test_a_request_is_told_from_its_circuit_to_its_end_by_everyone_who_took_part(
    chain: Chain, tmp_path: Path
) -> None:
    lines = await record(chain(*NAMES, fidelity=0.9), tmp_path / "record")
    happened = [json.loads(line) for line in lines]
    told = Counter((event["event"], event["node"]) for event in happened)
    for node in NAMES:
        assert told["circuit.installed", node] == told["circuit.released", node] == 1
    assert told["pair.delivered", "alice"] == told["pair.delivered", "bob"] == 12
    assert told["pair.delivered", "r1"] == 0
    (ended,) = [event for event in happened if event["event"] == "request.ended"]
    assert (ended["node"], ended["delivered"], ended["failure"]) == ("alice", 12, "")
    (path,) = {event["path"] for event in happened if event["event"] == "circuit.installed"}
    assert path == "alice - r1 - r2 - bob"
    pairs = [
        event["pair"] for event in happened if (event["event"], event["node"]) == ("pair.delivered", "bob")
    ]
    assert pairs == [
        event["pair"] for event in happened if (event["event"], event["node"]) == ("pair.delivered", "alice")
    ]


async def test_runs_of_the_network_repeat_to_the_byte(chain: Chain, tmp_path: Path) -> None:
    gates = GateConfig(two_fidelity=0.98, readout_error_0=0.02, readout_error_1=0.02, bell_success=0.7)
    world = chain(*NAMES, fidelity=0.9, gates=gates, seed=5)
    terms: dict[str, str | float] = {"order": "nested", "purify": "bbpssw", "cutoff": 0.002, "window": 3}
    first = await record(world, tmp_path / "first", **terms)
    assert first == await record(world, tmp_path / "second", **terms)
    assert len(first) > 500
