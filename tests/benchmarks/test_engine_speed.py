"""What operations on one cluster cost, as ratios to a pass over its array in plain numpy. Writes, never gates."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.engine import channels, gates, kernels
from shared_state.engine.aging import relaxation
from shared_state.engine.joint_state import JointState

Matrix = NDArray[np.complex128]
LARGE, SMALL = 10, 4
POSITIONS = [(0, 1), (3, 5), (0, 9), (7, 8), (8, 9)]


def mixed(qubits: int) -> JointState:
    state = JointState()
    state.add(np.eye(2**qubits) / 2**qubits, range(qubits))
    return state


def operations(state: JointState) -> dict[str, Callable[[int, int], None]]:
    rng = np.random.default_rng(0)
    general, _ = np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))
    aging = relaxation(1.0, 0.5, 1e-3)
    assert aging is not None
    both = channels.two_qubit_depolarising(0.01)
    return {
        "cnot": lambda a, b: state.apply(gates.CNOT, [a, b]),
        "cz": lambda a, b: state.apply(gates.CZ, [a, b]),
        "swap": lambda a, b: state.apply(gates.SWAP, [a, b]),
        "x": lambda _, b: state.apply(gates.X, [b]),
        "h": lambda _, b: state.apply(gates.H, [b]),
        "unitary on two": lambda a, b: state.apply(general, [a, b]),
        "T1/T2": lambda _, b: state.apply_channel(aging, [b]),
        "depolarise two": lambda a, b: state.apply_channel(both, [a, b]),
    }


def duration(operation: Callable[[], object]) -> float:
    began = perf_counter()
    operation()
    return perf_counter() - began


def done(state: JointState, operation: Callable[[int, int], None], a: int, b: int) -> None:
    """Do an operation and the work that it leaves."""
    operation(a, b)
    state.work_off()


def in_passes(operation: Callable[[], object], source: Matrix, target: Matrix, rounds: int = 15) -> float:
    """Return the ratio of the medians, taken in turns: who else uses the machine slows both down."""
    operation()
    durations = [
        (duration(partial(np.multiply, source, 1.0000001, out=target)), duration(operation))
        for _ in range(rounds)
    ]
    one_pass, ours = zip(*durations, strict=True)
    ratio: float = median(ours) / median(one_pass)
    return ratio


@pytest.mark.parametrize("implementation", ["numpy", "compiled"])
def test_operations_on_ten_qubits(
    implementation: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if implementation == "numpy":
        monkeypatch.setattr(kernels, "compiled", lambda: None)
    source = np.ones((2**LARGE, 2**LARGE), dtype=np.complex128)
    target = np.empty_like(source)
    lines = []
    state = mixed(LARGE)
    for name, operation in operations(state).items():
        ratios = [in_passes(partial(done, state, operation, a, b), source, target) for a, b in POSITIONS]
        lines.append(f"  {name:15} {min(ratios):5.1f} .. {max(ratios):4.1f}")
    write(capsys, f"10 qubits, {implementation}, in passes over the array:", lines)


def test_operations_on_four_qubits(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for name, operation in operations(mixed(SMALL)).items():
        middle = median(duration(partial(operation, 0, SMALL - 1)) for _ in range(1000))
        lines.append(f"  {name:15} {middle * 1e6:5.1f} us")
    write(capsys, "4 qubits:", lines)


@pytest.mark.parametrize("qubits", [10, 11])
def test_the_longest_slice(qubits: int, capsys: pytest.CaptureFixture[str]) -> None:
    kernels.compiled()  # loaded before a server listens
    state = mixed(qubits)
    state.add(np.diag([1.0, 0.0]), [99])
    requests: dict[str, Callable[[], object]] = {
        "merging cnot": lambda: state.apply(gates.CNOT, [0, 99]),
        "h": lambda: state.apply(gates.H, [qubits - 1]),
        "depolarise": lambda: state.depolarise(0.1, [0, 4, 7]),
        "reduced": lambda: state.reduced_later([5, 1, 3]),
        "measure": lambda: state.measure_later(3, "X", 0.5),
    }
    lines = []
    for name, request in requests.items():
        request()
        durations = []
        while state.backlog:
            durations.append(duration(state.work))
        total, longest = sum(durations), max(durations) * 1e3
        lines.append(
            f"  {name:15} {total:6.3f} s in {len(durations):4} slices, the longest {longest:5.1f} ms"
        )
    write(capsys, f"slices at {qubits + 1} qubits:", lines)


def write(capsys: pytest.CaptureFixture[str], title: str, lines: list[str]) -> None:
    with capsys.disabled():
        sys.stdout.write("\n".join(["", title, *lines, ""]))
