"""What a node's fault does to a lab in virtual time, where all wait for who has the turn; and what waiting costs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.errors import ProcessDied, RunUnsuccessful
from deploy.jobs import Job

if TYPE_CHECKING:
    from deploy.laboratory import Laboratory
    from tests.processes.conftest import Bellwire, Eventually, Lab, Program

pytestmark = pytest.mark.processes

PRELUDE = """
import asyncio, threading
from dataclasses import dataclass
from pathlib import Path
from nodes.ports import Clock, Peer

@dataclass(frozen=True)
class Hello:
    number: int

"""
KEEPS_THE_TURN = """
async def alice(clock: Clock) -> None:
    await clock.sleep(2.0)

async def bob(clock: Clock) -> None:
    await clock.sleep(1.0)
    Path({sign!r}).touch()
    {then}
"""
"""Bob says by a file that he has the turn, at 1 s, and never ends it; alice waits for hers meanwhile."""

COMPUTES = "while True: pass"
AWAITS_A_THREAD = "await asyncio.to_thread(threading.Event().wait)"
AWAITS_A_FUTURE = "await asyncio.get_running_loop().create_future()"
DEADLOCK = """
async def alice(bob: Peer) -> None: await bob.receive(Hello)
async def bob(alice: Peer) -> None: await alice.receive(Hello)
"""
WAITS_AN_HOUR = """
async def alice(clock: Clock) -> float:
    await clock.sleep(3600)
    return clock.now()

async def bob(clock: Clock) -> float:
    await clock.sleep(3600)
    return clock.now()
"""

HASTY = """
name: hasty
runtime: {broker: embedded, clock: {patience: 1}}
nodes: {alice: , charlie: , bob: }
links:
  - {endpoints: [alice, charlie], length: 1 km}
  - {endpoints: [charlie, bob], length: 1 km}
"""
OTHERS = Job("entangle", {"alice": "alice", "bob": "charlie"}, rounds=5)


def pid_of(lab: Laboratory, name: str) -> int:
    """Return the id of a lab's process."""
    return next(status.pid for status in lab.status() if status.name == name)


@pytest.mark.parametrize("then", [COMPUTES, AWAITS_A_THREAD])
async def test_a_node_killed_in_its_turn_fails_its_run_and_the_others_go_on(
    lab: Lab, program: Program, eventually: Eventually, tmp_path: Path, then: str
) -> None:
    sign = tmp_path / "has the turn"
    mine = program(PRELUDE + KEEPS_THE_TURN.format(sign=str(sign), then=then))
    async with lab("alice-charlie-bob") as running:
        run = asyncio.create_task(running.run(Job(mine)))
        await eventually(lambda: asyncio.to_thread(sign.exists))
        os.kill(pid_of(running, "bob"), signal.SIGKILL)
        async with asyncio.timeout(10):
            with pytest.raises(ProcessDied, match=r"'bob' was ended by signal 9") as death:
                await run
            assert death.value.name == "bob"
            assert (await running.run(OTHERS)).figures["fidelity_mean"] == pytest.approx(0.98, abs=0.02)
        census = await running.census()
        assert census.qubits == census.reserved == census.in_flight == 0


async def test_a_node_stopped_in_its_turn_is_waited_for_as_long_as_the_lab_file_says(
    lab: Lab, program: Program, eventually: Eventually, tmp_path: Path
) -> None:
    sign, file = tmp_path / "has the turn", tmp_path / "hasty.yaml"
    mine = program(PRELUDE + KEEPS_THE_TURN.format(sign=str(sign), then=AWAITS_A_FUTURE))
    file.write_text(HASTY)
    async with lab(file) as running:
        run = asyncio.create_task(running.run(Job(mine)))
        await eventually(lambda: asyncio.to_thread(sign.exists))
        stopped = pid_of(running, "bob")
        os.kill(stopped, signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                with pytest.raises(
                    RunUnsuccessful, match="bob has kept its turn at 1 s for 1 s of wall time"
                ):
                    await run
                others = await running.run(OTHERS)
            assert others.rounds == len(others.returned) == 5
        finally:
            os.kill(stopped, signal.SIGCONT)


async def test_an_hour_of_waiting_takes_no_time(lab: Lab, program: Program) -> None:
    async with lab("alice-bob") as running:
        result = await running.run(Job(program(PRELUDE + WAITS_AN_HOUR)))
    assert result.returned == [{"alice": 3600.0, "bob": 3600.0}]
    assert result.duration == 3600.0
    assert result.wall < 2


def test_a_deadlock_ends_the_command_at_once_with_the_exit_code_of_a_deadline(
    bellwire: Bellwire, program: Program
) -> None:
    began = time.monotonic()
    done = bellwire("run", program(PRELUDE + DEADLOCK), "--lab", "alice-bob", "--deadline", 60, "--json")
    assert time.monotonic() - began < 5
    assert done.code == 6
    story = "at 0 s everybody waits: alice for Hello from bob; bob for Hello from alice"
    document = json.loads(done.out)
    assert document.keys() == {"schema", "error", "exit_code", "problems"}
    assert (document["schema"], document["exit_code"]) == ("bellwire.error/1", 6)
    assert document["problems"] == []
    assert story in document["error"]
    assert "Traceback" not in done.err
