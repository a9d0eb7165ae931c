"""The Bell test of Clauser, Horne, Shimony and Holt (PRL 23, 880, 1969).

    Alice                                        Bob
    1  choose a = 0 or 1 by coin                 1  choose b = 0 or 1 by coin
    2  measure Z (a = 0) or X (a = 1)            2  measure (Z + X)/sqrt 2 (b = 0) or (Z - X)/sqrt 2 (b = 1)

S = E(0,0) + E(0,1) + E(1,0) - E(1,1), where E(a,b) is the mean product of the outcomes +1 and -1. Any theory with
local hidden variables obeys |S| <= 2; a Werner pair of fidelity F gives S = 2 sqrt 2 (4F - 1)/3.
Nobody needs an oracle for this: S is computed from what the parties saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Annotated

from nodes.errors import TooFewOutcomes
from nodes.estimation import bell_inequality
from nodes.estimation.trials import tally
from nodes.ports import Coin, HalfWith, Qubit, Referee


@dataclass(frozen=True, slots=True)
class Trial:
    """What one party did and saw: its setting 0 or 1 and its outcome, 0 for +1 and 1 for -1."""

    setting: int
    outcome: int


async def alice(half: Annotated[Qubit, HalfWith("bob")], coin: Coin) -> Trial:
    """Measure Z or X."""
    setting = int(coin.bits(1)[0])  # 1
    return Trial(setting, await half.measure("X" if setting else "Z"))  # 2


async def bob(half: Annotated[Qubit, HalfWith("alice")], coin: Coin) -> Trial:
    """Measure along one of the two directions half-way between Alice's."""
    setting = int(coin.bits(1)[0])  # 1
    half.ry(pi / 4 if setting else -pi / 4)  # 2: turn the direction into the z axis
    return Trial(setting, await half.measure("Z"))


async def referee(oracle: Referee, alice: Trial, bob: Trial) -> dict[str, float]:
    """Bring the two records of one trial together; the oracle is not asked."""
    return {"a": alice.setting, "b": bob.setting, "alice": alice.outcome, "bob": bob.outcome}


def summarise(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    """Return S and its standard error; None where a setting never came up."""
    trials = (((int(t["a"]), int(t["b"])), int(t["alice"]), int(t["bob"])) for t in rounds)
    try:
        s = bell_inequality.chsh(tally(bell_inequality.SETTINGS, trials))
    except TooFewOutcomes:
        return {"s": None, "s_stderr": None}
    return {"s": s.value, "s_stderr": s.stderr}
