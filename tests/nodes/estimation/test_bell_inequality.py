"""CHSH from counts: exact on infinite data, honest on samples, diminished by readout errors as predicted."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.errors import TooFewOutcomes
from nodes.estimation.bell_inequality import SETTINGS, chsh, readout_factor

Matrix = NDArray[np.complex128]
Floats = NDArray[np.float64]
Born = Callable[[Matrix, Matrix, Matrix], Floats]
State = Callable[..., Matrix]

X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
Z = np.array([[1, 0], [0, -1]], dtype=np.complex128)
ALICES = (Z, X)
BOBS = ((Z + X) / sqrt(2), (Z - X) / sqrt(2))
OPERATOR = np.kron(Z, BOBS[0]) + np.kron(Z, BOBS[1]) + np.kron(X, BOBS[0]) - np.kron(X, BOBS[1])
PLENTY = 1e12


def misread(probabilities: Floats, alice: Floats, bob: Floats) -> Floats:
    """Pass the outcomes through readouts; column 0 is what 0 is read as."""
    return np.asarray(alice @ probabilities @ bob.T)


def readout(error_0: float, error_1: float) -> Floats:
    return np.array([[1 - error_0, error_1], [error_0, 1 - error_1]])


@pytest.mark.parametrize("fidelity", np.linspace(0.25, 1, 7).tolist())
def test_a_werner_state_gives_the_s_of_the_textbook(
    fidelity: float, bell_diagonal: State, born: Born
) -> None:
    rho = bell_diagonal(fidelity, *3 * [(1 - fidelity) / 3])
    counts = {(a, b): PLENTY * born(rho, ALICES[a], BOBS[b]) for a, b in SETTINGS}
    assert chsh(counts).value == pytest.approx(2 * sqrt(2) * (4 * fidelity - 1) / 3, abs=1e-9)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), rank=st.integers(1, 4))
def test_any_state_gives_the_mean_of_the_bell_operator(
    seed: int, rank: int, random_state: State, born: Born
) -> None:
    rho = random_state(seed, rank)
    counts = {(a, b): PLENTY * born(rho, ALICES[a], BOBS[b]) for a, b in SETTINGS}
    assert chsh(counts).value == pytest.approx(np.trace(rho @ OPERATOR).real, abs=1e-9)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), alice=st.floats(0.5, 1), bob=st.floats(0.5, 1))
def test_readouts_that_err_diminish_s_by_their_factor(
    seed: int, alice: float, bob: float, random_state: State, born: Born
) -> None:
    rho = random_state(seed)
    a_reads, b_reads = readout(1 - alice, 1 - alice), readout(1 - bob, 1 - bob)
    true = {(a, b): PLENTY * born(rho, ALICES[a], BOBS[b]) for a, b in SETTINGS}
    read = {setting: misread(counts, a_reads, b_reads) for setting, counts in true.items()}
    assert chsh(read).value == pytest.approx(readout_factor(alice, bob) * chsh(true).value, abs=1e-9)


@pytest.mark.parametrize("errors", [(0.0, 0.1), (0.05, 0.005), (0.2, 0.0)])
@pytest.mark.parametrize("fidelity", [0.4, 0.8, 1.0])
def test_readouts_that_err_on_one_outcome_more_shift_every_correlation_besides(
    fidelity: float, errors: tuple[float, float], bell_diagonal: State, born: Born
) -> None:
    rho = bell_diagonal(fidelity, *3 * [(1 - fidelity) / 3])
    true = {(a, b): PLENTY * born(rho, ALICES[a], BOBS[b]) for a, b in SETTINGS}
    read = {setting: misread(counts, readout(*errors), readout(*errors)) for setting, counts in true.items()}
    mean_fidelity, shift = 1 - sum(errors) / 2, (errors[1] - errors[0]) ** 2
    expected = readout_factor(mean_fidelity, mean_fidelity) * chsh(true).value + 2 * shift
    assert chsh(read).value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("fidelity", [0.3, 0.7803, 0.9, 1.0])
def test_s_of_samples_scatters_as_its_error_says(
    fidelity: float,
    bell_diagonal: State,
    born: Born,
    shoot: Callable[..., Floats],
    assert_honest: Callable[..., None],
) -> None:
    shots, repetitions = 1000, 2000
    rho = bell_diagonal(fidelity, *3 * [(1 - fidelity) / 3])
    rng = np.random.default_rng([6, round(1000 * fidelity)])
    samples = {(a, b): shoot(rng, born(rho, ALICES[a], BOBS[b]), shots, repetitions) for a, b in SETTINGS}
    found = [chsh({each: samples[each][i] for each in SETTINGS}) for i in range(repetitions)]
    w = (4 * fidelity - 1) / 3
    pulls = np.array([(each.value - 2 * sqrt(2) * w) / each.stderr for each in found])
    assert_honest(pulls, allowed=1 / sqrt(shots * (1 - w**2 / 2)))
    assert found[0].stderr == pytest.approx(sqrt(4 * (1 - w**2 / 2) / shots), rel=0.1)


def test_a_setting_that_never_came_up_leaves_s_unknown() -> None:
    counts = {setting: np.ones((2, 2)) for setting in SETTINGS} | {(1, 0): np.zeros((2, 2))}
    with pytest.raises(TooFewOutcomes):
        chsh(counts)
