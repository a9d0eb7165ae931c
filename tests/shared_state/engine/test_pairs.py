"""Pairs as correlation tensors do what the joint state does, in every branch."""

from __future__ import annotations

from itertools import product
from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared_state.engine import channels, gates, pairs
from shared_state.engine.aging import relaxation
from shared_state.engine.bases import Basis
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity

Matrix = NDArray[np.complex128]
CODES: dict[int, Basis] = {0: "Z", 1: "X", 2: "Y"}
SEEDS = st.integers(0, 2**32 - 1)
OUTCOMES = list(product((0, 1), repeat=2))


def random_states(seed: int, count: int) -> Matrix:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 4, 3)) + 1j * rng.normal(size=(count, 4, 3))
    rho = vectors @ vectors.conj().transpose(0, 2, 1)
    normalised: Matrix = rho / np.trace(rho, axis1=1, axis2=2)[:, None, None]
    return normalised


def joint(*rho: Matrix) -> JointState:
    state = JointState()
    for i, matrix in enumerate(rho):
        state.add(matrix, [2 * i, 2 * i + 1])
    return state


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_a_state_survives_the_way_to_tensors_and_back(seed: int) -> None:
    rho = random_states(seed, 5)
    tensors = pairs.from_density(rho)
    np.testing.assert_allclose(tensors[:, 0, 0], 1, atol=1e-12)
    np.testing.assert_allclose(pairs.to_density(tensors), rho, atol=1e-12)
    for x, z in OUTCOMES:
        expected = [fidelity(matrix, bell_state(x, z)) for matrix in rho]
        np.testing.assert_allclose(pairs.fidelity(tensors, x, z), expected, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, side=st.sampled_from([0, 1]), p=st.floats(0, 1), t=st.floats(0.001, 3))
def test_noise_on_one_side_is_the_joint_states_noise(seed: int, side: pairs.Side, p: float, t: float) -> None:
    rho = random_states(seed, 3)
    tensors = pairs.from_density(rho)
    aging = relaxation(1.3, 0.7, t)
    assert aging is not None
    each = pairs.pauli_transfer(np.array([aging, channels.depolarising(p), channels.amplitude_damping(p)]))
    cases = [
        (pairs.depolarise(tensors, side, p), [channels.depolarising(p)] * 3),
        (pairs.dephase(tensors, side, np.full(3, 1 - 2 * p)), [channels.dephasing(p)] * 3),
        (pairs.relax(tensors, side, 1 - exp(-t / 1.3), np.full(3, exp(-t / 0.7))), [aging] * 3),
        (pairs.apply_channel(tensors, pairs.pauli_transfer(aging), side), [aging] * 3),
        (
            pairs.apply_channel(tensors, each, side),
            [aging, channels.depolarising(p), channels.amplitude_damping(p)],
        ),
    ]
    for changed, noise in cases:
        for i, channel in enumerate(noise):
            state = joint(rho[i])
            state.apply_channel(channel, [side])
            np.testing.assert_allclose(pairs.to_density(changed)[i], state.reduced([0, 1]), atol=1e-12)
    np.testing.assert_array_equal(tensors, pairs.from_density(rho))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, side=st.sampled_from([0, 1]))
