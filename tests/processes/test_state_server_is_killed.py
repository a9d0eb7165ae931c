"""A shared-state server with a journal is killed, again and again: nobody can tell from what it does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.premises import STATE
from deploy.topology import find, load
from nodes.runtime.run_request import RunResult
from shared_state.client import NodeClient
from shared_state.config import (
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    ServerConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.document import write
from shared_state.oracle import OracleClient

pytestmark = pytest.mark.processes

KILLS = 50
ROUNDS = 400
NODE = NodeDevices(MemoryConfig(16, t1=5.0, t2=2.0), GateConfig(0.99, 0.98, readout_error_0=0.02))
WORLD = WorldConfig(
    nodes={"alice": NODE, "charlie": NODE, "bob": NODE},
    links={
        f"{one}-{other}": LinkDevices(
            (one, other), FibreConfig(5000.0), WernerSource(rate=1000.0, fidelity=0.95)
        )
        for one, other in (("alice", "charlie"), ("charlie", "bob"))
    },
    seed=11,
)
CONFIG = ServerConfig("lab", WORLD, {name: f"{name}'s token" for name in WORLD.nodes}, "the oracle's token")


PROGRAM = """
from shared_state import journal
from shared_state.__main__ import main

journal.REPLAYED, journal.SHARE = 0.02, 1
read = journal.Journal.picture

def announced(self):
    print("recovering", flush=True)
    return read(self)

journal.Journal.picture = announced
main()
"""
"""The server, which takes pictures all the time and says when it begins to read its journal."""


class Mortal:
    """A server process that can be killed and is started again on its port and its journal."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config

    async def start(self) -> int:
        await self.launch()
        line = b""
        while not line.startswith(b"{"):
            line = await self._line()
            assert line, "the server has ended"
        port = int(json.loads(line)["port"])
        self.config = replace(self.config, port=port)
        return port

    async def die_while_it_recovers(self) -> None:
        await self.launch()
        assert await self._line() == b"recovering\n"
        await self.kill()

    async def launch(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, "--config", "-",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(write(self.config).encode() + b"\n")

    async def _line(self) -> bytes:
        assert self.process.stdout is not None
        return await self.process.stdout.readline()

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def clients(port: int) -> AsyncIterator[tuple[NodeClient, NodeClient, NodeClient, OracleClient]]:
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(
                await NodeClient.connect("127.0.0.1", port, lab="lab", name=name, token=token)
            )
            for name, token in CONFIG.credentials.items()
        ]
        oracle = await OracleClient.connect(
            "127.0.0.1", port, lab="lab", name="control", token=CONFIG.oracle_token
        )
        yield nodes[0], nodes[1], nodes[2], await stack.enter_async_context(oracle)


class Progress:
    """Counts what has been done; whoever wants to strike at a certain moment waits for it."""

    def __init__(self) -> None:
        self.done = 0
        self._changed = asyncio.Event()

    def step(self) -> None:
        self.done += 1
        self._changed.set()

    async def until(self, done: int) -> None:
        while self.done < done:
            self._changed.clear()
            await self._changed.wait()


async def load_of_work(port: int, progress: Progress) -> list[Any]:
    """Let three nodes do what has dice, memories and pipelined gates in it; return everything they learnt."""
    learnt: list[Any] = []
    async with clients(port) as (alice, charlie, bob, oracle):
        for number in range(ROUNDS):
            run, at = f"run-{number}", 0.1 * number
            one, two = await asyncio.gather(
                alice.pair(at, run, "alice-charlie"), charlie.pair(at, run, "alice-charlie")
            )
            three, four = await asyncio.gather(
                charlie.pair(at, run, "charlie-bob"), bob.pair(at, run, "charlie-bob")
            )
            late = max(one.time, three.time)
            for _ in range(8):
                alice.gate(late, "x", [one.qubit])  # statements on their way when the server dies
            outcome = await charlie.bell_measure(late, two.qubit, three.qubit)
            x, z = outcome
            if x:
                bob.gate(late, "x", [four.qubit])
            if z:
                bob.gate(late, "z", [four.qubit])
            alice.gate(late, "h", [one.qubit])
            bit = await alice.measure(late + 0.01, one.qubit, "X" if number % 2 else "Z")
            bob.gate(late + 0.01, "ry", [four.qubit], 0.3)
            await bob.hand_over(late + 0.02, [four.qubit])
            rho = await oracle.density_matrix([four.qubit])
            await oracle.discard([four.qubit])
            learnt.append(((one.pair, three.pair, one.time, three.time, outcome, bit), rho))
            progress.step()
        census = await oracle.census()
        learnt.append((census.qubits, census.held, census.waiting, await oracle.now()))
    return learnt


async def reaper(server: Mortal, progress: Progress) -> int:
    """Kill the server at random moments under load; return how often."""
    dice = np.random.default_rng(5)
    moments = np.sort(dice.integers(1, ROUNDS - 1, KILLS))
    for moment in moments.tolist():
        await progress.until(moment)
        for _ in range(int(dice.integers(0, 40))):
            await asyncio.sleep(0)  # somewhere within a round, not always at its end
        await server.kill()
        if dice.random() < 0.2:
            await server.die_while_it_recovers()
        await server.start()
    return len(moments)


@pytest.mark.timeout(240)
async def test_fifty_deaths_under_load_change_nothing(tmp_path: Path) -> None:
    unkilled = Mortal(CONFIG)
    try:
        expected = await load_of_work(await unkilled.start(), Progress())
    finally:
        await unkilled.kill()
    server, progress = Mortal(replace(CONFIG, journal=str(tmp_path / "journal"))), Progress()
    port = await server.start()
    try:
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(reaper(server, progress))
            working = group.create_task(load_of_work(port, progress))
    finally:
        await server.kill()
    assert killing.result() == KILLS
    with sqlite3.connect(tmp_path / "journal") as file:
        assert file.execute("SELECT count(*) FROM facts WHERE name = 'picture'").fetchone() == (1,)
    (*outcomes, census), (*expected_outcomes, expected_census) = working.result(), expected
    assert census == expected_census
    assert [classical for classical, _ in outcomes] == [classical for classical, _ in expected_outcomes]
    # gates of two nodes on one pair commute, but for the last digit: their order on the wall is nobody's promise
    states = [np.array([rho for _, rho in both]) for both in (outcomes, expected_outcomes)]
    np.testing.assert_allclose(states[0], states[1], atol=1e-12)


async def test_a_lab_with_a_journal_outlives_its_state_server(tmp_path: Path) -> None:
    planned = plan(load(find("alice-bob")), default_journal=True, seed=3)
    async with Laboratory(planned, tmp_path) as lab:
        first = next(status for status in lab.status() if status.name == STATE)
        struck = asyncio.Event()

        def progress(judged: int) -> None:
            if judged == 20 and not struck.is_set():
                struck.set()
                os.kill(first.pid, signal.SIGKILL)

        result: RunResult = await lab.run(Job("teleport", rounds=200), progress)
        assert struck.is_set()
        assert result.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
        second = next(status for status in lab.status() if status.name == STATE)
    assert (second.restarts, second.port) == (1, first.port)
    assert second.pid != first.pid
