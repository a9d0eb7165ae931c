"""Reconstruct the state of the delivered pairs from local measurements.

The roles are those of ``pauli_trial``. All nine combinations of bases come up and give the sixteen T_ij of
rho = 1/4 sum of T_ij sigma_i (x) sigma_j (D. F. V. James et al., PRA 64, 052312, 2001). No oracle is asked; readouts
that err make the pairs look worse than they are.
"""

from __future__ import annotations

from itertools import product

from nodes.apps.pauli_trial import alice, bob, referee, trials
from nodes.errors import TooFewOutcomes
from nodes.estimation.nearest_state import nearest_state
from nodes.estimation.tomogram import SETTINGS, Tomogram
from nodes.estimation.trials import tally
from nodes.network.swap import PHI_PLUS

__all__ = ["alice", "bob", "referee", "summarise"]

T_NAMES = tuple(f"t_{one}{other}" for one, other in product("ixyz", repeat=2))
"""t_ii, t_ix ... t_zz: first Alice's operator, then Bob's; i is the identity."""


def summarise(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    """Return the fidelity with |Phi+>, the purity and the T_ij, with standard errors.

    ``physical_fidelity`` and ``physical_purity`` are those of the nearest state without negative eigenvalues, and
    biased where there were some. All figures are None where a setting never came up.
    """
    figures: dict[str, float | None] = {}
    try:
        tomogram = Tomogram(tally(SETTINGS, trials(rounds)))
    except TooFewOutcomes:
        measured = ("fidelity", "purity", *T_NAMES)
        names = [name for each in measured for name in (each, f"{each}_stderr")]
        return dict.fromkeys([*names, "physical_fidelity", "physical_purity"])
    fidelity, purity = tomogram.fidelity(PHI_PLUS), tomogram.purity()
    physical = nearest_state(tomogram.density_matrix())
    figures |= {"fidelity": fidelity.value, "fidelity_stderr": fidelity.stderr}
    figures |= {"purity": purity.value, "purity_stderr": purity.stderr}
    figures["physical_fidelity"] = float((PHI_PLUS.conj() @ physical @ PHI_PLUS).real)
    figures["physical_purity"] = float((abs(physical) ** 2).sum())
    values, errors = tomogram.coefficients().flat, tomogram.coefficient_errors().flat
    for name, value, error in zip(T_NAMES, values, errors, strict=True):
        figures |= {name: float(value), f"{name}_stderr": float(error)}
    return figures
