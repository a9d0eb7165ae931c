"""A quantum world on the table: the real server core in this process, and a client for each of its nodes."""

from __future__ import annotations

from asyncio import TaskGroup
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from shared_state.client import NodeClient
from shared_state.config import (
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    ServerConfig,
    TapConfig,
    WorldConfig,
)
from shared_state.deliveries import PairDelivery, PairsDelivery
from shared_state.oracle import OracleClient
from shared_state.service import Service

SHORT = FibreConfig(length=0.0)
PHI_PLUS: NDArray[np.complex128] = np.array([1, 0, 0, 1], dtype=np.complex128) / np.sqrt(2)
RUN = "validation"
ROOM = MemoryConfig(count=2**18)
"""Ideal memories for batches of pairs."""


@dataclass(frozen=True, slots=True)
class Table:
    """The clients of all nodes by name, and the oracle, who sees what no node sees."""

    world: WorldConfig
    nodes: Mapping[str, NodeClient]
    oracle: OracleClient
    _runs: count[int] = field(default_factory=count)

    def run(self) -> str:
        """Return a fresh run, whose emulated time begins where its caller says."""
        return f"{RUN}-{next(self._runs)}"

    async def pair(self, link: str, at: float = 0.0, run: str = RUN) -> tuple[PairDelivery, PairDelivery]:
        """Let both ends of a link ask for a pair."""
        first, second = self.world.links[link].endpoints
        async with TaskGroup() as group:
            one = group.create_task(self.nodes[first].pair(at, run, link))
            other = group.create_task(self.nodes[second].pair(at, run, link))
        return one.result(), other.result()

    async def pairs(self, link: str, number: int, run: str = RUN) -> tuple[PairsDelivery, PairsDelivery]:
        """Let both ends of a link ask for a batch of pairs."""
        first, second = self.world.links[link].endpoints
        async with TaskGroup() as group:
            one = group.create_task(self.nodes[first].pairs(0.0, run, link, number))
            other = group.create_task(self.nodes[second].pairs(0.0, run, link, number))
        return one.result(), other.result()

    async def settle(self, *nodes: str) -> None:
        """Wait until the gates that these nodes have posted are applied: a question comes after them."""
        for node in nodes:
            await self.nodes[node].close_run(self.run())

    async def state(self, at: float, **qubits: int) -> NDArray[np.complex128]:
        """Take one qubit of each named node out of its memory at ``at``: their density matrix."""
        for node, qubit in qubits.items():
            await self.nodes[node].hand_over(at, [qubit])
        rho = await self.oracle.density_matrix(list(qubits.values()))
        await self.oracle.discard(list(qubits.values()))
        return rho


@asynccontextmanager
async def laid_out(
    nodes: Mapping[str, NodeDevices],
    links: Mapping[str, LinkDevices],
    seed: int,
    taps: Mapping[str, TapConfig] | None = None,
) -> AsyncIterator[Table]:
    """Open a virtual-time world of these devices."""
    world = WorldConfig(dict(nodes), dict(links), dict(taps or {}), seed=seed)
    config = ServerConfig("validation", world, dict.fromkeys(nodes, "node"), oracle_token="oracle")
    service = Service(config, monotonic)
    async with AsyncExitStack() as stack:
        clients = {name: await NodeClient.local(service, name=name) for name in nodes}
        oracle = await OracleClient.local(service)
        for client in (*clients.values(), oracle):
            stack.push_async_callback(client.close)
        yield Table(world, clients, oracle)


def overlap(rho: NDArray[np.complex128], psi: NDArray[np.complex128] = PHI_PLUS) -> float:
    """Return <psi| rho |psi>, here and not by the engine."""
    return float((psi.conj() @ rho @ psi).real)
