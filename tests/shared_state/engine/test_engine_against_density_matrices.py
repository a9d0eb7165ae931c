"""Random noisy circuits agree with qutip, an independent simulator of density matrices.

Gates are qutip's own; noise is a solution of its Lindblad equation, not a list of Kraus operators; the qubits are
clusters here and one matrix there. Outcomes are forced, within 1e-9 of the edge of their probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import exp, log
from typing import Any

import numpy as np
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_state.engine import aging, channels, gates
from shared_state.engine.bases import Basis
from shared_state.engine.channels import Channel
from shared_state.engine.joint_state import JointState

ONE, X, Y, Z = qutip.qeye(2), qutip.sigmax(), qutip.sigmay(), qutip.sigmaz()
PAULIS: Mapping[Basis, Any] = {"X": X, "Y": Y, "Z": Z}
BASES: tuple[Basis, ...] = ("X", "Y", "Z")
BELL = [qutip.bell_state(name) for name in ("00", "01", "10", "11")]
SINGLE: Mapping[str, Any] = {
    "x": X, "y": Y, "z": Z, "h": qutip.gates.hadamard_transform(),
    "s": qutip.gates.s_gate(), "t": qutip.gates.t_gate(),
}  # fmt: skip
DOUBLE: Mapping[str, Any] = {
    "cnot": qutip.gates.cnot(), "cz": qutip.gates.cz_gate(), "swap": qutip.gates.swap(),
}  # fmt: skip
ROTATIONS: Mapping[str, Callable[[float], Any]] = {
    "rx": qutip.gates.rx, "ry": qutip.gates.ry, "rz": qutip.gates.rz,
}  # fmt: skip
STRENGTHS = (0.03, 0.2, 0.45)
SHARES = (0.4, 0.12, 0.3, 0.08, 0.05, 0.05)
LIKELY = 0.05  # rarer outcomes are not forced: each would cost the comparison digits


@cache
def noise(name: str, p: float) -> tuple[int, Channel, list[Any]]:
    """Return on how many qubits it acts, the engine's channel, and Kraus operators of the Lindblad solution."""
    match name:
        case "amplitude damping":
            return 1, channels.amplitude_damping(p), lindblad([qutip.destroy(2)], -log(1 - p))
        case "dephasing":
            return 1, channels.dephasing(p), lindblad([Z], -log(1 - 2 * p) / 2)
        case "dephasing factor":
            return 1, channels.dephasing_factor(exp(-2 * p)), lindblad([Z], p)
        case "depolarising":
            return 1, channels.depolarising(p), lindblad([X, Y, Z], -log(1 - p) / 4)
        case "two-qubit depolarising":
            jumps = [qutip.tensor(a, b) for a in (ONE, X, Y, Z) for b in (ONE, X, Y, Z)]
            return 2, channels.two_qubit_depolarising(p), lindblad(jumps, -log(1 - p) / 16)
        case _:
            t1, t2 = 0.8, 0.5
            decay = [t1**-0.5 * qutip.destroy(2), ((1 / t2 - 1 / (2 * t1)) / 2) ** 0.5 * Z]
            relaxation = aging.relaxation(t1, t2, p)
            assert relaxation is not None
            return 1, relaxation, lindblad(decay, p)


NOISES = (
    "amplitude damping",
    "dephasing",
    "dephasing factor",
    "depolarising",
    "two-qubit depolarising",
    "T1/T2",
)


def lindblad(jumps: Sequence[Any], time: float) -> list[Any]:
    return list(qutip.to_kraus((qutip.liouvillian(None, jumps) * time).expm(), tol=1e-13))


