"""Two parties measure a pair in X, Y or Z, whichever their coins say: the roles of `witness` and `tomography`.

    Alice                                        Bob
    1  measure X, Y or Z by coin                 1  measure X, Y or Z by coin

Nobody announces a basis beforehand. Both halves are measured as soon as they are there, so the figures are those of the
pairs as delivered; with a message first, Bob's half would age while it travels, and a source that hears it could cheat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from nodes.estimation.tomogram import BASES
from nodes.ports import Basis, Coin, HalfWith, Qubit, Referee


@dataclass(frozen=True, slots=True)
class Trial:
    """What one party did and saw: its basis and its outcome, 0 for +1 and 1 for -1."""

    basis: Basis
    outcome: int


async def alice(half: Annotated[Qubit, HalfWith("bob")], coin: Coin) -> Trial:
    """Measure in a random basis."""
    return await _measure_at_random(half, coin)  # 1


async def bob(half: Annotated[Qubit, HalfWith("alice")], coin: Coin) -> Trial:
    """Measure in a random basis."""
    return await _measure_at_random(half, coin)  # 1


async def referee(oracle: Referee, alice: Trial, bob: Trial) -> dict[str, float]:
    """Write both records of one round side by side, as figures; the oracle is not asked."""
    return {
        "alices_basis": BASES.index(alice.basis),
        "bobs_basis": BASES.index(bob.basis),
        "alice": alice.outcome,
        "bob": bob.outcome,
    }


def trials(rounds: Iterable[dict[str, float]]) -> Iterator[tuple[tuple[Basis, Basis], int, int]]:
    """Give what the referee wrote to ``nodes.estimation.trials.tally``: the bases and the outcomes of every round."""
    for each in rounds:
        bases = BASES[int(each["alices_basis"])], BASES[int(each["bobs_basis"])]
        yield bases, int(each["alice"]), int(each["bob"])


async def _measure_at_random(half: Qubit, coin: Coin) -> Trial:
    """Measure in one of the three bases, all equally likely."""
    basis = BASES[int(coin.integers(len(BASES), 1)[0])]
    return Trial(basis, await half.measure(basis))
