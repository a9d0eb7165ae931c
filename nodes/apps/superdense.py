"""Superdense coding (Bennett and Wiesner, PRL 69, 2881, 1992): two classical bits by one qubit over a shared pair.

    Alice                                     Bob
    1  draw two bits by coin
    2  apply X^x Z^z to her half  --- the qubit itself --->
                                              3  Bell-measure it with his half

A pair of fidelity F to |Phi+> gives both bits right with probability F, where the qubit arrives and no device errs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Annotated

from nodes.errors import TooFewOutcomes
from nodes.estimation.correlations import error_rate
from nodes.ports import Coin, HalfWith, QuantumLink, Qubit, Referee


@dataclass(frozen=True, slots=True)
class TwoBits:
    """The bits that Alice wrote, or that Bob read; ``arrived`` is 0 where the qubit was lost and Bob read nothing."""

    x: int
    z: int
    arrived: int = 1


async def alice(half: Annotated[Qubit, HalfWith("bob")], bob_link: QuantumLink, coin: Coin) -> TwoBits:
    """Write two random bits into ``half`` and send it."""
    x, z = (int(bit) for bit in coin.bits(2))  # 1
    if x:
        half.x()
    if z:
        half.z()
    await bob_link.send(half)  # 2
    return TwoBits(x, z)


async def bob(half: Annotated[Qubit, HalfWith("alice")], alice_link: QuantumLink) -> TwoBits:
    """Return the two bits that the arriving qubit and ``half`` hold together."""
    arriving = await alice_link.receive()
    if arriving is None:
        return TwoBits(0, 0, arrived=0)
    outcome = await arriving.bell_measure(half)  # 3
    return TwoBits(outcome.x, outcome.z)


async def referee(oracle: Referee, alice: TwoBits, bob: TwoBits) -> dict[str, float]:
    """Compare what was read with what was written; the oracle is not asked."""
    return {"arrived": bob.arrived, "right": bob.arrived and (alice.x, alice.z) == (bob.x, bob.z)}


def summarise(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    """Return the share of qubits that arrived, of these the share read rightly, and the bits per qubit sent.

    ``success`` and ``bits_per_qubit`` are None where no qubit arrived.
    """
    arrived = sum(each["arrived"] for each in rounds)
    share = arrived / len(rounds) if rounds else None
    try:
        wrong = error_rate(arrived - sum(each["right"] for each in rounds), arrived)
    except TooFewOutcomes:
        return {"arrived": share, "success": None, "success_stderr": None, "bits_per_qubit": None}
    success = 1 - wrong.value
    return {
        "arrived": share,
        "success": success,
        "success_stderr": wrong.stderr,
        "bits_per_qubit": arrived / len(rounds) * information(success),
    }


def information(success: float) -> float:
    """Return the bits that one arriving qubit carries: 2 + P log2 P + (1-P) log2((1-P)/3), 2 for P = 1, 0 for P = 1/4.

    True where the three wrong readings are equally likely, as with Werner pairs; otherwise it is a lower bound.
    """
    wrong = 1 - success
    found = 2 + (success * log2(success) if success > 0 else 0.0)
    return found + (wrong * log2(wrong / 3) if wrong > 0 else 0.0)
