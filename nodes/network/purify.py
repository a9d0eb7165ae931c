"""Purification: two pairs are spent for one that is better, with luck.

    Alice                                     Bob
    1  turn both halves as the protocol says  1  the same
    2  CNOT from kept to spent                2  the same
    3  measure spent in Z      <--- Parity --->  3  the same
    4  keep or discard                        4  the same

``bbpssw`` (Bennett et al., PRL 76, 722, 1996) turns nothing, ``dejmps`` (Deutsch et al., PRL 77, 2818, 1996) turns by
pi/2 about x at Alice and by -pi/2 at Bob; both keep on equal outcomes. ``epl`` (Campbell and Benjamin, PRL 101, 130502,
2008) is for pairs (1-a) Phi+ + a |10> as one click heralds them: Bob flips his halves, and both keep on two ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from nodes.errors import ProgramInvalid
from nodes.estimation.correlations import error_rate
from nodes.network.circuit import PURIFICATIONS
from nodes.network.swap import PHI_PLUS
from nodes.ports import HalfWith, Peer, Qubit, Referee


@dataclass(frozen=True, slots=True)
class Parity:
    """The sender's outcome on the pair that was spent: 0 or 1. Sent after the measurement."""

    bit: int


async def alice(
    kept: Annotated[Qubit, HalfWith("bob")],
    spent: Annotated[Qubit, HalfWith("bob")],
    bob: Peer,
    protocol: str = "dejmps",
) -> Qubit | None:
    """Return ``kept``, or None where the protocol fails."""
    _check(protocol)
    for half in (kept, spent):  # 1
        turn(half, protocol, left=True)
    return kept if await _compare(kept, spent, bob, protocol) else None


async def bob(
    kept: Annotated[Qubit, HalfWith("alice")],
    spent: Annotated[Qubit, HalfWith("alice")],
    alice: Peer,
    protocol: str = "dejmps",
) -> Qubit | None:
    """Return ``kept``, or None where the protocol fails."""
    _check(protocol)
    for half in (kept, spent):  # 1
        turn(half, protocol, left=False)
    success = await _compare(kept, spent, alice, protocol)
    if success and protocol == "epl":
        kept.x()
    return kept if success else None


async def referee(oracle: Referee, alice: Qubit | None, bob: Qubit | None) -> dict[str, float]:
    """Compare a pair that was kept with |Phi+>."""
    if alice is None or bob is None:
        return {"success": 0.0}
    return {"success": 1.0, "fidelity": await oracle.fidelity([alice, bob], PHI_PLUS)}


def summarise(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    """Return the share of successes with its standard error and the mean fidelity then, None without a success."""
    kept = [each["fidelity"] for each in rounds if each["success"]]
    success = error_rate(len(kept), len(rounds))
    return {
        "success": success.value,
        "success_stderr": success.stderr,
        "fidelity": sum(kept) / len(kept) if kept else None,
    }


def turn(half: Qubit, protocol: str, *, left: bool) -> None:
    """Turn a half as the protocol says, at Alice's (``left``) or at Bob's end."""
    if protocol == "dejmps":
        half.rx(pi / 2 if left else -pi / 2)
    elif protocol == "epl" and not left:
        half.x()


def twirl(half: Qubit, turns: int, *, left: bool) -> None:
    """Turn a half by 2 pi/3 about (1, 1, 1) so often, at Bob's end by the complex conjugate: |Phi+> stays as it is.

    Over 0, 1 and 2 turns at random a pair that is diagonal in the Bell basis becomes a Werner pair.
    """
    if turns % 3:
        half.apply(diagonal_turns(turns, left=left))


def diagonal_turns(turns: int, *, left: bool) -> NDArray[np.complex128]:
    """Return (exp(-i pi/3 (X + Y + Z)/sqrt 3))^turns, or its complex conjugate."""
    once = (np.eye(2) - 1j * np.array([[1, 1 - 1j], [1 + 1j, -1]])) / 2
    turned: NDArray[np.complex128] = np.linalg.matrix_power(once if left else once.conj(), turns % 3)
    return turned


async def _compare(kept: Qubit, spent: Qubit, peer: Peer, protocol: str) -> bool:
    """Spend one pair and tell whether both ends keep the other."""
    kept.cnot(spent)  # 2
    mine = await spent.measure()  # 3
    await peer.send(Parity(mine))
    theirs = (await peer.receive(Parity)).bit
    success = mine == theirs and (protocol != "epl" or mine == 1)
    if not success:
        await kept.discard()  # 4
    return success


def _check(protocol: str) -> None:
    if protocol not in PURIFICATIONS:
        raise ProgramInvalid(f"protocol is one of {', '.join(PURIFICATIONS)}, not '{protocol}'")
