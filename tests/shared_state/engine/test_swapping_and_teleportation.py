"""Swapping and teleportation: closed forms over ranges of states and in every branch."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared_state.engine import channels, gates
from shared_state.engine.bases import Basis, eigenstate
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity

Matrix = NDArray[np.complex128]
PHI_PLUS = bell_state(0, 0)
FIDELITIES = [0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0]
OUTCOMES = list(product((0, 1), repeat=2))
DESIGN: list[tuple[Basis, int]] = [(basis, bit) for basis in ("X", "Y", "Z") for bit in (0, 1)]


def werner(f: float) -> Matrix:
    w = (4 * f - 1) / 3
    return w * np.outer(PHI_PLUS, PHI_PLUS) + (1 - w) / 4 * np.eye(4)


def correct(state: JointState, qubit: int, x: int, z: int) -> None:
    if x:
        state.apply(gates.X, [qubit])
    if z:
        state.apply(gates.Z, [qubit])


def bell_weights(state: JointState, first: int, second: int) -> list[float]:
    rho = state.reduced([first, second])
    return [fidelity(rho, bell_state(x, z)) for x, z in OUTCOMES]


def random_state(seed: int, qubits: int, rank: int) -> Matrix:
    rng = np.random.default_rng(seed)
    size = 2**qubits
    vectors = rng.normal(size=(size, rank)) + 1j * rng.normal(size=(size, rank))
    rho = vectors @ vectors.conj().T
    normalised: Matrix = rho / rho.trace()
    return normalised


def two_pairs(f1: float, f2: float) -> JointState:
    """Return alice 0 - 1 charlie 2 - 3 bob."""
    state = JointState()
    state.add(werner(f1), [0, 1])
    state.add(werner(f2), [2, 3])
    return state


@pytest.mark.parametrize("f1", FIDELITIES)
@pytest.mark.parametrize("f2", FIDELITIES)
def test_a_swap_of_werner_pairs_multiplies_their_parameters_in_every_branch(f1: float, f2: float) -> None:
    expected = f1 * f2 + (1 - f1) * (1 - f2) / 3
    for branch, outcome in enumerate(OUTCOMES):
        state = two_pairs(f1, f2)
        assert state.bell_measure(1, 2, (branch + 0.5) / 4) == outcome
        correct(state, 3, *outcome)
        np.testing.assert_allclose(state.reduced([0, 3]), werner(expected), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(f1=st.floats(0, 1), f2=st.floats(0, 1))
def test_the_four_outcomes_of_a_swap_are_equally_likely_to_twelve_digits(f1: float, f2: float) -> None:
    for boundary in (1, 2, 3):
        below = two_pairs(f1, f2).bell_measure(1, 2, boundary / 4 - 1e-12)
        above = two_pairs(f1, f2).bell_measure(1, 2, boundary / 4 + 1e-12)
        assert (below, above) == (OUTCOMES[boundary - 1], OUTCOMES[boundary])


@pytest.mark.parametrize(("f1", "f2", "expected"), [(0.95, 0.9, 0.856667), (0.8, 0.8, 0.653333)])
def test_worked_swaps_agree_to_six_digits(f1: float, f2: float, expected: float) -> None:
    state = two_pairs(f1, f2)
    correct(state, 3, *state.bell_measure(1, 2, 0.6))
    assert fidelity(state.reduced([0, 3]), PHI_PLUS) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(
    ("f", "links", "expected"), [(0.99, 4, 0.9608), (0.95, 2, 0.9033), (0.95, 8, 0.6819)]
)
def test_a_chain_of_links_decays_as_the_power_of_the_werner_parameter(
    f: float, links: int, expected: float
) -> None:
    rng = np.random.default_rng(8)
    state = JointState()
    for link in range(links):
        state.add(werner(f), [2 * link, 2 * link + 1])
    last = 2 * links - 1
    for left, right in pairwise(range(links)):
        correct(state, last, *state.bell_measure(2 * left + 1, 2 * right, rng.random()))
    value = fidelity(state.reduced([0, last]), PHI_PLUS)
    assert value == pytest.approx(0.25 + 0.75 * ((4 * f - 1) / 3) ** links, abs=1e-9)
    assert value == pytest.approx(expected, abs=6e-5)


def imperfect_swap(f1: float, f2: float, p2: float, eta: float) -> float:
    """Return the fidelity over all branches: CNOT of quality ``p2``, readout fidelity ``eta``."""
    total = 0.0
    for x, z in OUTCOMES:
        for wrong_x, wrong_z in OUTCOMES:
            state = two_pairs(f1, f2)
            state.apply(gates.CNOT, [1, 2])
            state.apply_channel(channels.two_qubit_depolarising(1 - p2), [1, 2])
            state.apply(gates.H, [1])
            assert (state.measure(2, "Z", 0.25 + 0.5 * x), state.measure(1, "Z", 0.25 + 0.5 * z)) == (x, z)
            correct(state, 3, x ^ wrong_x, z ^ wrong_z)
            flips = wrong_x + wrong_z
            weight = eta ** (2 - flips) * (1 - eta) ** flips / 4
            total += weight * fidelity(state.reduced([0, 3]), PHI_PLUS)
    return total


@pytest.mark.parametrize("p2", [0.8, 0.97, 1.0])
@pytest.mark.parametrize("eta", [0.5, 0.9, 0.985, 1.0])
@pytest.mark.parametrize(("f1", "f2"), [(0.93, 0.90), (0.7, 0.99), (1.0, 1.0)])
def test_a_swap_with_faulty_gate_and_readout_has_briegels_fidelity(
    p2: float, eta: float, f1: float, f2: float
) -> None:
    w = (4 * f1 - 1) / 3 * (4 * f2 - 1) / 3
    expected = 0.25 + 0.75 * p2 * (4 * eta**2 - 1) / 3 * w
    assert imperfect_swap(f1, f2, p2, eta) == pytest.approx(expected, abs=1e-9)


def test_the_worked_imperfect_swap_agrees_to_six_digits() -> None:
    assert imperfect_swap(0.93, 0.90, 0.97, 0.985) == pytest.approx(0.798959, abs=5e-7)


def average_teleportation(pair: Matrix) -> float:
    """Return the fidelity over the six Pauli eigenstates (a 2-design) and all outcomes with their weights."""
    total = 0.0
    for basis, bit in DESIGN:
        psi = eigenstate(basis, bit)
        cumulative = 0.0
        for branch, outcome in enumerate(OUTCOMES):
            state = JointState()
            state.add(np.outer(psi, psi.conj()), [0])
            state.add(pair, [1, 2])
            weight = bell_weights(state, 0, 1)[branch]
            if weight < 1e-9:
                continue
            assert state.bell_measure(0, 1, cumulative + weight / 2) == outcome
            cumulative += weight
            correct(state, 2, *outcome)
            total += weight * fidelity(state.reduced([2]), psi) / len(DESIGN)
    return total


@pytest.mark.parametrize("f", [0.25, 0.5, 0.61, 0.9, 1.0])
def test_teleportation_through_a_werner_pair_averages_to_two_thirds_f_plus_one_third(f: float) -> None:
    assert average_teleportation(werner(f)) == pytest.approx((2 * f + 1) / 3, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rank=st.integers(1, 4))
def test_teleportation_through_any_pair_depends_only_on_its_overlap_with_phi_plus(
    seed: int, rank: int
) -> None:
    pair = random_state(seed, 2, rank)
    f = fidelity(pair, PHI_PLUS)
    assert average_teleportation(pair) == pytest.approx((2 * f + 1) / 3, abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_bob_receives_the_state_alice_gave_up_in_every_branch(seed: int) -> None:
    rho = random_state(seed, 2, 1)  # the qubit to teleport is entangled with a witness that stays behind
    for z, x in OUTCOMES:
        state = JointState()
        state.add(rho, [9, 0])
        state.add(werner(1), [1, 2])
        state.apply(gates.CNOT, [0, 1])
        state.apply(gates.H, [0])
        assert (state.measure(1, "Z", 0.25 + 0.5 * x), state.measure(0, "Z", 0.25 + 0.5 * z)) == (x, z)
        correct(state, 2, x, z)
        np.testing.assert_allclose(state.reduced([9, 2]), rho, atol=1e-9)
