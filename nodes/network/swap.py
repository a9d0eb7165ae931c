"""Entanglement swapping (Zukowski, Zeilinger, Horne, Ekert, PRL 71, 4287, 1993).

Alice and Bob each share a pair with Charlie and none with each other; afterwards they share one.

    Alice          Charlie                            Bob
                   1  Bell-measure both his halves
                      --- SwapOutcome --->
                                                      2  undo what the outcome says

Charlie learns nothing of any state that is later sent through the pair: his four outcomes are equally likely.
Pairs of fidelity F1 and F2 (Werner states, perfect operations) give F1 F2 + (1 - F1)(1 - F2)/3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from nodes.ports import HalfWith, Peer, Qubit, Referee

PHI_PLUS = np.array([1, 0, 0, 1], dtype=np.complex128) / np.sqrt(2)


@dataclass(frozen=True, slots=True)
class SwapOutcome:
    """Which Bell state Charlie found: Bob's half is X^x Z^z away from |Phi+> with Alice's."""

    x: int
    z: int


async def alice(half: Annotated[Qubit, HalfWith("charlie")]) -> Qubit:
    """Keep ``half``; it ends up entangled with Bob's, though Alice does nothing."""
    return half


async def charlie(
    left: Annotated[Qubit, HalfWith("alice")], right: Annotated[Qubit, HalfWith("bob")], bob: Peer
) -> None:
    """Consume both halves and join what they were entangled with."""
    outcome = await left.bell_measure(right)  # 1
    await bob.send(SwapOutcome(x=outcome.x, z=outcome.z))


async def bob(half: Annotated[Qubit, HalfWith("charlie")], charlie: Peer) -> Qubit:
    """Return ``half``, now in |Phi+> with Alice's."""
    outcome = await charlie.receive(SwapOutcome)  # 2
    if outcome.x:
        half.x()
    if outcome.z:
        half.z()
    return half


async def referee(oracle: Referee, alice: Qubit, bob: Qubit) -> dict[str, float]:
    """Compare the pair that Alice and Bob hold with |Phi+>."""
    return {"fidelity": await oracle.fidelity([alice, bob], PHI_PLUS)}
