"""Imperfect operations: what a stated fidelity does to a state."""

from __future__ import annotations

import numpy as np
import pytest

from shared_state.config import GateConfig
from shared_state.engine import gates
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity
from shared_state.world.operations import add_gate_noise, readout, single_gate_noise, two_gate_noise

FIDELITIES = [0.25, 0.5, 0.9, 0.99, 0.999, 1.0]
PHI_PLUS = bell_state(0, 0)


def pair() -> JointState:
    state = JointState()
    state.add(np.outer(PHI_PLUS, PHI_PLUS), [0, 1])
    return state


@pytest.mark.parametrize("f", FIDELITIES)
def test_a_one_qubit_gate_has_the_stated_entanglement_fidelity(f: float) -> None:
    state = pair()
    state.apply(gates.X, [0])
    add_gate_noise(state, GateConfig(single_fidelity=f, two_fidelity=0.5), [0])
    assert fidelity(state.reduced([0, 1]), bell_state(1, 0)) == pytest.approx(f, abs=1e-12)


@pytest.mark.parametrize("g", FIDELITIES)
def test_a_two_qubit_gate_leaves_its_ideal_result_with_weight_g(g: float) -> None:
    state = pair()
    state.apply(gates.CNOT, [0, 1])
    ideal = state.reduced([0, 1])
    add_gate_noise(state, GateConfig(single_fidelity=0.5, two_fidelity=g), [0, 1])
    np.testing.assert_allclose(state.reduced([0, 1]), g * ideal + (1 - g) * np.eye(4) / 4, atol=1e-12)


@pytest.mark.parametrize("g", FIDELITIES)
@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_gate_on_many_qubits_generalises_the_two_qubit_convention(g: float, count: int) -> None:
    state = JointState()
    size = 2**count
    psi = np.arange(1, size + 1) / np.linalg.norm(np.arange(1, size + 1))
    state.add(np.outer(psi, psi), range(count))
    ideal = state.reduced(range(count))
    add_gate_noise(state, GateConfig(two_fidelity=g), range(count))
    expected = g * ideal + (1 - g) * np.eye(size) / size
    np.testing.assert_allclose(state.reduced(range(count)), expected, atol=1e-12)


def test_perfect_gates_have_no_noise_to_apply() -> None:
    assert single_gate_noise(GateConfig()) is None
    assert two_gate_noise(GateConfig()) is None


def test_a_shared_noise_channel_cannot_be_changed_by_who_asked_for_it() -> None:
    noise = single_gate_noise(GateConfig(single_fidelity=0.9))
    assert noise is not None
    with pytest.raises(ValueError, match="read-only"):
        noise[0, 0] = 0


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("f", [0.5, 0.9, 1.0])
def test_an_outcome_is_reported_as_it_was_with_the_readout_fidelity(bit: int, f: float) -> None:
    gate_config = GateConfig(readout_error_0=1 - f, readout_error_1=1 - f)
    reported = [readout(bit, gate_config, uniform) for uniform in np.arange(1000) / 1000]
    assert reported.count(bit) == round(1000 * f)
