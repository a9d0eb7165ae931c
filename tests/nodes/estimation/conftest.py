"""States, and what two parties see of them: probabilities by Born's rule, and shots drawn from these."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]
Floats = NDArray[np.float64]
Born = Callable[[Matrix, Matrix, Matrix], Floats]
State = Callable[..., Matrix]

PAULI = {
    "X": np.array([[0, 1], [1, 0]], dtype=np.complex128),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.array([[1, 0], [0, -1]], dtype=np.complex128),
}
BELL = {
    (0, 0): np.array([1, 0, 0, 1]),
    (0, 1): np.array([1, 0, 0, -1]),
    (1, 0): np.array([0, 1, 1, 0]),
    (1, 1): np.array([0, 1, -1, 0]),
}
"""By (x, z): Phi+, Phi-, Psi+, Psi-, from the textbook, times sqrt 2."""


@pytest.fixture(scope="session")
def pauli() -> dict[str, Matrix]:
    """Give the Pauli matrices by name."""
    return PAULI


@pytest.fixture(scope="session")
def bell_diagonal() -> State:
    """Return a maker of mixtures of the Bell states; weights by (x, z) = 00, 01, 10, 11."""

    def mixture(*weights: float) -> Matrix:
        parts = zip(weights, BELL.values(), strict=True)
        return np.asarray(
            sum(weight * np.outer(state, state) / 2 for weight, state in parts), dtype=np.complex128
        )

    return mixture


@pytest.fixture(scope="session")
def random_state() -> State:
    """Return a maker of two-qubit states from a seed, of a rank from 1 (pure) to 4."""

    def made(seed: int, rank: int = 4) -> Matrix:
        rng = np.random.default_rng(seed)
        factor = rng.normal(size=(4, rank)) + 1j * rng.normal(size=(4, rank))
        matrix = factor @ factor.conj().T
        return np.asarray(matrix / np.trace(matrix))

    return made


@pytest.fixture(scope="session")
def born() -> Born:
    """Return Born's rule: the probabilities [a, b] of the outcomes of two observables with eigenvalues +1 and -1."""

    def probabilities(rho: Matrix, alices: Matrix, bobs: Matrix) -> Floats:
        half = np.eye(2) / 2
        return np.array(
            [
                [np.trace(rho @ np.kron(half + a * alices / 2, half + b * bobs / 2)).real for b in (1, -1)]
                for a in (1, -1)
            ]
        )

    return probabilities


@pytest.fixture(scope="session")
def shoot() -> Callable[..., Floats]:
    """Return what draws counts, shape (repetitions, 2, 2), from probabilities."""

    def drawn(rng: np.random.Generator, probabilities: Floats, shots: int, repetitions: int) -> Floats:
        clipped = np.maximum(probabilities.ravel(), 0)
        counts = rng.multinomial(shots, clipped / clipped.sum(), size=repetitions)
        return counts.reshape(repetitions, 2, 2).astype(np.float64)

    return drawn


@pytest.fixture(scope="session")
def assert_honest() -> Callable[[Floats], None]:
    """Return the check that pulls (estimate - truth)/stderr are as a normal law of mean 0 and width 1 has them.

    Each of the four figures deviates by 5.1 of its own standard errors with a probability of 3.4e-7, all four with less
    than 1.4e-6. The skew of a binomial adds up to E/sqrt(N (1 - E^2)) to the mean of the pulls, and the step of the
    counts about as much times its density to the coverage; ``allowed`` is that, from the numbers of the experiment.
    """

    def check(pulls: Floats, allowed: float = 0.0) -> None:
        number = len(pulls)
        assert abs(pulls.mean()) < 5.1 / np.sqrt(number) + allowed
        assert abs((pulls**2).mean() - 1) < 5.1 * np.sqrt(2 / number) + allowed
        for width, coverage in ((1.0, 0.682689), (2.0, 0.954500)):
            seen = (abs(pulls) < width).mean()
            assert abs(seen - coverage) < 5.1 * np.sqrt(coverage * (1 - coverage) / number) + allowed / 2

    return check
