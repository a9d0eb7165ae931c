"""The state of Greenberger, Horne and Zeilinger (1989) over three nodes, by fusion of two Bell pairs.

    Alice            Charlie                                 Bob
                     1  CNOT from the half with Alice
                        to the half with Bob
                     2  measure the latter  --- Fusion --->
                                                             3  flip where the outcome is 1

Alice, Charlie and Bob then hold (|000> + |111>)/sqrt 2. Werner pairs of fidelity F1 and F2 and perfect operations give
F1 F2 + (1 - F1)(1 - F2)/9: both pairs right, or a phase error in each, which cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from nodes.ports import HalfWith, Peer, Qubit, Referee

GHZ = np.array([1, 0, 0, 0, 0, 0, 0, 1], dtype=np.complex128) / np.sqrt(2)


@dataclass(frozen=True, slots=True)
class Fusion:
    """Charlie's outcome: 1 where Bob's half is opposite to the other two. Reveals nothing else."""

    flipped: int


async def alice(half: Annotated[Qubit, HalfWith("charlie")]) -> Qubit:
    """Keep ``half``."""
    return half


async def charlie(
    left: Annotated[Qubit, HalfWith("alice")], right: Annotated[Qubit, HalfWith("bob")], bob: Peer
) -> Qubit:
    """Return ``left``; ``right`` is consumed."""
    left.cnot(right)  # 1
    await bob.send(Fusion(await right.measure()))  # 2
    return left


async def bob(half: Annotated[Qubit, HalfWith("charlie")], charlie: Peer) -> Qubit:
    """Return ``half``, now in one state with the two others."""
    if (await charlie.receive(Fusion)).flipped:  # 3
        half.x()
    return half


async def referee(oracle: Referee, alice: Qubit, charlie: Qubit, bob: Qubit) -> dict[str, float]:
    """Compare the three qubits with the GHZ state."""
    return {"fidelity": await oracle.fidelity([alice, charlie, bob], GHZ)}