def test_corrections_are_pauli_gates(seed: int, side: pairs.Side) -> None:
    rho = random_states(seed, 4)
    x, z = np.array(OUTCOMES, dtype=np.uint8).T
    corrected = pairs.to_density(pairs.pauli(pairs.from_density(rho), side, x, z))
    for i, (flip, phase) in enumerate(OUTCOMES):
        state = joint(rho[i])
        state.apply(np.linalg.matrix_power(gates.X, flip) @ np.linalg.matrix_power(gates.Z, phase), [side])
        np.testing.assert_allclose(corrected[i], state.reduced([0, 1]), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_a_swap_is_the_joint_states_bell_measurement(seed: int) -> None:
    left, right = random_states(seed, 12), random_states(seed + 1, 12)
    uniforms = (np.arange(12) + np.random.default_rng(seed).random(12)) / 12
    joined, x, z = pairs.swap(pairs.from_density(left), pairs.from_density(right), uniforms)
    for i, uniform in enumerate(uniforms):
        state = joint(left[i], right[i])
        assert state.bell_measure(1, 2, uniform) == (x[i], z[i])
        np.testing.assert_allclose(pairs.to_density(joined)[i], state.reduced([0, 3]), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, side=st.sampled_from([0, 1]))
def test_a_measured_half_leaves_the_joint_states_other_half(seed: int, side: pairs.Side) -> None:
    rho = random_states(seed, 9)
    bases = np.arange(9, dtype=np.uint8) % 3
    uniforms = np.random.default_rng(seed).random((9, 2))
    tensors = pairs.from_density(rho)
    bits, bloch = pairs.measure(tensors, side, bases, uniforms[:, 0])
    for i in range(9):
        state = joint(rho[i])
        assert state.measure(side, CODES[int(bases[i])], uniforms[i, 0]) == bits[i]
        other = state.reduced([1 - side])
        expected = [np.trace(other @ sigma).real for sigma in (gates.X, gates.Y, gates.Z)]
        np.testing.assert_allclose(bloch[i], expected, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_pairs_in_one_state_are_measured_as_the_joint_state_is(seed: int) -> None:
    (rho,) = random_states(seed, 1)
    codes = np.arange(9, dtype=np.uint8)
    hers, his, uniforms = codes % 3, codes // 3, np.random.default_rng(seed).random((9, 2))
    (tensor,) = pairs.from_density(rho[np.newaxis])
    bits_a, bits_b = pairs.measure_alike(tensor, (pairs.BASES, pairs.BASES), hers, his, uniforms)
    for i in range(9):
        state = joint(rho)
        assert state.measure(0, CODES[int(hers[i])], uniforms[i, 0]) == bits_a[i]
        assert state.measure(1, CODES[int(his[i])], uniforms[i, 1]) == bits_b[i]


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, angles=st.tuples(st.floats(-7, 7), st.floats(-7, 7)))
def test_an_angle_is_measured_as_z_is_after_the_rotation_that_turns_it_there(
    seed: int, angles: tuple[float, float]
) -> None:
    (rho,) = random_states(seed, 1)
    uniforms, one = np.random.default_rng(seed).random((20, 2)), np.zeros(20, dtype=np.uint8)
    (tensor,) = pairs.from_density(rho[np.newaxis])
    axes = pairs.in_plane(angles[:1]), pairs.in_plane(angles[1:])
    bits_a, bits_b = pairs.measure_alike(tensor, axes, one, one, uniforms)
    for i in range(20):
        state = joint(rho)
        for qubit, angle in enumerate(angles):
            state.apply(gates.unitary("ry", [-angle]), [qubit])
        assert state.measure(0, "Z", uniforms[i, 0]) == bits_a[i]
        assert state.measure(1, "Z", uniforms[i, 1]) == bits_b[i]


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, side=st.sampled_from([0, 1]), p=st.floats(0, 1), q=st.floats(0, 1), r=st.floats(0, 1))
def test_pauli_errors_shrink_what_anticommutes_with_them(
    seed: int, side: pairs.Side, p: float, q: float, r: float
) -> None:
    rho = random_states(seed, 2)
    total = max(p + q + r, 1.0)
    x, y, z = p / total, q / total, r / total
    errors = channels.from_kraus(
        [
            sqrt(share) * matrix
            for share, matrix in (
                (max(1 - x - y - z, 0.0), np.eye(2, dtype=np.complex128)),
                (x, gates.X),
                (y, gates.Y),
                (z, gates.Z),
            )
        ]
    )
    shrunk = pairs.shrink(pairs.from_density(rho), side, (1 - 2 * (y + z), 1 - 2 * (x + z), 1 - 2 * (x + y)))
    for i, matrix in enumerate(rho):
        state = joint(matrix)
        state.apply_channel(errors, [side])
        np.testing.assert_allclose(pairs.to_density(shrunk)[i], state.reduced([0, 1]), atol=1e-12)


def test_depolarising_one_measured_qubit_is_depolarising_both_together_before_a_swap() -> None:
    left, right = random_states(1, 4), random_states(2, 4)
    uniforms = np.array([0.1, 0.4, 0.6, 0.9])
    noisy = pairs.depolarise(pairs.from_density(left), 1, 0.3)
    joined, x, z = pairs.swap(noisy, pairs.from_density(right), uniforms)
    for i, uniform in enumerate(uniforms):
        state = joint(left[i], right[i])
        state.apply_channel(channels.two_qubit_depolarising(0.3), [1, 2])
        assert state.bell_measure(1, 2, uniform) == (x[i], z[i])
        np.testing.assert_allclose(pairs.to_density(joined)[i], state.reduced([0, 3]), atol=1e-12)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53, 1.0])
def test_an_impossible_outcome_is_never_drawn(uniform: float) -> None:
    zeros = np.zeros((1, 4, 4), dtype=np.complex128)
    zeros[0, 0, 0] = 1
    tensors = pairs.from_density(zeros)
    in_z = np.zeros(1, dtype=np.uint8)
    bits, _ = pairs.measure(tensors, 0, in_z, np.array([uniform]))
    both = pairs.measure_alike(tensors[0], (pairs.BASES, pairs.BASES), in_z, in_z, np.full((1, 2), uniform))
    for outcomes in (bits, *both):
        assert outcomes.tolist() == [0]
    joined, x, _ = pairs.swap(tensors, tensors, np.array([uniform]))
    assert x[0] == 0  # |00> has no overlap with Psi+-
    assert np.isfinite(joined).all()


def test_no_pairs_are_a_batch_too() -> None:
    nothing = pairs.from_density(np.zeros((0, 4, 4), dtype=np.complex128))
    joined, x, z = pairs.swap(nothing, nothing, np.zeros(0))
    assert (joined.shape, x.shape, z.shape) == ((0, 4, 4), (0,), (0,))
