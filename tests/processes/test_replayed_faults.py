"""Faults in the middle of a recorded run: they happen at exact emulated times, and the record repeats byte for byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.recording import begin, header_of
from deploy.replay import replay
from deploy.topology import load

pytestmark = pytest.mark.processes

LAB = (
    "name: row\nruntime: {broker: embedded}\nseed: 3\nnodes: {a: , b: , c: }\nlinks:\n"
    "  - {endpoints: [a, b], length: 10 km, qkd: {protocol: bb84, pulse_rate: 1 MHz}}\n"
    "  - {endpoints: [b, c], length: 10 km}\n  - {endpoints: [a, c], length: 30 km}\n"
    "taps: {eve: {link: a-b, at: 3 km}}\n"
)

Meanwhile = Callable[[Laboratory, asyncio.TaskGroup], None]


async def recorded(folder: Path, job: Job, meanwhile: Meanwhile) -> tuple[Path, list[dict[str, Any]]]:
    """Record a job, with what is done to the lab when it has begun; return the record and its events."""
    file, record = folder / "row.yaml", folder / "record"
    file.write_text(LAB)
    valid = load(file)
    planned = plan(valid, default_mode="virtual")
    begin(record, header_of(valid, planned, job))
    async with Laboratory(planned, folder / "lab", record=record) as running:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            await running.run(job, begun=lambda: meanwhile(running, group))
        await running.close_record()
    return record, [json.loads(line) for line in record.read_text().splitlines()[1:]]


async def check_repeats(record: Path, events: int) -> None:
    """Fail unless a replay finds nothing else."""
    again = record.parent / "again"
    again.mkdir()
    async with asyncio.timeout(30):
        replayed = await replay(record, again)
    assert (replayed.difference, replayed.events) == (None, events)


@pytest.mark.parametrize(("up", "outlasts"), [(0.003, False), (10.0, True)])
async def test_a_link_flaps_at_exact_times_and_its_record_repeats(
    tmp_path: Path, up: float, outlasts: bool
) -> None:
    down, times = 0.002, 3

    def flap(lab: Laboratory, group: asyncio.TaskGroup) -> None:
        group.create_task(lab.flap_link("a-c", down, up, times))

    record, events = await recorded(tmp_path, Job("entangle", {"alice": "a", "bob": "c"}, 20), flap)
    done = [
        (each["at"], json.loads(each["arguments"])) for each in events if each["event"] == "lab.intervened"
    ]
    assert [each["up"] for _, each in done] == [False, True] * times
    at = done[0][0]
    for moment, each in done:
        assert moment == at
        at = moment + (up if each["up"] else down)
    cuts = [(each["at"], each["up"]) for each in events if each["event"] == "link.set"]
    assert cuts == [(moment, each["up"]) for moment, each in done]
    assert any(each["event"] == "operation.refused" for each in events), "it was felt"
    ended = max(each["at"] for each in events if each["event"] == "part.played")
    assert (done[-1][0] > ended) == outlasts
    await check_repeats(record, len(events))


async def test_an_eavesdropper_who_leaves_in_the_middle_of_a_run_that_wants_her_goes_with_it(
    tmp_path: Path,
) -> None:
    enabled: list[bool] = []

    def leaves(lab: Laboratory, group: asyncio.TaskGroup) -> None:
        async def leave() -> None:
            await lab.carry_out("detach_eve", {"name": "eve", "when": 0.05})
            enabled.extend(each.enabled for each in await lab.eves())

        lab.book(0.05)
        group.create_task(leave())

    job = Job("qkd", {"alice": "a", "bob": "b"}, 4, {"pulses": "20000"}, tap="eve")
    record, events = await recorded(tmp_path, job, leaves)
    [left] = [each["at"] for each in events if each["event"] == "lab.intervened"]
    lit = [each["at"] for each in events if each["event"] == "pulses.emitted"]
    assert left == 0.05
    assert min(lit) < left < max(lit)
    assert enabled == [True]
    assert sum(each["event"] == "key.alarm" for each in events) == 2 * job.rounds, (
        "both ends see her in each round"
    )
    await check_repeats(record, len(events))
