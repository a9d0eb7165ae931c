"""Gates: each name is the textbook matrix, and nothing but a unitary passes for one."""

from __future__ import annotations

from math import inf, nan, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_state.engine import gates
from shared_state.engine.errors import InvalidOperator

ANGLES = st.floats(-10, 10)
FIXED = ["x", "y", "z", "h", "s", "t", "cnot", "cz", "swap"]
PAULIS = {"rx": gates.X, "ry": gates.Y, "rz": gates.Z}


@pytest.mark.parametrize("name", FIXED)
def test_a_named_gate_is_unitary_and_cannot_be_changed(name: str) -> None:
    gate = gates.unitary(name)
    gates.check_unitary(gate)
    with pytest.raises(ValueError, match="read-only"):
        gate[0, 0] = 2


@settings(deadline=None)
@given(angle=ANGLES, name=st.sampled_from(sorted(PAULIS)))
def test_a_rotation_is_the_exponential_of_its_pauli(angle: float, name: str) -> None:
    expected = np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULIS[name]
    np.testing.assert_allclose(gates.unitary(name, [angle]), expected, atol=1e-15)


def test_the_single_qubit_gates_obey_their_algebra() -> None:
    x, y, z, h, s, t = (gates.unitary(name) for name in "xyzhst")
    np.testing.assert_allclose(x @ y, 1j * z, atol=1e-15)
    np.testing.assert_allclose(h @ z @ h, x, atol=1e-15)
    np.testing.assert_allclose(s @ s, z, atol=1e-15)
    np.testing.assert_allclose(t @ t, s, atol=1e-15)
    np.testing.assert_allclose(s @ x @ s.conj().T, y, atol=1e-15)


def test_the_first_qubit_of_cnot_is_the_control_and_the_most_significant() -> None:
    images = [int(np.argmax(np.abs(gates.CNOT[:, column]))) for column in range(4)]
    assert images == [0b00, 0b01, 0b11, 0b10]


def test_cz_is_cnot_seen_through_hadamards_and_swap_is_three_cnots() -> None:
    h_on_target = np.kron(np.eye(2), gates.H)
    np.testing.assert_allclose(h_on_target @ gates.CNOT @ h_on_target, gates.CZ, atol=1e-15)
    reverse = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]])
    np.testing.assert_allclose(gates.CNOT @ reverse @ gates.CNOT, gates.SWAP, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "angles", "sentence"),
    [
        ("cx", [], "there is no gate 'cx'; there are x y z"),
        ("H", [], "there is no gate 'H'"),
        ("h", [0.1], "'h' takes no angle, and 1 were given"),
        ("rx", [], "'rx' takes one finite angle"),
        ("rx", [1.0, 2.0], "'rx' takes one finite angle"),
        ("rz", [nan], "'rz' takes one finite angle"),
        ("ry", [inf], "'ry' takes one finite angle"),
    ],
)
def test_what_is_no_gate_is_refused_with_a_sentence(name: str, angles: list[float], sentence: str) -> None:
    with pytest.raises(InvalidOperator, match=sentence):
        gates.unitary(name, angles)


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        ([[1, 1], [1, 1]], "not unitary"),
        ([[1, 0], [0, 1 + 1e-8]], "not unitary"),
        ([[1, 0], [0, nan]], "not finite"),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], "shape"),
        ([[1, 0, 0, 0], [0, 1, 0, 0]], "shape"),
        ([[1]], "shape"),
        ([1, 0], "shape"),
        (1, "shape"),
        ([], "shape"),
    ],
)
def test_what_is_no_unitary_is_refused_with_a_sentence(matrix: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        gates.check_unitary(np.array(matrix))


def test_a_unitary_passes_whatever_its_size_and_kind() -> None:
    rng = np.random.default_rng(3)
    for qubits in (1, 2, 3, 4):
        size = 2**qubits
        gaussian = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
        unitary = np.linalg.qr(gaussian).Q
        np.testing.assert_array_equal(gates.check_unitary(unitary), unitary)
    assert (
        gates.check_unitary([[1 / sqrt(2), 1 / sqrt(2)], [1 / sqrt(2), -1 / sqrt(2)]]).dtype == np.complex128
    )


def test_a_full_turn_is_minus_one() -> None:
    np.testing.assert_allclose(gates.rx(2 * pi), -np.eye(2), atol=1e-15)
