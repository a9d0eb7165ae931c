"""Prove entanglement from what two parties measure, and estimate the fidelity of their pairs with |Phi+>.

The roles are those of ``pauli_trial``. Rounds with one basis for both, a third, give <XX>, <YY> and <ZZ>, thus
F = (1 + <XX> - <YY> + <ZZ>)/4 and the witness W = 1/2 - F, which no separable state makes negative (O. Guehne et al.,
PRA 66, 062305, 2002). No oracle is asked; readouts that err make the pairs look worse than they are.
"""

from __future__ import annotations

from nodes.apps.pauli_trial import alice, bob, referee, trials
from nodes.errors import TooFewOutcomes
from nodes.estimation.bell_pairs import bell_fidelity, witness
from nodes.estimation.correlations import correlation
from nodes.estimation.tomogram import BASES
from nodes.estimation.trials import tally

__all__ = ["alice", "bob", "referee", "summarise"]

ENTANGLED_AT = 3.0
"""The verdict wants W so many standard errors below zero: one separable source in 700 would pass at most."""


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
