"""A lab is parted on either plane and healed, and a record of it repeats."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeadlineExceeded, NotFound, RecordInvalid, RunUnsuccessful
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.recording import begin, header_of
from deploy.replay import replay
from deploy.topology import load

if TYPE_CHECKING:
    from tests.processes.conftest import Lab

pytestmark = pytest.mark.processes

ROW = (
    "name: row\nruntime: {broker: embedded, clock: {mode: MODE}}\nseed: 3\nnodes: {a: , b: , c: }\nlinks:\n"
    "  - {endpoints: [a, b], length: 10 km}\n  - {endpoints: [b, c], length: 10 km}\n"
    "  - {endpoints: [a, c], length: 30 km}\n"
)
PAIRS = Job("entangle", {"alice": "a", "bob": "c"}, 20)
LETTERS = """
from dataclasses import dataclass
from nodes.ports import Clock, Peer

@dataclass(frozen=True)
class Letter:
    number: int

async def alice(bob: Peer, clock: Clock, pause: float = 0.01) -> None:
    for number in range(100):
        await bob.send(Letter(number))
        await clock.sleep(pause)

async def bob(alice: Peer, clock: Clock, pause: float = 0.01) -> list[float]:
    return [(await alice.receive(Letter), clock.now())[1] for _ in range(100)]
