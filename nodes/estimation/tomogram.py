"""Two-qubit state tomography: the density matrix from nine settings, by linear inversion.

D. F. V. James, P. G. Kwiat, W. J. Munro and A. G. White, PRA 64, 052312 (2001), with both parties measuring X, Y or Z:
rho = 1/4 sum of T_ij sigma_i (x) sigma_j, where T_ij = <sigma_i (x) sigma_j> and sigma_0 = I.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nodes.estimation.correlations import PRODUCTS
from nodes.estimation.estimates import Estimate, Floats, mean_score, number_of_outcomes, weighted_sum
from nodes.estimation.trials import Counts
from nodes.ports import Basis

Matrix = NDArray[np.complex128]

BASES: tuple[Basis, ...] = ("X", "Y", "Z")
SETTINGS: tuple[tuple[Basis, Basis], ...] = tuple(product(BASES, BASES))
"""The nine settings: Alice's basis, Bob's basis."""

PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
"""I, X, Y, Z, in the order of the rows and columns of T."""

_SIGNS = np.array([1.0, -1.0])


@dataclass(frozen=True, slots=True)
class Tomogram:
    """What nine settings say of a two-qubit state. ``counts`` has all of ``SETTINGS``.

    Linear inversion is unbiased, and exact for counts in proportion to the probabilities. Raises ``TooFewOutcomes``
    where a setting never came up.
    """

    counts: Mapping[tuple[Basis, Basis], Counts]

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            number_of_outcomes(self.counts[setting])

    def coefficients(self) -> Floats:
        """Return the sixteen T_ij, shape (4, 4), in the order I, X, Y, Z; T_00 = 1.

        T_i0 is the mean of Alice's outcomes over all three settings in which she measured sigma_i, T_0j likewise.
        """
        return self._figures()[0]

    def coefficient_errors(self) -> Floats:
        """Return the standard errors of the T_ij, shape (4, 4)."""
        return self._figures()[1]

    def density_matrix(self) -> Matrix:
        """Return 1/4 sum of T_ij sigma_i (x) sigma_j, shape (4, 4): trace one, Hermitian, perhaps not positive."""
        rho: Matrix = np.einsum("ij,iac,jbd->abcd", self.coefficients(), PAULIS, PAULIS).reshape(4, 4) / 4
        return rho

    def expectation(self, observable: Matrix) -> Estimate:
        """Estimate tr(rho O) = sum of c_ij T_ij, with c_ij = tr(O sigma_i (x) sigma_j)/4, for a Hermitian 4 x 4 matrix.

        Every shot of a setting (i, j) with outcomes a, b = +1 or -1 adds c_ij ab/N_ij + c_i0 a/M_i + c_0j b/M_j; N_ij
        counts the shots with both bases, M those with one of them. The standard error comes from the variance of these
        scores within each setting, so that the covariance of T_ij and T_i0 from the same shots is in it.
        """
        return self._combination(_components(observable))

    def fidelity(self, target: Matrix) -> Estimate:
        """Estimate <t| rho |t> for a state vector of shape (4,) and norm 1."""
        return self.expectation(np.outer(target, target.conj()))

    def purity(self) -> Estimate:
        """Estimate tr(rho^2) = 1/4 sum of T_ij^2, each square less sigma_ij^2, by which noise raises it on average.

        d tr(rho^2) = 1/2 sum of T_ij dT_ij gives the standard error, somewhat too large where rho is close to I/4.
        """
        values, errors = self._figures()
        spread = self._combination(values / 2)
        return Estimate(float((values**2 - errors**2).sum()) / 4, spread.stderr)

    def _figures(self) -> tuple[Floats, Floats]:
        figures = [self._combination(alone) for alone in np.eye(16).reshape(16, 4, 4)]
        values = np.array([figure.value for figure in figures]).reshape(4, 4)
        errors = np.array([figure.stderr for figure in figures]).reshape(4, 4)
        return values, errors

    def _combination(self, c: Floats) -> Estimate:
        """Estimate sum of c_ij T_ij; the scores of a setting are those of ``expectation`` times its number of shots."""
        shots = np.array([self.counts[setting].sum() for setting in SETTINGS]).reshape(3, 3)
        alices, bobs = shots / shots.sum(axis=1, keepdims=True), shots / shots.sum(axis=0, keepdims=True)
        means = []
        for (i, j), setting in zip(np.ndindex(3, 3), SETTINGS, strict=True):
            from_alice = c[i + 1, 0] * alices[i, j] * _SIGNS[:, np.newaxis]
            from_bob = c[0, j + 1] * bobs[i, j] * _SIGNS[np.newaxis, :]
            means.append(mean_score(c[i + 1, j + 1] * PRODUCTS + from_alice + from_bob, self.counts[setting]))
        return weighted_sum(((1.0, mean) for mean in means), constant=float(c[0, 0]))


def _components(observable: Matrix) -> Floats:
    components: Floats = (
        np.einsum("abcd,ica,jdb->ij", observable.reshape(2, 2, 2, 2), PAULIS, PAULIS).real / 4
    )
    return components
