"""Batches of independent qubits do what the density matrix says."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from shared_state.engine import batch, channels
from shared_state.engine.bases import Basis, eigenstate
from shared_state.engine.joint_state import JointState

CODES: dict[int, Basis] = {0: "Z", 1: "X", 2: "Y"}
SIGMAS = 4.9  # two-sided false-alarm probability 1e-6


def codes(*values: int) -> batch.Codes:
    return np.array(values, dtype=np.uint8)


@pytest.mark.parametrize("basis", [0, 1, 2])
@pytest.mark.parametrize("bit", [0, 1])
def test_an_eigenstate_is_found_with_certainty_in_its_own_basis(basis: int, bit: int) -> None:
    bloch = batch.eigenstates(codes(bit, bit), codes(basis, basis))
    outcomes = batch.measure(bloch, codes(basis, basis), np.array([0.0, 1 - 1e-16]))
    assert outcomes.tolist() == [bit, bit]


@pytest.mark.parametrize("prepared", [0, 1, 2])
@pytest.mark.parametrize("measured", [0, 1, 2])
@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.9])
def test_outcomes_switch_at_the_same_probability_as_the_density_matrix(
    prepared: int, measured: int, bit: int, p: float
) -> None:
    bloch = batch.depolarise(batch.eigenstates(codes(bit), codes(prepared)), p)
    psi = eigenstate(CODES[prepared], bit)
    for uniform in np.linspace(0.005, 0.995, 100):
        state = JointState()
        state.add(np.outer(psi, psi.conj()), [0])
        state.apply_channel(channels.depolarising(p), [0])
        expected = state.measure(0, CODES[measured], uniform)
        assert batch.measure(bloch, codes(measured), np.array([uniform]))[0] == expected


def test_the_other_basis_gives_coin_tosses() -> None:
    count = 100_000
    rng = np.random.default_rng(11)
    bits = rng.integers(0, 2, count, dtype=np.uint8)
    bases = rng.integers(0, 2, count, dtype=np.uint8)
    outcomes = batch.measure(batch.eigenstates(bits, bases), 1 - bases, rng.random(count))
    agreeing = int((outcomes == bits).sum())
    assert abs(agreeing - count / 2) < SIGMAS * sqrt(count) / 2


def test_a_collapsed_qubit_repeats_its_outcome() -> None:
    rng = np.random.default_rng(5)
    bases = rng.integers(0, 3, 1000, dtype=np.uint8)
    bloch = batch.eigenstates(
        rng.integers(0, 2, 1000, dtype=np.uint8), rng.integers(0, 3, 1000, dtype=np.uint8)
    )
    outcomes = batch.measure(bloch, bases, rng.random(1000))
    again = batch.measure(batch.collapse(outcomes, bases), bases, rng.random(1000))
    np.testing.assert_array_equal(again, outcomes)


def test_an_empty_batch_is_a_batch() -> None:
    bloch = batch.eigenstates(codes(), codes())
    assert bloch.shape == (0, 3)
    assert batch.measure(bloch, codes(), np.zeros(0)).shape == (0,)
