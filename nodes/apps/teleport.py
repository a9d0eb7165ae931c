"""Quantum teleportation (Bennett, Brassard, Crepeau, Jozsa, Peres, Wootters, PRL 70, 1895, 1993).

Alice gives up a qubit; Bob receives its state; two classical bits and one entangled pair are spent.

    Alice                                     Bob
    1  entangle psi with her half
    2  measure both               --- Correction --->
                                              3  undo what her outcomes say

With a pair of fidelity F to |Phi+> the average fidelity of Bob's qubit is (2F + 1)/3; without entanglement no
protocol exceeds 2/3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from nodes.ports import HalfWith, Peer, Qubit, Referee, Unknown


@dataclass(frozen=True, slots=True)
class Correction:
    """The outcomes of Alice's measurements: which Paulis bring Bob's half into her state. Reveals nothing of it."""

    x: int
    z: int


async def alice(psi: Annotated[Qubit, Unknown()], half: Annotated[Qubit, HalfWith("bob")], bob: Peer) -> None:
    """Consume ``psi`` and ``half``; Bob's half becomes ``psi``."""
    psi.cnot(half)  # 1
    psi.h()
    await bob.send(Correction(x=await half.measure(), z=await psi.measure()))  # 2


async def bob(half: Annotated[Qubit, HalfWith("alice")], alice: Peer) -> Qubit:
    """Return ``half``, now in the state that Alice held."""
    correction = await alice.receive(Correction)  # 3
    if correction.x:
        half.x()
    if correction.z:
        half.z()
    return half


async def referee(oracle: Referee, psi: NDArray[np.complex128], bob: Qubit) -> dict[str, float]:
    """Compare Bob's qubit with the state that Alice was given."""
    return {"fidelity": await oracle.fidelity([bob], psi)}
