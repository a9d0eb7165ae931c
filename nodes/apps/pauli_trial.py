"""One party's measurement in X, Y or Z, whichever its coin says: what `witness` and `tomography` are made of.

Nobody announces a basis beforehand. Both halves are measured as soon as they are there, so the figures are those of the
pairs as delivered; with a message first, Bob's half would age while it travels, and a source that hears it could cheat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nodes.estimation.tomogram import BASES
from nodes.ports import Basis, Coin, Qubit


@dataclass(frozen=True, slots=True)
class Trial:
    """What one party did and saw: its basis and its outcome, 0 for +1 and 1 for -1."""

    basis: Basis
    outcome: int


async def measure_at_random(half: Qubit, coin: Coin) -> Trial:
    """Measure in one of the three bases, all equally likely."""
    basis = BASES[int(coin.integers(len(BASES), 1)[0])]
    return Trial(basis, await half.measure(basis))


def compared(alice: Trial, bob: Trial) -> dict[str, float]:
    """Write both records of one round side by side, as figures."""
    return {
        "alices_basis": BASES.index(alice.basis),
        "bobs_basis": BASES.index(bob.basis),
        "alice": alice.outcome,
        "bob": bob.outcome,
    }


def trials(rounds: Iterable[dict[str, float]]) -> Iterator[tuple[tuple[Basis, Basis], int, int]]:
    """Give what ``compared`` wrote to ``nodes.estimation.trials.tally``: the bases and the outcomes of every round."""
    for each in rounds:
        bases = BASES[int(each["alices_basis"])], BASES[int(each["bobs_basis"])]
        yield bases, int(each["alice"]), int(each["bob"])
