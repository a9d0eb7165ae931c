"""What the shared-state server costs beside bare sockets: the same messages, echoed by a process that does nothing."""

from __future__ import annotations

import time
from pathlib import Path

from deploy.children import StatePart
from deploy.floors import EchoPart, echo_rate
from deploy.registry import Registry
from deploy.supervisor import Supervisor
from shared_state.client import NodeClient
from shared_state.config import NodeDevices, ServerConfig, WorldConfig

LAB, NAME, TOKEN = "bench", "alice", "alice's token"
WINDOW = 256
"""So many gates, or echoes beside them, are on their way before one answer is awaited."""


async def state_rates(rounds: int) -> dict[str, float]:
    """Return rates per wall second: bare echoes, requests and gates, without a journal and with one."""
    with Registry().scratch() as directory:
        return await _measured(rounds, directory)


async def _measured(rounds: int, directory: Path) -> dict[str, float]:
    async with Supervisor(directory) as supervisor:
        echo = supervisor.start("bare-echo", EchoPart())
        plain = supervisor.start("plain", StatePart(_config("")))
        kept = supervisor.start("kept", StatePart(_config(str(directory / "journal"))))
        await supervisor.started(echo, plain, kept)
        rates = {
            "echo_hz": await echo_rate(echo.port, rounds),
            "pipelined_echo_hz": await echo_rate(echo.port, 5 * rounds, WINDOW),
        }
        for prefix, port in (("", plain.port), ("journalled_", kept.port)):
            async with await NodeClient.connect("127.0.0.1", port, lab=LAB, name=NAME, token=TOKEN) as alice:
                rates[f"{prefix}requests_hz"] = await _requests(alice, rounds)
                rates[f"{prefix}gates_hz"] = await _gates(alice, 5 * rounds)
        return rates


async def _requests(alice: NodeClient, rounds: int) -> float:
    """Ask and wait, one request after the other."""
    await alice.sync()
    started = time.perf_counter()
    for _ in range(rounds):
        await alice.sync()
    return rounds / (time.perf_counter() - started)


async def _gates(alice: NodeClient, rounds: int) -> float:
    """State one-qubit gates one after the other, and wait for the last."""
    qubit = await alice.qubit(0.0, "bench")
    started = time.perf_counter()
    for number in range(rounds):
        alice.gate(0.0, "h", [qubit])
        if number % WINDOW == WINDOW - 1:
            await alice.sync()
    await alice.sync()
    rate = rounds / (time.perf_counter() - started)
    await alice.discard(0.0, qubit)
    return rate


def _config(journal: str) -> ServerConfig:
    world = WorldConfig({NAME: NodeDevices()}, {}, seed=1)
    return ServerConfig(LAB, world, {NAME: TOKEN}, "the oracle's token", journal=journal)
