"""Operations in slices: the same as at once, whatever happens to others in between, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.engine import channels, gates
from shared_state.engine.errors import ClusterBusy, ClusterTooLarge, InvalidOperator, UnknownQubit
from shared_state.engine.joint_state import SLICED_FROM, JointState
from shared_state.engine.slices import finish

Matrix = NDArray[np.complex128]
LARGE = 9
UNITARY = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)) + 0j).Q

OPERATIONS: dict[str, Callable[[Any], Any]] = {  # of the state itself, or of its steps
    "permutation": lambda do: do.apply(gates.CNOT, [3, 7]),
    "phase": lambda do: do.apply(gates.CZ, [3, 7]),
    "one-qubit gate": lambda do: do.apply(gates.H, [8]),
    "two-qubit gate": lambda do: do.apply(np.kron(gates.H, gates.rx(0.3)), [8, 2]),
    "unitary": lambda do: do.apply(UNITARY, [8, 2, 5]),
    "channel": lambda do: do.apply_channel(channels.amplitude_damping(0.3), [4]),
    "two-qubit channel": lambda do: do.apply_channel(channels.two_qubit_depolarising(0.3), [4, 0]),
    "depolarising": lambda do: do.depolarise(0.2, [1, 5, 6]),
    "measurement": lambda do: do.measure(5, "X", 0.4),
    "bell measurement": lambda do: do.bell_measure(6, 1, 0.6),
    "discarding": lambda do: do.discard(2),
    "merging gate": lambda do: do.apply(gates.CNOT, [0, 100]),
    "merging bell measurement": lambda do: do.bell_measure(100, 4, 0.9),
    "look": lambda do: do.reduced([7, 101, 3, 0, 1, 2, 8, 4, 5, 6]),
}


@cache
def large() -> Matrix:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(2**LARGE, 2)) + 1j * rng.normal(size=(2**LARGE, 2))
    rho = vectors @ vectors.conj().T
    normalised: Matrix = rho / rho.trace()
    return normalised


def lab() -> JointState:
    """Return a large cluster of the qubits 0 ..., a pair 100-101 and another 200-201."""
    state = JointState()
    state.add(large(), range(LARGE))
    for first in (100, 200):
        state.add(np.diag([0.4, 0.3, 0.2, 0.1]), [first, first + 1])
    return state


def everything(state: JointState) -> list[Matrix]:
    """Return the states of the clusters, found by their smallest qubits."""
    clusters = {tuple(sorted(state.cluster_of(q))) for q in range(202) if q in state}
    return [state.reduced(cluster) for cluster in sorted(clusters)]


def assert_same(left: JointState, right: JointState) -> None:
    for ours, theirs in zip(everything(left), everything(right), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", OPERATIONS)
def test_others_may_act_between_the_slices_and_nobody_notices(name: str) -> None:
    at_once, sliced = lab(), lab()
    expected = OPERATIONS[name](at_once)
    steps = OPERATIONS[name](sliced.steps)
    count, result = 0, None
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result = done.value
            break
        count += 1
        turn = gates.rx(0.1 * count)
        sliced.apply(turn, [200])
        at_once.apply(turn, [200])
        if count == 2:
            assert sliced.measure(201, "Z", 0.5) == at_once.measure(201, "Z", 0.5)
    np.testing.assert_array_equal(result, expected)
    assert_same(sliced, at_once)
    assert count >= (2 if "measurement" in name or name == "discarding" else 4)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "look"])
def test_a_cluster_in_the_middle_of_an_operation_is_busy(name: str) -> None:
    state = lab()
    steps = OPERATIONS[name](state.steps)
    next(steps)
    merging = name.startswith("merging")
    for qubit in [0, 8, 101] if merging else [0, 8]:
        for refused in (
            lambda q=qubit: state.apply(gates.X, [q]),
            lambda q=qubit: state.apply(gates.CNOT, [200, q]),
            lambda q=qubit: state.apply_channel(channels.dephasing(0.1), [q]),
            lambda q=qubit: state.depolarise(0.1, [q]),
            lambda q=qubit: state.measure(q, "Z", 0.5),
            lambda q=qubit: state.bell_measure(201, q, 0.5),
            lambda q=qubit: state.discard(q),
            lambda q=qubit: state.reduced([q, 200]),
            lambda q=qubit: next(state.steps.apply(gates.X, [q])),
        ):
            with pytest.raises(ClusterBusy, match=f"the cluster of {qubit} is under way"):
                refused()
    if not merging:
        state.apply(gates.X, [100])
    state.apply(gates.X, [200])
    finish(steps)
    state.apply(gates.X, [0 if 0 in state else 8])


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_closing_an_unfinished_operation_leaves_everything_as_it_was(name: str, after: int) -> None:
    state = lab()
    steps = OPERATIONS[name](state.steps)
    for _ in range(after):
        next(steps)
    steps.close()
    assert (len(state), state.clusters) == (LARGE + 4, 3)
    np.testing.assert_array_equal(state.reduced(range(LARGE)), large())
    np.testing.assert_array_equal(state.reduced([100, 101]), state.reduced([200, 201]))
    state.discard(0)  # nothing is busy


def test_nothing_happens_before_the_first_step() -> None:
    state = lab()
    waiting = state.steps.measure(0, "Z", 0.5)
    state.discard(0)
    with pytest.raises(UnknownQubit):
        next(waiting)


def test_a_look_shows_the_state_at_its_first_step() -> None:
    state, untouched = lab(), lab().reduced(range(LARGE))
    look = state.steps.reduced(range(LARGE))
    next(look)
    state.apply(gates.X, [0])
    state.measure(1, "X", 0.5)
    np.testing.assert_array_equal(finish(look), untouched)


def test_what_is_refused_at_once_is_refused_in_steps_and_leaves_nothing_busy() -> None:
    state = JointState(max_qubits=3)
    for first in (0, 2):
        state.add(np.eye(4) / 4, [first, first + 1])
    refused = [
        (state.steps.apply(gates.CNOT, [0, 2]), ClusterTooLarge),
        (state.steps.bell_measure(1, 3, 0.5), ClusterTooLarge),
        (state.steps.apply(gates.CNOT, [0]), InvalidOperator),
        (state.steps.apply_channel(gates.CNOT, [0, 0]), InvalidOperator),
        (state.steps.depolarise(2.0, [0]), InvalidOperator),
        (state.steps.discard(9), UnknownQubit),
    ]
    for steps, error in refused:
        with pytest.raises(error):
            next(steps)
    state.apply(gates.CNOT, [0, 1])
    state.apply(gates.CNOT, [2, 3])


def test_the_cost_is_known_beforehand() -> None:
    state = lab()
    assert state.cost([100]) == state.cost([100, 101]) == 4**2
    assert state.cost([0, 3]) == 4**LARGE < SLICED_FROM
    assert state.cost([0, 100]) == 4 ** (LARGE + 2) >= SLICED_FROM
    assert state.cost([200, 0, 101]) == 4 ** (LARGE + 4)
    with pytest.raises(UnknownQubit):
        state.cost([0, 77])