class Both:
    """The same qubits in the engine and in qutip, where ``labels`` names them, the most significant first."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.state = JointState()
        self.labels: list[int] = []
        self.rho: Any = None
        self.fresh = 0

    def add(self, count: int) -> None:
        """Add a random state of so many qubits, mixed and entangled, as a cluster of its own."""
        new = qutip.rand_dm([2] * count, seed=self.rng)
        self.state.add(new.full(), range(self.fresh, self.fresh + count))
        self.rho = qutip.tensor(self.rho, new) if self.labels else new
        self.labels += range(self.fresh, self.fresh + count)
        self.fresh += count

    def some(self, count: int) -> list[int]:
        return [int(label) for label in self.rng.permutation(self.labels)[:count]]

    def embed(self, operator: Any, qubits: Sequence[int]) -> Any:
        targets = [self.labels.index(qubit) for qubit in qubits]
        return qutip.expand_operator(operator, dims=[2] * len(self.labels), targets=targets)

    def kraus(self, operators: Sequence[Any], qubits: Sequence[int]) -> None:
        embedded = [self.embed(operator, qubits) for operator in operators]
        self.rho = sum(k @ self.rho @ k.dag() for k in embedded)

    def gate(self) -> None:
        names = [*SINGLE, *ROTATIONS, *(DOUBLE if len(self.labels) > 1 else ())]
        name = str(self.rng.choice(names))
        angles = [float(self.rng.uniform(-7, 7))] if name in ROTATIONS else []
        qubits = self.some(2 if name in DOUBLE else 1)
        operator = ROTATIONS[name](*angles) if angles else (SINGLE.get(name) or DOUBLE[name])
        self.state.apply(gates.unitary(name, angles), qubits)
        self.kraus([operator], qubits)

    def unitary(self) -> None:
        """Apply a random unitary to any number of qubits."""
        qubits = self.some(int(self.rng.integers(1, min(3, len(self.labels)) + 1)))
        operator = qutip.rand_unitary([2] * len(qubits), seed=self.rng)
        self.state.apply(operator.full(), qubits)
        self.kraus([operator], qubits)

    def noise(self) -> None:
        count, channel, operators = noise(str(self.rng.choice(NOISES)), float(self.rng.choice(STRENGTHS)))
        if count <= len(self.labels):
            qubits = self.some(count)
            self.state.apply_channel(channel, qubits)
            self.kraus(operators, qubits)

    def measure(self) -> None:
        (qubit,), basis = self.some(1), BASES[self.rng.integers(3)]
        bit, uniform = self.force([(ONE + PAULIS[basis]) / 2, (ONE - PAULIS[basis]) / 2], [qubit])
        assert self.state.measure(qubit, basis, uniform) == bit

    def bell_measure(self) -> None:
        first, second = self.some(2)
        outcome, uniform = self.force([psi.proj() for psi in BELL], [first, second])
        assert self.state.bell_measure(first, second, uniform) == (outcome >> 1, outcome & 1)

    def force(self, projectors: Sequence[Any], qubits: list[int]) -> tuple[int, float]:
        """Project and remove; return a likely outcome and a number just inside its share of the unit interval."""
        embedded = [self.embed(projector, qubits) for projector in projectors]
        weights = [float((projector @ self.rho).tr().real) for projector in embedded]
        outcome = int(self.rng.choice([i for i, weight in enumerate(weights) if weight > LIKELY]))
        lower = sum(weights[:outcome])
        uniform = lower + 1e-9 if self.rng.integers(2) else lower + weights[outcome] - 1e-9
        self.rho = embedded[outcome] @ self.rho @ embedded[outcome] / weights[outcome]
        self.keep([label for label in self.labels if label not in qubits])
        return outcome, uniform

    def discard(self) -> None:
        (qubit,) = self.some(1)
        self.state.discard(qubit)
        self.keep([label for label in self.labels if label != qubit])

    def keep(self, qubits: list[int]) -> None:
        self.rho = self.rho.ptrace([self.labels.index(qubit) for qubit in qubits]) if qubits else None
        self.labels = qubits

    def compare(self) -> None:
        for count in {1, len(self.labels)}:
            qubits = self.some(count)
            at = [self.labels.index(qubit) for qubit in qubits]
            ordered = self.rho.ptrace(sorted(at)).permute([sorted(at).index(i) for i in at])
            np.testing.assert_allclose(self.state.reduced(qubits), ordered.full(), atol=1e-9)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 5), depth=st.integers(1, 30))
def test_a_random_noisy_circuit_gives_the_density_matrix(seed: int, most: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    both = Both(rng)
    for _ in range(depth):
        room = most - len(both.labels)
        if not both.labels or (room and rng.random() < 0.4):
            both.add(int(rng.integers(1, min(room, 2) + 1)))
            continue
        match rng.choice(["gate", "unitary", "noise", "measure", "bell", "discard"], p=SHARES):
            case "gate":
                both.gate()
            case "unitary":
                both.unitary()
            case "noise":
                both.noise()
            case "measure":
                both.measure()
            case "bell" if len(both.labels) > 1:
                both.bell_measure()
            case "discard":
                both.discard()
    assert {label for label in range(both.fresh) if label in both.state} == set(both.labels)
    if both.labels:
        both.compare()
