"""Nine settings give the state: exactly on infinite data, with honest errors on samples."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.errors import TooFewOutcomes
from nodes.estimation.bell_pairs import bell_fidelity
from nodes.estimation.correlations import correlation
from nodes.estimation.estimates import Estimate
from nodes.estimation.tomogram import BASES, SETTINGS, Tomogram
from nodes.ports import Basis

Matrix = NDArray[np.complex128]
Floats = NDArray[np.float64]
Born = Callable[[Matrix, Matrix, Matrix], Floats]
State = Callable[..., Matrix]
Measure = Callable[..., Tomogram]

PHI_PLUS = np.array([1, 0, 0, 1], dtype=np.complex128) / sqrt(2)
SKEW = np.array([0.8, 0.1 - 0.3j, -0.2j, 0.4], dtype=np.complex128)
SKEW /= np.linalg.norm(SKEW)
"""A state that is no eigenstate of any Pauli matrix: every T_ij contributes to the fidelity with it."""


@pytest.fixture(scope="session")
def ideal(born: Born, pauli: dict[str, Matrix]) -> Measure:
    """Return the tomogram of infinite data; the settings may come up unequally often."""

    def of(rho: Matrix, shots: Floats | None = None) -> Tomogram:
        numbers = 1e12 * (np.ones(9) if shots is None else shots)
        pairs = zip(numbers, SETTINGS, strict=True)
        return Tomogram({(a, b): number * born(rho, pauli[a], pauli[b]) for number, (a, b) in pairs})

    return of


@pytest.fixture(scope="session")
def sampled(
    born: Born, pauli: dict[str, Matrix], shoot: Callable[..., Floats]
) -> Callable[..., list[Tomogram]]:
    """Return tomograms of repeated experiments; the later settings come up more often."""

    def of(rho: Matrix, shots: int, repetitions: int, seed: int) -> list[Tomogram]:
        rng = np.random.default_rng([7, seed])
        samples = {
            (a, b): shoot(rng, born(rho, pauli[a], pauli[b]), shots * (9 + place) // 9, repetitions)
            for place, (a, b) in enumerate(SETTINGS)
        }
        return [Tomogram({each: samples[each][i] for each in SETTINGS}) for i in range(repetitions)]

    return of


def pulls(found: list[Estimate], truth: float) -> Floats:
    return np.array([(each.value - truth) / each.stderr for each in found])


def test_the_bases_are_those_of_the_ports() -> None:
    assert get_args(Basis) == BASES


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), rank=st.integers(1, 4))
def test_any_state_is_reconstructed_from_infinite_data(
    seed: int, rank: int, random_state: State, ideal: Measure
) -> None:
    rho = random_state(seed, rank)
    shots = np.random.default_rng(seed).uniform(0.1, 1, 9)
    tomogram = ideal(rho, shots)
    assert tomogram.density_matrix() == pytest.approx(rho, abs=1e-9)
    assert tomogram.purity().value == pytest.approx(np.trace(rho @ rho).real, abs=1e-9)
    for target in (PHI_PLUS, SKEW):
        assert tomogram.fidelity(target).value == pytest.approx((target.conj() @ rho @ target).real, abs=1e-9)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_the_coefficients_are_the_means_of_the_pauli_operators(
    seed: int, random_state: State, ideal: Measure, pauli: dict[str, Matrix]
) -> None:
    rho = random_state(seed)
    operators = [np.eye(2), *(pauli[basis] for basis in BASES)]
    expected = [[np.trace(rho @ np.kron(one, other)).real for other in operators] for one in operators]
    assert ideal(rho).coefficients() == pytest.approx(np.array(expected), abs=1e-9)


def test_what_one_party_saw_is_pooled_over_all_that_the_other_did(
    random_state: State, sampled: Callable[..., list[Tomogram]]
) -> None:
    for tomogram in sampled(random_state(13), 90, 5, seed=3):
        found = tomogram.coefficients()
        for place, basis in enumerate(BASES, start=1):
            alices = sum((tomogram.counts[basis, other] for other in BASES), np.zeros((2, 2))).sum(axis=1)
            bobs = sum((tomogram.counts[other, basis] for other in BASES), np.zeros((2, 2))).sum(axis=0)
            assert found[place, 0] == pytest.approx((alices[0] - alices[1]) / alices.sum(), abs=1e-12)
            assert found[0, place] == pytest.approx((bobs[0] - bobs[1]) / bobs.sum(), abs=1e-12)


@pytest.mark.parametrize("fidelity", [0.25, 0.5, 0.8, 1.0])
def test_a_werner_state_has_the_purity_of_the_textbook(
    fidelity: float, bell_diagonal: State, ideal: Measure
) -> None:
    w = (4 * fidelity - 1) / 3
    tomogram = ideal(bell_diagonal(fidelity, *3 * [(1 - fidelity) / 3]))
    assert tomogram.purity().value == pytest.approx((1 + 3 * w**2) / 4, abs=1e-9)
    assert tomogram.coefficients() == pytest.approx(np.diag([1, w, -w, w]), abs=1e-9)


def test_the_fidelity_with_a_bell_state_is_that_of_xx_yy_and_zz_alone(
    random_state: State, sampled: Callable[..., list[Tomogram]]
) -> None:
    for tomogram in sampled(random_state(1), 100, 20, seed=0):
        xx, yy, zz = (correlation(tomogram.counts[basis, basis]) for basis in BASES)
        expected, found = bell_fidelity(xx, yy, zz), tomogram.fidelity(PHI_PLUS)
        assert found.value == pytest.approx(expected.value, abs=1e-12)
        assert found.stderr == pytest.approx(expected.stderr, abs=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_fidelities_of_samples_scatter_as_their_errors_say(
    rank: int,
    random_state: State,
    sampled: Callable[..., list[Tomogram]],
    assert_honest: Callable[..., None],
) -> None:
    rho = random_state(11, rank)
    for seed, target in enumerate((SKEW, np.linalg.eigh(rho)[1][:, -1])):
        found = [tomogram.fidelity(target) for tomogram in sampled(rho, 1000, 1000, seed)]
        truth = float((target.conj() @ rho @ target).real)
        assert_honest(pulls(found, truth), allowed=1 / sqrt(1000))


@pytest.mark.thorough
def test_coefficients_of_samples_scatter_as_their_errors_say(
    random_state: State,
    sampled: Callable[..., list[Tomogram]],
    ideal: Measure,
    assert_honest: Callable[..., None],
) -> None:
    rho = random_state(12)
    tomograms = sampled(rho, 1000, 300, seed=5)
    values = np.array([tomogram.coefficients() for tomogram in tomograms])
    errors = np.array([tomogram.coefficient_errors() for tomogram in tomograms])
    assert np.all(errors[:, 0, 0] == 0)
    deviations = (values - ideal(rho).coefficients()).reshape(-1, 16)[:, 1:]
    for column in (deviations / errors.reshape(-1, 16)[:, 1:]).T:
        assert_honest(column, allowed=1 / sqrt(1000))


@pytest.mark.thorough
@pytest.mark.parametrize(("rank", "seed"), [(1, 21), (2, 22), (3, 23)])
def test_purities_of_samples_scatter_as_their_errors_say(
    rank: int,
    seed: int,
    random_state: State,
    sampled: Callable[..., list[Tomogram]],
    assert_honest: Callable[..., None],
) -> None:
    rho = random_state(seed, rank)
    found = [tomogram.purity() for tomogram in sampled(rho, 1000, 300, seed)]
    assert_honest(pulls(found, float(np.trace(rho @ rho).real)), allowed=2 / sqrt(1000))


def test_noise_does_not_raise_the_purity_on_average(
    bell_diagonal: State, sampled: Callable[..., list[Tomogram]]
) -> None:
    # Of I/4, with few shots: uncorrected squares would give 1/4 + sum of sigma_ij^2/4, some 0.26 at 10 shots a setting.
    found = np.array([each.purity().value for each in sampled(bell_diagonal(*4 * [0.25]), 40, 300, 31)])
    # The floor and the finite sample leave 1/N of the correction; 5.1 standard errors: false alarm 3.4e-7.
    assert abs(found.mean() - 0.25) < 5.1 * found.std() / sqrt(300) + 0.06 / 40


@pytest.mark.parametrize("missing", SETTINGS)
def test_a_setting_that_never_came_up_leaves_the_state_unknown(missing: tuple[Basis, Basis]) -> None:
    with pytest.raises(TooFewOutcomes):
        Tomogram({setting: np.full((2, 2), float(setting != missing)) for setting in SETTINGS})
