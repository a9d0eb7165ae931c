"""Random Clifford circuits agree with stim, an independent simulator of stabiliser states.

Noise is excluded (stim samples it, the engine does not); gates, merges, measurements in every basis and resets by
measuring and adding a new qubit are not. The engine draws the outcome, stim is told to have found the same. Clusters
have up to 11 qubits: 12, the most there can be, take seconds.
"""

from __future__ import annotations

import numpy as np
import pytest
import stim
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared_state.engine import gates
from shared_state.engine.bases import Basis
from shared_state.engine.joint_state import JointState

BASES: tuple[Basis, ...] = ("X", "Y", "Z")
ZERO = np.diag([1.0, 0.0])


def expectation(rho: NDArray[np.complex128], letters: str) -> float:
    """Return tr(P rho) of a Pauli string: P |c> = i^(Ys) (-1)^(ones of c where P has Y or Z) |c ^ flips>."""
    flips, signs = (int("".join("01"[letter in which] for letter in letters), 2) for which in ("XY", "YZ"))
    columns = np.arange(len(rho))
    phases = 1j ** letters.count("Y") * (-1.0) ** np.bitwise_count(columns & signs)
    return float((phases * rho[columns, columns ^ flips]).sum().real)


class Both:
    """The same qubits in the engine and in stim."""

    def __init__(self, qubits: int, rng: np.random.Generator) -> None:
        self.qubits = qubits
        self.rng = rng
        self.state = JointState()
        self.stim = stim.TableauSimulator()
        self.stim.set_num_qubits(qubits)
        for qubit in range(qubits):
            self.state.add(ZERO, [qubit])

    def gate(self) -> None:
        name = str(self.rng.choice(["x", "y", "z", "h", "s", "cnot", "cz", "swap"]))
        self.apply(name, self.some(2 if name in ("cnot", "cz", "swap") else 1))

    def apply(self, name: str, targets: list[int]) -> None:
        self.state.apply(gates.unitary(name), targets)
        self.stim.do(stim.Circuit(f"{name.upper()} {' '.join(map(str, targets))}"))

    def entangle(self) -> None:
        """Make one cluster of all qubits, growing from small ones."""
        for qubit in range(self.qubits):
            self.apply("h", [qubit])
            self.apply("s", [qubit])
        for last in range(1, self.qubits):
            self.apply("cz", [int(self.rng.integers(last)), last])

    def measure(self) -> None:
        """Measure one qubit, which leaves, and put |0> in its place."""
        qubit, basis = int(self.rng.integers(self.qubits)), BASES[self.rng.integers(3)]
        expected = self.stim.peek_observable_expectation(self.pauli({qubit: basis}))
        bit = self.state.measure(qubit, basis, float(self.rng.choice([0.25, 0.75])))
        assert expected in (0, 1 - 2 * bit)
        assert qubit not in self.state
        self.stim.postselect_observable(self.pauli({qubit: basis}), desired_value=bool(bit))
        self.stim.reset(qubit)
        self.state.add(ZERO, [qubit])

    def bell_measure(self) -> None:
        first, second = self.some(2)
        x, z = self.state.bell_measure(first, second, float(self.rng.choice([0.125, 0.375, 0.625, 0.875])))
        for basis, bit in (("Z", x), ("X", z)):
            joint = self.pauli({first: basis, second: basis})
            self.stim.postselect_observable(joint, desired_value=bool(bit))
        self.stim.reset(first, second)
        for qubit in (first, second):
            self.state.add(ZERO, [qubit])

    def some(self, count: int) -> list[int]:
        return [int(qubit) for qubit in self.rng.permutation(self.qubits)[:count]]

    def pauli(self, at: dict[int, str]) -> stim.PauliString:
        return stim.PauliString("".join(at.get(qubit, "_") for qubit in range(self.qubits)))

    def compare(self) -> None:
        """Compare the whole state by its generators, one for each qubit, and parts by random Pauli strings."""
        rho = self.state.reduced(range(self.qubits))
        for generator in self.stim.canonical_stabilizers():
            letters = str(generator)[1:]
            assert abs(expectation(rho, letters) - generator.sign.real) < 1e-9
        for count in (1, 2, 3):
            qubits = self.some(min(count, self.qubits))
            rho = self.state.reduced(qubits)
            for strings in self.rng.choice(["X", "Y", "Z"], (8, len(qubits))).tolist():
                expected = self.stim.peek_observable_expectation(
                    self.pauli(dict(zip(qubits, strings, strict=True)))
                )
                assert abs(expectation(rho, "".join(strings)) - expected) < 1e-9


def run(both: Both, operations: int) -> None:
    for kind in both.rng.choice(["gate", "measure", "bell"], operations, p=[0.86, 0.1, 0.04]):
        match kind:
            case "gate":
                both.gate()
            case "measure":
                both.measure()
            case "bell":
                both.bell_measure()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), qubits=st.integers(2, 6))
def test_a_random_clifford_circuit_gives_the_stabiliser_state(seed: int, qubits: int) -> None:
    both = Both(qubits, np.random.default_rng(seed))
    run(both, 40)
    both.compare()


@pytest.mark.parametrize(("qubits", "operations"), [(10, 40), (11, 20)])
def test_so_does_one_on_a_large_cluster(qubits: int, operations: int) -> None:
    both = Both(qubits, np.random.default_rng(qubits))
    both.entangle()
    assert len(both.state.cluster_of(0)) == qubits
    run(both, operations)
    both.compare()
