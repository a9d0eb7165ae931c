"""Deliver entangled pairs to two parties, neighbours or not, and judge them.

Alice                         Bob
1  keep her half              1  keep his half
"""

from __future__ import annotations

from typing import Annotated

from nodes.network.swap import PHI_PLUS
from nodes.ports import HalfWith, Qubit, Referee


async def alice(half: Annotated[Qubit, HalfWith("bob")]) -> Qubit:
    """Keep ``half``."""
    return half


async def bob(half: Annotated[Qubit, HalfWith("alice")]) -> Qubit:
    """Keep ``half``."""
    return half


async def referee(oracle: Referee, alice: Qubit, bob: Qubit) -> dict[str, float]:
    """Compare the pair with |Phi+>."""
    return {"fidelity": await oracle.fidelity([alice, bob], PHI_PLUS)}
