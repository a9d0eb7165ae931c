"""A process is killed: who needs it is told, by name and in time; who does not lives on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from deploy.errors import ProcessDied
from deploy.jobs import Job
from deploy.laboratory import Laboratory

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire, Eventually, Lab, Program

pytestmark = pytest.mark.processes

BOB_DIES = """
import os, signal
from dataclasses import dataclass
from typing import Annotated
from nodes.ports import HalfWith, Peer, Qubit

@dataclass(frozen=True)
class Hello:
    number: int

async def alice(half: Annotated[Qubit, HalfWith("bob")], bob: Peer) -> None:
    await bob.send(Hello(1))
    await bob.receive(Hello)

async def bob(half: Annotated[Qubit, HalfWith("alice")], alice: Peer) -> None:
    await alice.receive(Hello)
    os.kill(os.getpid(), signal.SIGKILL)
"""
FOR_EVER = Job("teleport", rounds=1_000_000)


def pid_of(lab: Laboratory, name: str) -> int:
    """Return the id of a lab's process."""
    return next(status.pid for status in lab.status() if status.name == name)


def record(lab: Laboratory, node: str, name: str) -> dict[str, str]:
    """Return the fields of the one event of this name in a node's log."""
    events = [json.loads(line) for line in (lab.directory / "logs" / f"{node}.log").read_text().splitlines()]
    (fields,) = [event["fields"] for event in events if event["name"] == name]
    assert isinstance(fields, dict)
    return fields


async def run_and_kill(lab: Laboratory, job: Job, victim: str) -> ProcessDied:
    """Kill a process in the middle of a job; return how the job ended."""
    with pytest.raises(ProcessDied) as death:
        await lab.run(
            job, lambda judged: os.kill(pid_of(lab, victim), signal.SIGKILL) if judged == 1 else None
        )
    return death.value


# What asyncio lets through ends the process, which says goodbye to the broker on its way out: no last will is told.
ALICE_LEAVES_IN_DISORDER = """
import asyncio
async def alice() -> None: raise KeyboardInterrupt
async def bob() -> None: await asyncio.Event().wait()
"""


async def test_when_a_node_is_killed_its_peer_is_told_and_the_others_work_on(
    lab: Lab, broker: str, program: Program, eventually: Eventually
) -> None:
    async with lab("alice-charlie-bob", broker) as running:
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(ProcessDied, match=r"'bob' was ended by signal 9") as death:
            await running.run(Job(program(BOB_DIES), deadline=30.0))
        assert death.value.name == "bob"
        assert loop.time() - started < 10
        told = record(running, "alice", "part.failed")
        assert told["cause"] == "RunCancelled"
        assert "called off: at node 'bob': the process ended while it played its part" in told["message"]

        async def nothing_is_held() -> bool:
            census = await running.census()
            return census.qubits == census.reserved == census.in_flight == 0

        await eventually(nothing_is_held)
        states = {status.name: status.state for status in running.status()}
        assert states.pop("bob") == "was ended by signal 9"
        assert set(states.values()) == {"running", "ready"}
        result = await running.run(Job("entangle", {"alice": "alice", "bob": "charlie"}, rounds=5))
        assert result.figures["fidelity_mean"] == pytest.approx(0.98, abs=0.02)
        with pytest.raises(ProcessDied, match="'bob'"):
            await running.run(Job("teleport"))


async def test_a_node_that_ends_without_a_last_will_is_missed_all_the_same(
    lab: Lab, broker: str, program: Program
) -> None:
    async with asyncio.timeout(10), lab("alice-bob", broker) as running:
        with pytest.raises(ProcessDied, match="process 'alice' failed: KeyboardInterrupt"):
            await running.run(Job(program(ALICE_LEAVES_IN_DISORDER)))


@pytest.mark.parametrize("victim", ["state", "broker"])
async def test_without_its_server_or_its_broker_a_lab_ends_and_says_why(
    lab: Lab, broker: str, victim: str
) -> None:
    async with asyncio.timeout(20), lab("alice-bob", broker) as running:
        death = await run_and_kill(running, FOR_EVER, victim)
        assert death.name == victim
        assert "was ended by signal 9" in str(death)
        failure = await running.failed()
        assert isinstance(failure, ProcessDied)
        assert failure.name == victim


def test_a_lab_that_is_up_ends_with_its_server(bellwire: Bellwire) -> None:
    lab = bellwire.start("up", "alice-bob")
    bellwire.wait_until_up(lab)
    (server,) = [p["pid"] for p in bellwire("ps", "--json").document["processes"] if p["name"] == "state"]
    os.kill(server, signal.SIGKILL)
    _, complaint = lab.communicate(timeout=20)
    assert lab.returncode == 5
    assert "process 'state' was ended by signal 9" in complaint
    assert "Traceback" not in complaint


def test_a_lab_in_the_background_leaves_its_last_words(
    bellwire: Bellwire, ends: Callable[[Sequence[int]], None]
) -> None:
    assert bellwire("up", "alice-bob", "-d").code == 0
    everything = bellwire.processes()
    (server,) = [p["pid"] for p in bellwire("ps", "--json").document["processes"] if p["name"] == "broker"]
    os.kill(server, signal.SIGKILL)
    ends(everything)
    asked = bellwire("run", "teleport", "-l", "alice-bob")
    assert asked.code == 4
    assert "lab 'alice-bob' is not up any more: process 'broker' was ended by signal 9" in asked.err
    (bellwire.home / "alice-bob.last-words").unlink()


def test_when_the_launcher_is_killed_no_process_is_left(
    bellwire: Bellwire, ends: Callable[[Sequence[int]], None], lab_on: Callable[[str], str], broker: str
) -> None:
    launcher = bellwire.start("up", lab_on(broker))
    bellwire.wait_until_up(launcher)
    everything = bellwire.processes()
    assert len(everything) >= 5
    launcher.kill()
    ends(everything)
    assert "No lab is up." in bellwire("ls").out


def test_a_node_that_never_awaits_ends_with_its_launcher(
    bellwire: Bellwire, ends: Callable[[Sequence[int]], None], program: Program
) -> None:
    endless = program(
        "import os\nasync def alice() -> None:\n    os.write(1, b'spinning\\n')\n    while True: pass\n"
    )
    lab = bellwire.start("up", "alice-bob")
    bellwire.wait_until_up(lab)
    bellwire.start("run", endless, "-l", "alice-bob", "--deadline", "60")
    log = bellwire.home / "labs" / "alice-bob" / "logs" / "alice.log"
    bellwire.wait_for(lambda: "spinning" in log.read_text())
    everything = bellwire.processes()
    lab.kill()
    ends(everything)
    assert "No lab is up." in bellwire("ls").out
