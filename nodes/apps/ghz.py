"""GHZ states over any nodes by fusion (A. Zeilinger, M. A. Horne, H. Weinfurter and M. Zukowski, PRL 78, 3031, 1997).

    centre                                      leaf k = 1 .. n
    1  request a pair with every leaf           1  accept it
    2  CNOT from the half of pair 1 to that of
       pair k, for all others one by one
    3  measure this           --- Fusion --->
                                                4  flip where the outcome is 1

Centre and leaves then hold (|0...0> + |1...1>)/sqrt 2 of n + 1 qubits, whatever lies between them. Werner pairs of
fidelities F_k, q_k = (1 - F_k)/3, and perfect operations give (prod (F_k + q_k) + prod (F_k - q_k))/2: no leaf is
flipped, and phase errors are even in number, so that they cancel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Peer, Peers, Qubit, Referee, several
from nodes.requests import Network, Terms


@dataclass(frozen=True, slots=True)
class Fusion:
    """The centre's outcome: 1 where the leaf's half is opposite to the others. Reveals nothing else."""

    flipped: int


async def centre(network: Network, leaf: Peers, min_fidelity: float = 0.0, purify: str = "") -> Qubit:
    """Return the half of the first pair; those of the others are consumed."""
    terms = Terms(min_fidelity=min_fidelity, purify=purify)
    async with asyncio.TaskGroup() as group:  # 1
        asked = [group.create_task(_half(network, role, terms)) for role in leaf]
    kept, *others = (task.result() for task in asked)
    first, *further = leaf.values()
    await first.send(Fusion(0))
    for peer, half in zip(further, others, strict=True):
        kept.cnot(half)  # 2
        await peer.send(Fusion(await half.measure()))  # 3
    return kept


@several
async def leaf(network: Network, centre: Peer) -> Qubit:
    """Return the half, now in one state with all others."""
    async with network.accept("centre") as pairs:  # 1
        half = (await pairs.next()).qubit
    if (await centre.receive(Fusion)).flipped:  # 4
        half.x()
    return half


async def referee(oracle: Referee, centre: Qubit, leaf: Mapping[str, Qubit]) -> dict[str, float]:
    """Compare the qubits with the GHZ state."""
    qubits = [centre, *leaf.values()]
    return {"fidelity": await oracle.fidelity(qubits, ghz(len(qubits))), "parties": len(qubits)}


def ghz(qubits: int) -> NDArray[np.complex128]:
    """Return (|0...0> + |1...1>)/sqrt 2 as a vector of length 2^qubits."""
    state = np.zeros(2**qubits, dtype=np.complex128)
    state[0] = state[-1] = np.sqrt(0.5)
    return state


async def _half(network: Network, role: str, terms: Terms) -> Qubit:
    async with network.request(role, 1, terms) as pairs:
        return (await pairs.next()).qubit