"""


def row(folder: Path, mode: str = "virtual") -> Path:
    """Write a lab of three nodes, all linked."""
    file = folder / "row.yaml"
    file.write_text(ROW.replace("MODE", mode))
    return file


def letters(folder: Path) -> Job:
    """Write a program in which the node a writes to c a hundred times."""
    file = folder / "letters.py"
    file.write_text("from __future__ import annotations\n" + LETTERS)
    return Job(str(file), {"alice": "a", "bob": "c"}, deadline=5.0)


async def test_no_light_crosses_a_quantum_partition_and_messages_do(lab: Lab, tmp_path: Path) -> None:
    async with lab(row(tmp_path)) as running:
        await running.partition(["c"], planes="quantum")
        assert {link.name for link in await running.links() if not link.up} == {"b-c", "a-c"}
        with pytest.raises(RunUnsuccessful, match="down"):
            await running.run(PAIRS)
        await running.run(letters(tmp_path))
        assert (await running.run(Job("entangle", {"alice": "a", "bob": "b"}, 5))).rounds == 5
        await running.heal()
        assert all(link.up for link in await running.links())
        assert (await running.run(PAIRS)).figures["fidelity_mean"] == pytest.approx(1.0)


async def test_no_message_crosses_a_classical_partition_and_every_wait_ends(lab: Lab, tmp_path: Path) -> None:
    async with asyncio.timeout(60), lab(row(tmp_path)) as running:
        await running.partition(["a", "b"], ["c"], planes="classical")
        assert all(link.up for link in await running.links())
        with pytest.raises(DeadlineExceeded, match="everybody waits: c for Letter from a"):
            await running.run(letters(tmp_path))
        with pytest.raises(RunUnsuccessful):
            await running.run(PAIRS)
        assert (await running.run(Job("entangle", {"alice": "a", "bob": "b"}, 5))).rounds == 5
        await running.heal()
        await running.run(letters(tmp_path))
        assert (await running.run(PAIRS)).figures["fidelity_mean"] == pytest.approx(1.0)
        census = await running.census()
        assert (census.qubits, census.reserved, census.waiting, census.in_flight) == (0, 0, 0, 0)


async def test_in_real_time_the_error_names_who_waited_for_whom(lab: Lab, tmp_path: Path) -> None:
    async with asyncio.timeout(60), lab(row(tmp_path, "real-time")) as running:
        await running.partition(["a", "b"], ["c"])
        job = letters(tmp_path)
        with pytest.raises(DeadlineExceeded) as passed:
            await running.run(replace(job, deadline=0.5))
        assert (
            "at node 'c': node 'a' did not send Letter (a partition lies between the two) within 0.5 s"
            in str(passed.value)
        )
        await running.heal()
        await running.run(job)


async def test_another_partition_takes_the_place_of_the_first_and_what_was_cut_by_order_stays_cut(
    lab: Lab, tmp_path: Path
) -> None:
    async with lab(row(tmp_path)) as running:

        async def down() -> set[str]:
            return {link.name for link in await running.links() if not link.up}

        await running.set_link("a-b", False)
        await running.partition(["a"], ["b"])
        assert await down() == {"a-b"}
        await running.partition(["c"])
        assert await down() == {"a-b", "a-c", "b-c"}
        await running.set_link("a-c", True)
        await running.reset_link("b-c")
        assert await down() == {"a-b", "a-c", "b-c"}  # until it heals
        await running.heal()
        assert await down() == {"a-b"}
        await running.heal()  # twice is once
        await running.set_link("a-b", True)
        assert await down() == set()
        with pytest.raises(NotFound, match="unknown node 'd'"):
            await running.partition(["a"], ["d"])


async def recorded(folder: Path, file: Path, name: str, job: Job) -> Path:
    """Record a run in which the lab is changed at stated times, and before; return the record."""
    planned = plan(load(file), default_mode="virtual")
    record = folder / name
    begin(record, header_of(load(file), planned, job))
    directory = folder / f"lab-{name}"
    async with Laboratory(planned, directory, record=record) as running, asyncio.TaskGroup() as group:
        await running.change_link("b-c", {"length": "20 km"})
        await running.pass_time(0.5)
        times: list[tuple[float, str, dict[str, object]]] = [
            (0.6, "partition", {"groups": [["c"]], "planes": "both"}),
            (0.75, "heal", {}),
            (0.8, "change_link", {"name": "a-c", "changes": {"classical.extra_delay": "5 ms"}}),
            (0.9, "attach_eve", {"link": "a-c", "fraction": 0.5}),
            (1.0, "detach_eve", {"name": "eve"}),
            (1.1, "set_link", {"name": "a-c", "up": False}),
            (1.2, "reset_link", {"name": "a-c"}),
        ]

        def begun() -> None:
            for when, what, arguments in times:
                running.book(when)
                group.create_task(running.carry_out(what, {**arguments, "when": when}))

        await running.run(job, begun=begun)
        await running.close_record()
    return record


async def test_a_run_with_interventions_repeats_and_its_record_is_replayed(tmp_path: Path) -> None:
    job = letters(tmp_path)
    one, two = [await recorded(tmp_path, row(tmp_path), name, job) for name in ("one", "two")]
    assert one.read_bytes() == two.read_bytes()
    lines = [json.loads(line) for line in one.read_text().splitlines()[1:]]
    done = [(line["at"], line["what"]) for line in lines if line["event"] == "lab.intervened"]
    assert [what for _, what in done] == [
        "change_link", "partition", "heal", "change_link", "attach_eve", "detach_eve", "set_link", "reset_link",
    ]  # fmt: skip
    assert [at for at, _ in done[1:]] == [0.6, 0.75, 0.8, 0.9, 1.0, 1.1, 1.2]
    arrivals = [line["at"] for line in lines if line["event"] == "message.delivered" and line["node"] == "c"]
    assert not any(0.601 < at < 0.75 for at in arrivals)
    assert sum(0.75 <= at < 0.7502 for at in arrivals) > 10
    (tmp_path / "again").mkdir()
    replayed = await replay(one, tmp_path / "again")
    assert (replayed.difference, replayed.events) == (None, len(lines))


async def test_what_was_done_to_a_process_is_not_replayed(tmp_path: Path) -> None:
    job, file = letters(tmp_path), row(tmp_path)
    planned, record = plan(load(file), default_mode="virtual"), tmp_path / "record"
    begin(record, header_of(load(file), planned, job))
    async with Laboratory(planned, tmp_path / "lab", record=record) as running:
        await running.kill("b")
        await running.resume("b")
        await running.run(job)
        await running.close_record()
    with pytest.raises(RecordInvalid, match=r"record:2: kill was done to a process"):
        await replay(record, tmp_path / "again")
