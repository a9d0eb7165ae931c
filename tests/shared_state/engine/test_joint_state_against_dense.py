"""The factored state agrees with a plain simulator that keeps one matrix for everything.

The reference shares no code with the engine: operators are embedded element by element, noise is a list of
Kraus operators, measurements are projectors, the partial trace is a sum over basis states.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared_state.engine import channels, gates
from shared_state.engine.bases import Basis
from shared_state.engine.joint_state import JointState

Matrix = NDArray[np.complex128]
MAX_QUBITS = 5


def vector(*amplitudes: complex) -> Matrix:
    psi = np.array(amplitudes, dtype=np.complex128)
    psi /= np.linalg.norm(psi)
    return psi


STATES: dict[Basis, list[Matrix]] = {
    "X": [vector(1, 1), vector(1, -1)],
    "Y": [vector(1, 1j), vector(1, -1j)],
    "Z": [vector(1, 0), vector(0, 1)],
}
BELL = [vector(1, 0, 0, 1), vector(1, 0, 0, -1), vector(0, 1, 1, 0), vector(0, -1, 1, 0)]


class Dense:
    """All qubits in one density matrix, the first label most significant."""

    def __init__(self) -> None:
        self.labels: list[int] = []
        self.rho: Matrix = np.ones((1, 1), dtype=np.complex128)

    def embed(self, operator: Matrix, qubits: Sequence[int]) -> Matrix:
        at = [self.labels.index(qubit) for qubit in qubits]
        n = len(self.labels)
        full = np.zeros((2**n, 2**n), dtype=np.complex128)
        for column in product((0, 1), repeat=n):
            for image in product((0, 1), repeat=len(at)):
                row = list(column)
                for position, bit in zip(at, image, strict=True):
                    row[position] = bit
                full[number(row), number(column)] = operator[number(image), number(column[i] for i in at)]
        return full

    def kraus(self, operators: Iterable[Matrix], qubits: Sequence[int]) -> None:
        embedded = [self.embed(operator, qubits) for operator in operators]
        self.rho = np.sum([k @ self.rho @ k.conj().T for k in embedded], axis=0)

    def project(self, states: Sequence[Matrix], qubits: Sequence[int], uniform: float) -> int:
        projectors = [self.embed(np.outer(psi, psi.conj()), qubits) for psi in states]
        weights = [float((p @ self.rho).trace().real) for p in projectors]
        outcome = int(np.searchsorted(np.cumsum(weights), uniform, side="right"))
        self.rho = projectors[outcome] @ self.rho @ projectors[outcome] / weights[outcome]
        self.keep([label for label in self.labels if label not in qubits])
        return outcome

    def keep(self, qubits: Sequence[int]) -> None:
        self.rho = self.reduced(qubits)
        self.labels = list(qubits)

    def reduced(self, qubits: Sequence[int]) -> Matrix:
        at = [self.labels.index(qubit) for qubit in qubits]
        others = [i for i in range(len(self.labels)) if i not in at]
        size = 2 ** len(at)
        reduced = np.zeros((size, size), dtype=np.complex128)
        for row, column in product(product((0, 1), repeat=len(at)), repeat=2):
            for rest in product((0, 1), repeat=len(others)):
                left, right = (merged(at, bits, others, rest) for bits in (row, column))
                reduced[number(row), number(column)] += self.rho[left, right]
        return reduced


def number(bits: Iterable[int]) -> int:
    return int("".join(map(str, bits)) or "0", 2)


def merged(at: Sequence[int], bits: Sequence[int], others: Sequence[int], rest: Sequence[int]) -> int:
    by_position = dict(zip([*at, *others], [*bits, *rest], strict=True))
    return number(by_position[i] for i in range(len(by_position)))


@dataclass(frozen=True)
class Step:
    """One random operation; ``first`` and ``second`` select from the qubits there are."""

    kind: str
    first: int
    second: int
    angle: float
    uniform: float
    basis: Basis


UNIFORMS = st.integers(0, 999).map(lambda k: (k + 0.41421356) / 1000)  # never at a probability such as 1/2
STEPS = st.builds(
    Step,
    kind=st.sampled_from(
        ["add", "rotate", "cnot", "unitary", "damp", "depolarise", "measure", "bell", "discard"]
    ),
    first=st.integers(0, 99),
    second=st.integers(0, 99),
    angle=st.floats(-3, 3),
    uniform=UNIFORMS,
    basis=st.sampled_from(["X", "Y", "Z"]),
)


def random_unitary(seed: int, qubits: int) -> Matrix:
    rng = np.random.default_rng(seed)
    size = 2**qubits
    return np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))).Q


def add_to_both(step: Step, state: JointState, dense: Dense, fresh: int) -> None:
    count = 1 + step.second % 2
    psi = random_unitary(step.first, count)[:, 0]
    rho = 0.8 * np.outer(psi, psi.conj()) + 0.2 * np.eye(2**count) / 2**count
    state.add(rho, range(fresh, fresh + count))
    dense.rho = np.kron(dense.rho, rho)
    dense.labels += range(fresh, fresh + count)


def act_on_one(step: Step, state: JointState, dense: Dense, a: int) -> None:
    match step.kind:
        case "rotate":
            gate = gates.rx(step.angle) @ gates.rz(step.uniform)
            state.apply(gate, [a])
            dense.kraus([gate], [a])
        case "damp":
            gamma = step.uniform
            state.apply_channel(channels.amplitude_damping(gamma), [a])
            keep = np.array([[1, 0], [0, sqrt(1 - gamma)]], dtype=np.complex128)
            decay = np.array([[0, sqrt(gamma)], [0, 0]], dtype=np.complex128)
            dense.kraus([keep, decay], [a])
        case "measure":
            assert state.measure(a, step.basis, step.uniform) == dense.project(
                STATES[step.basis], [a], step.uniform
            )
        case "discard":
            state.discard(a)
            dense.keep([label for label in dense.labels if label != a])


def act_on_several(step: Step, state: JointState, dense: Dense, chosen: list[int]) -> None:
    a, b = chosen[:2]
    match step.kind:
        case "cnot":
            state.apply(gates.CNOT, [a, b])
            dense.kraus([gates.CNOT], [a, b])
        case "unitary":
            unitary = random_unitary(step.first, len(chosen))
            state.apply(unitary, chosen)
            dense.kraus([unitary], chosen)
        case "depolarise":
            p = step.uniform
            paulis = [np.eye(2, dtype=np.complex128), gates.X, gates.Y, gates.Z]
            pairs = [np.kron(left, right).astype(np.complex128) for left in paulis for right in paulis]
            if step.first % 2:
                state.depolarise(p, [a, b])
            else:
                state.apply_channel(channels.two_qubit_depolarising(p), [a, b])
            dense.kraus(
                [sqrt(1 - p) * np.eye(4, dtype=np.complex128), *(sqrt(p) / 4 * pair for pair in pairs)],
                [a, b],
            )
        case "bell":
            x, z = state.bell_measure(a, b, step.uniform)
            assert 2 * x + z == dense.project(BELL, [a, b], step.uniform)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=14), order=st.integers(0, 999))
def test_any_sequence_of_operations_gives_the_dense_state_and_the_same_outcomes(
    steps: list[Step], order: int
) -> None:
    state, dense, fresh = JointState(), Dense(), 0
    for step in steps:
        labels = dense.labels
        if step.kind == "add" or not labels:
            if len(labels) + 2 <= MAX_QUBITS:
                add_to_both(step, state, dense, fresh)
                fresh += 2
        elif step.kind in ("rotate", "damp", "measure", "discard"):
            act_on_one(step, state, dense, labels[step.first % len(labels)])
        elif len(labels) > 1:
            ranked = sorted(labels, key=lambda label: (label * 37 + step.first * 11 + step.second) % 101)
            act_on_several(step, state, dense, ranked[: 2 + step.second % 2])
    shuffled = [int(label) for label in np.random.default_rng(order).permutation(dense.labels)]
    assert set(shuffled) == {label for label in range(fresh) if label in state}
    if shuffled:
        rho = state.reduced(shuffled)
        np.testing.assert_allclose(rho, dense.reduced(shuffled), atol=1e-9)
        np.testing.assert_allclose(state.reduced(shuffled[:2]), dense.reduced(shuffled[:2]), atol=1e-9)
        assert abs(rho.trace() - 1) < 1e-9
        np.testing.assert_allclose(rho, rho.conj().T, atol=1e-12)
        assert np.linalg.eigvalsh(rho).min() > -1e-12


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), p=st.floats(0, 1), count=st.integers(1, 4))
def test_depolarising_any_number_of_qubits_replaces_exactly_those(seed: int, p: float, count: int) -> None:
    psi = random_unitary(seed, 4)[:, 0]
    state = JointState()
    state.add(np.outer(psi, psi.conj()), range(4))
    chosen = [int(i) for i in np.random.default_rng(seed).permutation(4)]
    hit, spared = chosen[:count], chosen[count:]
    before = state.reduced(chosen)
    rest = state.reduced(spared) if spared else np.ones((1, 1))
    state.depolarise(p, hit)
    expected = (1 - p) * before + p * np.kron(np.eye(2**count) / 2**count, rest)
    np.testing.assert_allclose(state.reduced(chosen), expected, atol=1e-12)
