"""Channels: completely positive, trace preserving, and with the parameters the documentation states."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared_state.engine import channels, gates
from shared_state.engine.errors import InvalidOperator
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity

PROBABILITIES = st.floats(0, 1)
MAKERS: list[Callable[[float], channels.Channel]] = [
    channels.depolarising,
    channels.two_qubit_depolarising,
    channels.amplitude_damping,
    channels.dephasing,
]


def choi(channel: channels.Channel) -> NDArray[np.complex128]:
    """Return the Choi matrix, indexed (row in, row out), (column in, column out)."""
    size = round(len(channel) ** 0.5)
    return channel.reshape(size, size, size, size).transpose(2, 0, 3, 1).reshape(size**2, size**2)


def applied(channel: channels.Channel, rho: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return (channel @ rho.ravel()).reshape(rho.shape)


@pytest.mark.parametrize("make", MAKERS)
@settings(deadline=None)
@given(p=PROBABILITIES)
def test_a_channel_is_completely_positive_and_keeps_the_trace(
    make: Callable[[float], channels.Channel], p: float
) -> None:
    channel = make(p)
    size = round(len(channel) ** 0.5)
    matrix = choi(channel)
    np.testing.assert_allclose(matrix, matrix.conj().T, atol=1e-15)
    assert np.linalg.eigvalsh(matrix).min() > -1e-12
    traced = matrix.reshape(size, size, size, size).trace(axis1=1, axis2=3)
    np.testing.assert_allclose(traced, np.eye(size), atol=1e-12)


@settings(deadline=None)
@given(p=st.floats(0, 4 / 3))
def test_depolarising_replaces_the_qubit_by_the_mixed_one_with_probability_p(p: float) -> None:
    rho = np.array([[0.8, 0.3j], [-0.3j, 0.2]])
    np.testing.assert_allclose(
        applied(channels.depolarising(p), rho), (1 - p) * rho + p * np.eye(2) / 2, atol=1e-14
    )


@settings(deadline=None)
@given(p=PROBABILITIES)
def test_depolarising_is_each_pauli_with_probability_p_over_four(p: float) -> None:
    paulis = [np.eye(2, dtype=np.complex128), gates.X, gates.Y, gates.Z]
    weights = [1 - 3 * p / 4, p / 4, p / 4, p / 4]
    kraus = [np.sqrt(w) * pauli for w, pauli in zip(weights, paulis, strict=True)]
    np.testing.assert_allclose(channels.depolarising(p), channels.from_kraus(kraus), atol=1e-14)


@settings(deadline=None)
@given(p=PROBABILITIES)
def test_half_a_bell_pair_keeps_one_minus_three_quarters_p_under_depolarising(p: float) -> None:
    state = JointState()
    state.add(np.outer(bell_state(0, 0), bell_state(0, 0)), [0, 1])
    state.apply_channel(channels.depolarising(p), [1])
    assert fidelity(state.reduced([0, 1]), bell_state(0, 0)) == pytest.approx(1 - 3 * p / 4, abs=1e-9)


@settings(deadline=None)
@given(p=PROBABILITIES)
def test_two_qubit_depolarising_mixes_both_qubits_together(p: float) -> None:
    rho = np.outer(bell_state(1, 0), bell_state(1, 0))
    mixed = applied(channels.two_qubit_depolarising(p), rho)
    np.testing.assert_allclose(mixed, (1 - p) * rho + p * np.eye(4) / 4, atol=1e-14)


@settings(deadline=None)
@given(gamma=PROBABILITIES)
def test_amplitude_damping_moves_population_and_shrinks_coherence_by_its_root(gamma: float) -> None:
    rho = np.array([[0.4, 0.1 + 0.2j], [0.1 - 0.2j, 0.6]])
    damped = applied(channels.amplitude_damping(gamma), rho)
    assert damped[1, 1] == pytest.approx(0.6 * (1 - gamma), abs=1e-14)
    assert damped[0, 1] == pytest.approx((0.1 + 0.2j) * np.sqrt(1 - gamma), abs=1e-14)


@settings(deadline=None)
@given(p=PROBABILITIES)
def test_dephasing_shrinks_the_coherence_and_leaves_the_populations(p: float) -> None:
    rho = np.array([[0.4, 0.1 + 0.2j], [0.1 - 0.2j, 0.6]])
    expected = rho * np.array([[1, 1 - 2 * p], [1 - 2 * p, 1]])
    np.testing.assert_allclose(applied(channels.dephasing(p), rho), expected, atol=1e-14)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("p", [-0.001, 1.34, float("nan")])
def test_an_unphysical_parameter_is_refused(make: Callable[[float], channels.Channel], p: float) -> None:
    with pytest.raises(InvalidOperator, match="must lie in 0"):
        make(p)


@settings(deadline=None)
@given(p=st.floats(0, 0.5), count=st.integers(0, 6))
def test_many_dephasings_are_one_by_their_factor(p: float, count: int) -> None:
    repeated = np.linalg.matrix_power(channels.dephasing(p), count)
    np.testing.assert_allclose(channels.dephasing_factor((1 - 2 * p) ** count), repeated, atol=1e-12)


@settings(deadline=None)
@given(f=st.floats(0.01, 1))
def test_depolarising_each_of_two_qubits_has_the_gates_fidelity(f: float) -> None:
    noise = channels.depolarising(channels.depolarising_each(f))
    overlap = 1.0
    for _ in range(2):  # a channel's fidelity is that of half a Bell pair sent through it
        state = JointState()
        state.add(np.outer(bell_state(0, 0), bell_state(0, 0)), [0, 1])
        state.apply_channel(noise, [0])
        overlap *= fidelity(state.reduced([0, 1]), bell_state(0, 0))
    assert overlap == pytest.approx(f, abs=1e-12)


def test_a_factor_or_fidelity_outside_0_to_1_is_refused() -> None:
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidOperator, match="must lie in 0"):
            channels.dephasing_factor(value)
        with pytest.raises(InvalidOperator, match="must lie in 0"):
            channels.depolarising_each(value)
