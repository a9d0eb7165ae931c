"""The server can be run by itself."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from shared_state.client import NodeClient
from shared_state.config import MemoryConfig, NodeDevices, ServerConfig
from shared_state.document import write

LARGE = 11
"""Qubits of the largest cluster: one operation on it takes 0.03 to 0.3 s."""
NOTICED = 0.1
"""Wall seconds for which nobody may be held up by what others ask for."""


@pytest.mark.processes
async def test_the_server_runs_by_itself_and_says_where(config: ServerConfig) -> None:
    async with run(config) as (process, port), await join(config, port, "alice") as alice:
        assert alice.mode == "virtual"
        assert await alice.measure(0.0, await alice.qubit(0.0, "run"), "Z") == 0
        process.kill()
        assert "is gone" in str(await alice.lost)


@pytest.mark.processes
async def test_work_on_the_largest_cluster_holds_up_nobody_else(config: ServerConfig) -> None:
    nodes = dict.fromkeys(config.world.nodes, NodeDevices(MemoryConfig(count=LARGE)))
    large = replace(config, world=replace(config.world, nodes=nodes, max_qubits=LARGE))
    async with (
        run(large) as (_, port),
        await join(large, port, "alice") as alice,
        await join(large, port, "bob") as bob,
        asyncio.TaskGroup() as group,
    ):
        heavy = group.create_task(entangle_and_measure(alice))
        gaps = []
        while not heavy.done():
            began = monotonic()
            await bob.sync()
            gaps.append(monotonic() - began)
    assert heavy.result() in ([0] * LARGE, [1] * LARGE)
    assert len(gaps) > 100
    assert max(gaps) < NOTICED


async def entangle_and_measure(node: NodeClient) -> list[int]:
    """Make a GHZ state of the largest size, turn it there and back, and measure it."""
    qubits = [await node.qubit(0.0, "run") for _ in range(LARGE)]
    node.gate(0.0, "h", qubits[:1])
    for target in qubits[1:]:
        node.gate(0.0, "cnot", [qubits[0], target])
    for _ in range(2):
        for qubit in qubits:
            node.gate(0.0, "h", [qubit])
    return [await node.measure(0.0, qubit, "Z") for qubit in qubits]


async def join(config: ServerConfig, port: int, name: str) -> NodeClient:
    return await NodeClient.connect("127.0.0.1", port, lab="lab", name=name, token=config.credentials[name])


@asynccontextmanager
async def run(config: ServerConfig) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run a server in a process of its own, with one BLAS thread as labs run it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared_state", "--config", "-",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{write(config)}\n".encode())
        yield process, json.loads(await process.stdout.readline())["port"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
