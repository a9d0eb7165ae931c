"""Nodes are killed, stopped and brought back on purpose: who needs them is told in time, and nothing is left over."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeadlineExceeded, NotFound, ProcessDied, RunUnsuccessful, UsageError
from deploy.jobs import Job
from deploy.laboratory import Laboratory

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire, Eventually, Lab, Program

pytestmark = pytest.mark.processes

TELEPORT = Job("teleport", rounds=5)
FOR_EVER = Job("teleport", rounds=1_000_000)
LETTER = """
from dataclasses import dataclass
from nodes.ports import Clock, Peer

@dataclass(frozen=True)
class Letter:
    number: int

async def alice(bob: Peer) -> None:
    await bob.receive(Letter)

async def bob(alice: Peer, clock: Clock, patience: float = 0.0) -> None:
    await clock.sleep(patience)
    await alice.send(Letter(1))
"""
PAIR = (
    "name: pair\nruntime: {broker: embedded, clock: {mode: MODE, PATIENCE}}\nnodes: {alice: , bob: , carol: }\n"
    "links:\n  - {endpoints: [alice, bob], length: 20 km}\n  - {endpoints: [alice, carol], length: 20 km}\n"
)


def pair(folder: Path, mode: str, patience: str = "patience: 60") -> Path:
    """Write a lab of two pairs of neighbours."""
    file = folder / "pair.yaml"
    text = PAIR.replace("MODE", mode)
    file.write_text(
        text.replace("PATIENCE", patience) if mode == "virtual" else text.replace(", PATIENCE", "")
    )
    return file


def states(lab: Laboratory) -> dict[str, str]:
    """How the processes are, by name."""
    return {status.name: status.state for status in lab.status()}


def _calling(call: Callable[[], None]) -> Callable[[int], None]:
    return lambda judged: call()


async def nothing_is_held(lab: Laboratory) -> bool:
    """Tell whether the quantum world is empty."""
    census = await lab.census()
    return census.qubits == census.reserved == census.in_flight == census.waiting == 0


@pytest.mark.parametrize("mode", ["virtual", "real-time"])
async def test_a_killed_node_works_again_when_it_is_resumed_and_nothing_is_left_of_its_former_life(
    lab: Lab, tmp_path: Path, eventually: Eventually, mode: str
) -> None:
    async with asyncio.timeout(60), lab(pair(tmp_path, mode)) as running:
        for round_ in range(3):
            former = next(status.pid for status in running.status() if status.name == "bob")
            begun = asyncio.Event()
            dying = asyncio.ensure_future(running.run(FOR_EVER, _calling(begun.set)))
            await begun.wait()
            await running.kill("bob")
            with pytest.raises(ProcessDied, match=r"'bob' was ended by signal 9"):
                await dying
            await running.kill("bob")  # twice is once
            assert states(running)["bob"] == "was ended by signal 9"
            with pytest.raises(ProcessDied, match="'bob'"):
                await running.run(TELEPORT)
            await running.run(Job("teleport", {"alice": "alice", "bob": "carol"}, 3))
            await running.resume("bob")
            assert states(running)["bob"] == "ready"
            again = next(status for status in running.status() if status.name == "bob")
            assert (again.restarts, again.pid != former) == (round_ + 1, True)
            assert (await running.run(TELEPORT)).figures["fidelity_mean"] == pytest.approx(1.0)
            await eventually(lambda: nothing_is_held(running))
            assert (await running.census()).sessions == 4


async def test_a_node_that_begins_again_knows_of_the_changes_and_of_the_partition(
    lab: Lab, tmp_path: Path
) -> None:
    async with asyncio.timeout(60), lab(pair(tmp_path, "virtual")) as running:
        await running.kill("bob")
        await running.change_link("alice-bob", {"classical.extra_delay": "1 s"})
        await running.partition(["carol"], planes="classical")
        await running.resume("bob")
        result = await running.run(TELEPORT)
        assert result.duration > 5.0  # five corrections, one second each
        with pytest.raises(DeadlineExceeded, match="everybody waits"):
            await running.run(Job("teleport", {"alice": "carol", "bob": "bob"}, 1))


async def test_a_paused_node_is_waited_for_until_the_deadline_and_goes_on_where_it_was(
    lab: Lab, tmp_path: Path, program: Program
) -> None:
    letter = program(LETTER)
    async with asyncio.timeout(60), lab(pair(tmp_path, "real-time")) as running:
        await running.pause("bob")
        await running.pause("bob")  # twice is once
        assert states(running)["bob"] == "paused"
        begun = time.monotonic()
        with pytest.raises(
            DeadlineExceeded, match="at node 'alice': node 'bob' did not send Letter within 1 s"
        ):
            await asyncio.wait_for(running.run(Job(letter, deadline=1.0)), 15)
        assert (
            time.monotonic() - begun < 14
        )  # the deadline, and that for cleaning up behind who does not answer
        waiting = asyncio.ensure_future(running.run(Job(letter, deadline=20.0)))
        await running.pass_time(0.3)
        await running.resume("bob")
        await running.resume("bob")  # nobody is paused
        await waiting
        assert states(running)["bob"] == "ready"
        await running.run(TELEPORT)


async def test_a_node_that_was_paused_hears_of_changes_when_it_goes_on(lab: Lab, tmp_path: Path) -> None:
    async with asyncio.timeout(60), lab(pair(tmp_path, "real-time")) as running:
        await running.pause("bob")
        await running.change_link("alice-bob", {"classical.extra_delay": "30 ms"})
        await running.resume("bob")
        result = await running.run(Job("teleport", {"alice": "bob", "bob": "alice"}, 3))
        assert result.duration > 0.09


async def test_in_virtual_time_a_paused_node_is_given_up_after_the_patience_and_can_begin_again(
    lab: Lab, tmp_path: Path, program: Program, eventually: Eventually
) -> None:
    letter = program(LETTER)
    async with asyncio.timeout(60), lab(pair(tmp_path, "virtual", "patience: 1")) as running:
        await running.pause("bob")
        with pytest.raises(RunUnsuccessful):
            await running.run(Job(letter, deadline=3.0))
        await running.kill("bob")
        await running.resume("bob")
        await running.run(Job(letter))
        await eventually(lambda: nothing_is_held(running))


async def test_what_cannot_be_done_to_a_node_is_refused(lab: Lab, tmp_path: Path) -> None:
    async with lab(pair(tmp_path, "virtual")) as running:
        for act in (running.kill, running.pause, running.resume):
            with pytest.raises(NotFound, match="unknown node 'bbo'; did you mean 'bob'"):
                await act("bbo")
            with pytest.raises(NotFound, match="unknown node 'broker'"):
                await act("broker")
        await running.kill("bob")
        with pytest.raises(
            UsageError, match="node 'bob' is dead, and a pause needs a process; resume it first"
        ):
            await running.pause("bob")


async def test_a_lab_with_a_paused_node_ends_at_once(lab: Lab, tmp_path: Path) -> None:
    async with lab(pair(tmp_path, "real-time")) as running:
        await running.pause("bob")
        begun = time.monotonic()
    assert time.monotonic() - begun < 4  # a process that does not hear is given five seconds


def test_a_paused_node_does_not_outlive_a_launcher_that_is_killed(bellwire: Bellwire) -> None:
    launcher = bellwire.start("up", "alice-bob")
    bellwire.wait_until_up(launcher)
    assert bellwire("pause", "bob").code == 0
    assert "paused" in bellwire("ps").out
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    bellwire.wait_for(lambda: bellwire.processes() == [])
    assert bellwire("ls").code == 0  # which removes what a crash has left
