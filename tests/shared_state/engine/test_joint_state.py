"""The joint state's bookkeeping: what merges, what leaves, and that refusing an operation changes nothing."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from shared_state.engine import channels, gates
from shared_state.engine.bases import Basis, eigenstate
from shared_state.engine.errors import (
    ClusterTooLarge,
    EngineError,
    InvalidOperator,
    InvalidState,
    UnknownQubit,
)
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity

ZERO = np.diag([1.0, 0.0])
PHI_PLUS = np.outer(bell_state(0, 0), bell_state(0, 0))
Operation = Callable[[JointState], object]


def ghz(qubits: int, max_qubits: int = 12) -> JointState:
    state = JointState(max_qubits)
    for qubit in range(qubits):
        state.add(ZERO, [qubit])
    state.apply(gates.H, [0])
    for qubit in range(1, qubits):
        state.apply(gates.CNOT, [0, qubit])
    return state


def test_an_interaction_merges_and_a_measurement_takes_the_qubit_out() -> None:
    state = ghz(3)
    assert (len(state), state.clusters, set(state.cluster_of(1))) == (3, 1, {0, 1, 2})
    state.measure(1, "X", 0.3)
    assert 1 not in state
    assert (len(state), state.clusters, set(state.cluster_of(0))) == (2, 1, {0, 2})
    state.discard(0)
    state.discard(2)
    assert (len(state), state.clusters) == (0, 0)


def test_a_bell_measurement_consumes_both_and_joins_what_they_were_entangled_with() -> None:
    state = JointState()
    state.add(PHI_PLUS, [0, 1])
    state.add(PHI_PLUS, [2, 3])
    assert state.clusters == 2
    assert state.bell_measure(1, 2, 0.1) == (0, 0)
    assert set(state.cluster_of(0)) == {0, 3}
    assert fidelity(state.reduced([0, 3]), bell_state(0, 0)) == pytest.approx(1, abs=1e-12)


def test_the_halves_of_a_ghz_state_agree_in_z_whatever_the_first_shows() -> None:
    for uniform, bit in ((0.49, 0), (0.51, 1)):
        state = ghz(4)
        assert [state.measure(qubit, "Z", uniform) for qubit in (2, 0, 3, 1)] == [bit] * 4


@pytest.mark.parametrize("basis", ["X", "Y", "Z"])
@pytest.mark.parametrize("bit", [0, 1])
def test_an_impossible_outcome_is_never_drawn(basis: Basis, bit: int) -> None:
    psi = eigenstate(basis, bit)
    for uniform in (0.0, 1e-300, 0.5, 1 - 2**-53):
        state = JointState()
        state.add(np.outer(psi, psi.conj()), [7])
        assert state.measure(7, basis, uniform) == bit


@pytest.mark.parametrize("rounding", [1e-17, 5e-13])
def test_a_probability_that_is_a_rounding_error_is_never_drawn(rounding: float) -> None:
    for bit, uniform in ((0, 1 - 2**-53), (1, 0.0)):
        populations = [1 - rounding, rounding] if bit == 0 else [rounding, 1 - rounding]
        state = JointState()
        state.add(np.diag(populations), [0])
        assert state.measure(0, "Z", uniform) == bit


def test_a_rare_outcome_is_not_a_rounding_error() -> None:
    state = JointState()
    state.add(np.diag([1e-9, 1 - 1e-9]), [0])
    assert state.measure(0, "Z", 0.5e-9) == 0


def test_outcome_zero_needs_a_number_strictly_below_its_probability() -> None:
    for uniform, bit in ((np.nextafter(0.25, 0), 0), (0.25, 1)):
        state = JointState()
        state.add(np.diag([0.25, 0.75]), [0])
        assert state.measure(0, "Z", uniform) == bit


def test_outcome_zero_is_drawn_exactly_below_its_probability() -> None:
    for angle in np.linspace(0.1, 3.0, 12):
        p0 = np.cos(angle / 2) ** 2
        for uniform, bit in ((p0 - 1e-9, 0), (p0 + 1e-9, 1)):
            state = JointState()
            state.add(ZERO, [0])
            state.apply(gates.ry(angle), [0])
            assert state.measure(0, "Z", uniform) == bit


def test_reduced_lists_qubits_in_the_order_asked_and_across_clusters() -> None:
    state = JointState()
    state.add(np.kron(ZERO, np.diag([0.25, 0.75])), [10, 11])
    state.add(np.diag([0.1, 0.9]), [5])
    np.testing.assert_allclose(
        state.reduced([11, 5, 10]).diagonal(),
        np.kron(np.kron([0.25, 0.75], [0.1, 0.9]), [1, 0]),
        atol=1e-15,
    )
    assert state.clusters == 2


def test_reduced_cannot_be_used_to_change_the_state() -> None:
    state = JointState()
    state.add(ZERO, [0])
    state.reduced([0])[:] = 0
    np.testing.assert_array_equal(state.reduced([0]), ZERO)


def test_the_state_does_not_share_memory_with_what_was_added() -> None:
    rho = ZERO.astype(np.complex128)
    state = JointState()
    state.add(rho, [0])
    rho[:] = 0.5
    np.testing.assert_array_equal(state.reduced([0]), ZERO)


REFUSED: dict[str, tuple[Operation, type[EngineError]]] = {
    "gate on no qubit": (lambda s: s.apply(gates.X, []), InvalidOperator),
    "gate on a stranger": (lambda s: s.apply(gates.CNOT, [0, 99]), UnknownQubit),
    "gate on one qubit twice": (lambda s: s.apply(gates.CNOT, [0, 0]), InvalidOperator),
    "one-qubit gate on two": (lambda s: s.apply(gates.X, [0, 2]), InvalidOperator),
    "two-qubit gate on one": (lambda s: s.apply(gates.CNOT, [0]), InvalidOperator),
    "unitary as a channel": (lambda s: s.apply_channel(gates.X, [0]), InvalidOperator),
    "channel on a stranger": (lambda s: s.apply_channel(channels.dephasing(0.1), [99]), UnknownQubit),
    "depolarising too much": (lambda s: s.depolarise(1.1, [0]), InvalidOperator),
    "measuring a stranger": (lambda s: s.measure(99, "Z", 0.5), UnknownQubit),
    "bell measurement of a stranger": (lambda s: s.bell_measure(0, 99, 0.5), UnknownQubit),
    "bell measurement of one qubit": (lambda s: s.bell_measure(0, 0, 0.5), InvalidOperator),
    "discarding a stranger": (lambda s: s.discard(99), UnknownQubit),
    "looking at a stranger": (lambda s: s.reduced([0, 99]), UnknownQubit),
    "looking twice at one qubit": (lambda s: s.reduced([0, 0]), InvalidOperator),
    "cluster of a stranger": (lambda s: s.cluster_of(99), UnknownQubit),
    "adding a qubit twice": (lambda s: s.add(ZERO, [0]), InvalidState),
    "adding two of one name": (lambda s: s.add(PHI_PLUS, [8, 8]), InvalidState),
    "adding a state that does not fit": (lambda s: s.add(PHI_PLUS, [8]), InvalidState),
    "adding a state of trace 2": (lambda s: s.add(np.eye(2), [8]), InvalidState),
    "adding what is no number": (lambda s: s.add(np.full((2, 2), np.nan), [8]), InvalidState),
    "adding nothing": (lambda s: s.add([[1]], []), InvalidState),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_operation_changes_nothing(case: str) -> None:
    operation, error = REFUSED[case]
    state = JointState()
    state.add(PHI_PLUS, [0, 1])
    state.add(ZERO, [2])
    before = state.reduced([0, 1, 2])
    with pytest.raises(error):
        operation(state)
    assert (len(state), state.clusters) == (3, 2)
    np.testing.assert_array_equal(state.reduced([0, 1, 2]), before)


@pytest.mark.parametrize(
    "operation",
    [
        lambda s: s.apply(gates.CNOT, [0, 8]),
        lambda s: s.apply_channel(channels.two_qubit_depolarising(0.1), [8, 0]),
        lambda s: s.depolarise(0.1, [0, 8]),
        lambda s: s.bell_measure(0, 8, 0.5),
        lambda s: s.add(ZERO, range(100, 140)),
        lambda s: s.reduced(range(16)),
    ],
)
def test_a_cluster_beyond_the_limit_is_refused_before_memory_is_taken(operation: Operation) -> None:
    state = JointState(max_qubits=12)
    mixed = np.eye(2**8) / 2**8
    state.add(mixed, range(8))
    state.add(mixed, range(8, 16))
    tracemalloc.start()
    try:
        with pytest.raises(ClusterTooLarge) as refusal:
            operation(state)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000
    assert (len(state), state.clusters) == (16, 2)
    assert refusal.value.limit == 12
    assert ", ".join(map(str, refusal.value.qubits)) in str(refusal.value)


def test_a_cluster_of_exactly_the_limit_is_allowed() -> None:
    state = ghz(5, max_qubits=5)
    state.add(ZERO, [5])
    with pytest.raises(ClusterTooLarge, match="0, 1, 2, 3, 4, 5 would make one cluster of 6"):
        state.apply(gates.CNOT, [0, 5])
    state.measure(4, "X", 0.2)
    state.apply(gates.CNOT, [0, 5])
    assert len(state.cluster_of(5)) == 5


def test_an_unknown_qubit_is_named_in_the_error() -> None:
    with pytest.raises(UnknownQubit, match="qubit 41 does not exist"):
        JointState().measure(41, "Z", 0.5)


def test_a_hundred_thousand_gates_leave_the_state_normalised() -> None:
    state = JointState()
    state.add(PHI_PLUS, [0, 1])
    turn = gates.rx(0.7) @ gates.rz(0.3)
    for _ in range(50_000):
        state.apply(turn, [1])
        state.apply(gates.CNOT, [1, 0])
    rho = state.reduced([0, 1])
    assert rho.trace() == pytest.approx(1, abs=1e-9)
    assert np.linalg.eigvalsh(rho).min() > -1e-9
