"""Fidelity and witness from XX, YY and ZZ: exact on infinite data, honest on samples, safe on separable states."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.estimation.bell_pairs import bell_fidelity, witness
from nodes.estimation.correlations import correlation
from nodes.estimation.estimates import Estimate

Matrix = NDArray[np.complex128]
Floats = NDArray[np.float64]
Born = Callable[[Matrix, Matrix, Matrix], Floats]
State = Callable[..., Matrix]

PLENTY = 1e12
"""Shots that make counts as good as probabilities."""

BELL_STATES = list(product((0, 1), repeat=2))


@pytest.fixture(scope="session")
def correlations(
    born: Born, pauli: dict[str, Matrix]
) -> Callable[[Matrix], tuple[Estimate, Estimate, Estimate]]:
    """Return what gives XX, YY and ZZ of a state from infinite data."""

    def infinite(rho: Matrix) -> tuple[Estimate, Estimate, Estimate]:
        xx, yy, zz = (correlation(PLENTY * born(rho, pauli[basis], pauli[basis])) for basis in "XYZ")
        return xx, yy, zz

    return infinite


def overlap(rho: Matrix, projector: Matrix) -> float:
    return float(np.trace(rho @ projector).real)


@pytest.mark.parametrize(("x", "z"), BELL_STATES)
@pytest.mark.parametrize("fidelity", [0.0, 0.25, 0.5, 0.7, 0.9, 1.0])
def test_the_fidelity_of_a_werner_state_is_exact_on_infinite_data(
    fidelity: float,
    x: int,
    z: int,
    bell_diagonal: State,
    correlations: Callable[[Matrix], tuple[Estimate, Estimate, Estimate]],
) -> None:
    weights = [fidelity if bell == (x, z) else (1 - fidelity) / 3 for bell in BELL_STATES]
    found = bell_fidelity(*correlations(bell_diagonal(*weights)), x=x, z=z)
    assert found.value == pytest.approx(fidelity, abs=1e-9)
    assert witness(found).value == pytest.approx(0.5 - fidelity, abs=1e-9)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), rank=st.integers(1, 4))
def test_the_fidelity_with_every_bell_state_is_exact_for_any_state(
    seed: int, rank: int, random_state: State, bell_diagonal: State, born: Born, pauli: dict[str, Matrix]
) -> None:
    rho = random_state(seed, rank)
    xx, yy, zz = (correlation(PLENTY * born(rho, pauli[basis], pauli[basis])) for basis in "XYZ")
    for x, z in BELL_STATES:
        projector = bell_diagonal(*(float(bell == (x, z)) for bell in BELL_STATES))
        assert bell_fidelity(xx, yy, zz, x=x, z=z).value == pytest.approx(overlap(rho, projector), abs=1e-9)


@pytest.mark.parametrize("fidelity", [0.3, 0.5, 0.8, 0.9, 0.97])
@pytest.mark.parametrize("shots", [50, 2000, 10**6])
def test_the_error_is_that_of_three_binomials(
    fidelity: float, shots: int, bell_diagonal: State, born: Born, pauli: dict[str, Matrix]
) -> None:
    rho = bell_diagonal(fidelity, *3 * [(1 - fidelity) / 3])
    found = bell_fidelity(*(correlation(shots * born(rho, pauli[b], pauli[b])) for b in "XYZ"))
    w = (4 * fidelity - 1) / 3
    assert found.stderr == pytest.approx(sqrt(3 * (1 - w**2) / shots) / 4, abs=1e-9)
    if (fidelity, shots) == (0.9, 2000):
        assert found.stderr == pytest.approx(0.00483, abs=5e-6)  # the worked figure of the textbook formula


@pytest.mark.parametrize("fidelity", [0.25, 0.5, 0.75, 0.9, 0.98])
def test_fidelities_of_samples_scatter_as_their_errors_say(
    fidelity: float,
    bell_diagonal: State,
    born: Born,
    pauli: dict[str, Matrix],
    shoot: Callable[..., Floats],
    assert_honest: Callable[..., None],
) -> None:
    shots, repetitions = 2000, 2000
    rho = bell_diagonal(fidelity, *3 * [(1 - fidelity) / 3])
    rng = np.random.default_rng([4, round(1000 * fidelity)])
    samples = [shoot(rng, born(rho, pauli[b], pauli[b]), shots, repetitions) for b in "XYZ"]
    found = [bell_fidelity(*map(correlation, counts)) for counts in zip(*samples, strict=True)]
    w = (4 * fidelity - 1) / 3
    pulls = np.array([(each.value - fidelity) / each.stderr for each in found])
    assert_honest(pulls, allowed=1 / sqrt(shots * (1 - w**2)))


@pytest.mark.parametrize("state", ["|00>", "Werner, F = 1/2", "Phi+ and Phi- alike"])
def test_a_separable_state_is_called_entangled_no_more_often_than_the_verdict_says(
    state: str,
    bell_diagonal: State,
    born: Born,
    pauli: dict[str, Matrix],
    shoot: Callable[..., Floats],
) -> None:
    # All three lie on the border, F = 1/2, where a verdict at k sigma errs most often. 5.1 sigma: false alarm 1.7e-7.
    rho = {
        "|00>": np.diag([1, 0, 0, 0]).astype(np.complex128),
        "Werner, F = 1/2": bell_diagonal(1 / 2, 1 / 6, 1 / 6, 1 / 6),
        "Phi+ and Phi- alike": bell_diagonal(1 / 2, 1 / 2, 0, 0),
    }[state]
    rng, repetitions = np.random.default_rng(5), 4000
    samples = [shoot(rng, born(rho, pauli[b], pauli[b]), 400, repetitions) for b in "XYZ"]
    found = [witness(bell_fidelity(*map(correlation, counts))) for counts in zip(*samples, strict=True)]
    for sigmas, normal in ((2.0, 0.02275), (3.0, 0.00135)):
        called = sum(each.entangled(sigmas) for each in found)
        assert called < repetitions * normal + 5.1 * sqrt(repetitions * normal)


@pytest.mark.parametrize(
    ("fidelity", "stderr", "sigmas"), [(0.56, 0.02, 3.0), (0.9, 0.1, 4.0), (0.4, 0.05, -2.0)]
)
def test_the_verdict_counts_standard_errors_below_zero(fidelity: float, stderr: float, sigmas: float) -> None:
    proof = witness(Estimate(fidelity, stderr))
    assert proof.sigmas == pytest.approx(sigmas, abs=1e-9)
    assert proof.entangled(sigmas - 0.01)
    assert not proof.entangled(sigmas + 0.01)
