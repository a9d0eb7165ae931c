"""Prove entanglement from what two parties measure, and estimate the fidelity of their pairs with |Phi+>.

    Alice                                        Bob
    1  measure X, Y or Z by coin                 1  measure X, Y or Z by coin

Rounds with one basis for both, a third, give <XX>, <YY> and <ZZ>, thus F = (1 + <XX> - <YY> + <ZZ>)/4 and the witness
W = 1/2 - F, which no separable state makes negative (O. Guehne et al., PRA 66, 062305, 2002). No oracle is asked;
readouts that err make the pairs look worse than they are.
"""

from __future__ import annotations

from typing import Annotated

from nodes.apps.pauli_trial import Trial, compared, measure_at_random, trials
from nodes.errors import TooFewOutcomes
from nodes.estimation.bell_pairs import bell_fidelity, witness
from nodes.estimation.correlations import correlation
from nodes.estimation.tomogram import BASES
from nodes.estimation.trials import tally
from nodes.ports import Coin, HalfWith, Qubit, Referee

ENTANGLED_AT = 3.0
"""The verdict wants W so many standard errors below zero: one separable source in 700 would pass at most."""


async def alice(half: Annotated[Qubit, HalfWith("bob")], coin: Coin) -> Trial:
    """Measure in a random basis."""
    return await measure_at_random(half, coin)  # 1


async def bob(half: Annotated[Qubit, HalfWith("alice")], coin: Coin) -> Trial:
    """Measure in a random basis."""
    return await measure_at_random(half, coin)  # 1


async def referee(oracle: Referee, alice: Trial, bob: Trial) -> dict[str, float]:
    """Bring the two records of one round together; the oracle is not asked."""
    return compared(alice, bob)


def summarise(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    """Return fidelity and witness with standard errors, by how many of them W is below zero, and the verdict.

    ``compared`` counts the rounds with one basis for both. Where one of the three bases never came up at both ends, the
    other figures are None.
    """
    same = [(one, a, b) for (one, other), a, b in trials(rounds) if one == other]
    try:
        xx, yy, zz = (correlation(counts) for counts in tally(BASES, same).values())
    except TooFewOutcomes:
        names = ("fidelity", "fidelity_stderr", "witness", "witness_stderr", "sigmas", "entangled")
        return {"compared": len(same), **dict.fromkeys(names)}
    fidelity = bell_fidelity(xx, yy, zz)
    proof = witness(fidelity)
    return {
        "compared": len(same),
        "fidelity": fidelity.value,
        "fidelity_stderr": fidelity.stderr,
        "witness": proof.value,
        "witness_stderr": proof.stderr,
        "sigmas": proof.sigmas,
        "entangled": proof.entangled(ENTANGLED_AT),
    }
