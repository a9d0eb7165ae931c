"""Work on large clusters is done later, with the same result to the last bit, whenever it is done."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.engine import channels, gates, joint_state, kernels
from shared_state.engine.backlog import Account
from shared_state.engine.errors import ClusterTooLarge, InvalidOperator, UnknownQubit
from shared_state.engine.joint_state import JointState
from shared_state.engine.later import Later

Matrix = NDArray[np.complex128]
LARGE = 9
TURNED: Matrix = np.kron(gates.H, gates.rx(0.3)).astype(np.complex128)
UNITARY = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)) + 0j).Q

OPERATIONS: dict[str, Callable[[JointState], Any]] = {
    "permutation": lambda do: do.apply(gates.CNOT, [3, 7]),
    "phase": lambda do: do.apply(gates.CZ, [3, 7]),
    "one-qubit gate": lambda do: do.apply(gates.H, [8]),
    "two-qubit gate": lambda do: do.apply(TURNED, [8, 2]),
    "unitary": lambda do: do.apply(UNITARY, [8, 2, 5]),
    "channel": lambda do: do.apply_channel(channels.amplitude_damping(0.3), [4]),
    "two-qubit channel": lambda do: do.apply_channel(channels.two_qubit_depolarising(0.3), [4, 0]),
    "depolarising": lambda do: do.depolarise(0.2, [1, 5, 6]),
    "measurement": lambda do: do.measure_later(5, "X", 0.4),
    "bell measurement": lambda do: do.bell_measure_later(6, 1, 0.6),
    "interception": lambda do: do.measure_and_prepare(6, "Y", 0.6),
    "discarding": lambda do: do.discard(2),
    "merging gate": lambda do: do.apply(gates.CNOT, [0, 100]),
    "merging bell measurement": lambda do: do.bell_measure_later(100, 4, 0.9),
    "look": lambda do: do.reduced_later([7, 101, 3, 0, 1, 2, 8, 4, 5, 6]),
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
    assert len(left) == len(right)
    for ours, theirs in zip(everything(left), everything(right), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def late_from(monkeypatch: pytest.MonkeyPatch, qubits: int) -> None:
    monkeypatch.setattr(joint_state, "LATE_FROM", qubits)


@pytest.mark.parametrize("name", OPERATIONS)
def test_others_may_act_between_the_slices_and_nobody_notices(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, late = lab(), lab()
    late_from(monkeypatch, 13)
    expected = OPERATIONS[name](at_once)
    late_from(monkeypatch, LARGE)
    outcome = OPERATIONS[name](late)
    count = 0
    while late.backlog:
        late.work()
        count += 1
        turn = gates.rx(0.1 * count)
        late.apply(turn, [200])
        at_once.apply(turn, [200])
        if count == 2:
            assert late.measure(201, "Z", 0.5) == at_once.measure(201, "Z", 0.5)
    if isinstance(outcome, Later):
        np.testing.assert_array_equal(outcome.value, expected.value)
    assert_same(late, at_once)
    assert count >= (2 if "measurement" in name or name in ("interception", "discarding") else 4)


Act = Callable[[JointState], Any]


def random_act(rng: np.random.Generator, qubits: list[int]) -> Act:
    """Return something to do with these qubits, and take away those that are gone after it."""
    chosen = [int(q) for q in rng.permutation(qubits)]
    uniform, p = float(rng.random()), float(rng.random())
    basis = "XYZ"[int(rng.integers(3))]
    one, two, three = chosen[:1], chosen[:2], chosen[:3]
    acts: list[tuple[Act, list[int]]] = [
        (lambda s: s.apply(gates.rx(uniform), one), []),
        (lambda s: s.apply_channel(channels.amplitude_damping(p), one), []),
        (lambda s: s.measure_and_prepare(one[0], basis, uniform), []),  # type: ignore[arg-type]
        (lambda s: s.reduced_later(three), []),
        (lambda s: s.depolarise(p, three), []),
        (lambda s: s.measure_later(one[0], basis, uniform), one),  # type: ignore[arg-type]
        (lambda s: s.discard(one[0]), one),
    ]
    if len(chosen) > 1:
        acts += 3 * [(lambda s: s.apply(gates.CNOT, two), [])]
        acts += [(lambda s: s.bell_measure_later(two[0], two[1], uniform), two)]
    if len(chosen) > 2:
        acts += [(lambda s: s.apply(UNITARY, three), [])]
    act, gone = acts[int(rng.integers(len(acts)))]
    for qubit in gone:
        qubits.remove(qubit)
    return act


def story(seed: int) -> list[Act]:
    """Return what happens to six qubits; those that are gone are made anew."""
    rng, qubits, acts, label = np.random.default_rng(seed), list[int](), list[Act](), 0
    for _ in range(40):
        while len(qubits) < 6:
            qubits.append(label)
            acts.append(lambda s, made=label: s.add(np.diag([0.7, 0.3]), [made]))  # type: ignore[misc]
            label += 1
        acts.append(random_act(rng, qubits))
    return acts


@pytest.mark.parametrize("seed", range(30))
def test_any_story_is_the_same_whenever_its_work_is_done(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    acts, rng = story(seed), np.random.default_rng([seed, 1])
    at_once, late = JointState(6), JointState(6)
    late_from(monkeypatch, 7)
    expected = [act(at_once) for act in acts]
    assert not at_once.backlog
    late_from(monkeypatch, int(rng.integers(1, 5)))
    eagerness, found = rng.random(), []
    for act in acts:
        found.append(act(late))
        while late.backlog and rng.random() < eagerness:
            late.work()
    assert (len(late), late.clusters) == (len(at_once), at_once.clusters)
    late.work_off()
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(ours, Later):
            np.testing.assert_array_equal(ours.value, theirs.value)
    assert_same(late, at_once)


def test_what_has_an_answer_at_once_works_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    late_from(monkeypatch, 1)
    state = JointState()
    state.add(np.diag([0.0, 1.0]), [0])
    state.add(np.diag([1.0, 0.0]), [1])
    state.apply(gates.CNOT, [0, 1])
    assert state.backlog
    assert state.bell_measure(0, 1, 0.3) == (0, 0)
    state.add(np.diag([0.0, 1.0]), [0])
    state.apply(gates.X, [0])
    np.testing.assert_array_equal(state.reduced([0]), np.diag([1.0, 0.0]))
    assert state.measure(0, "Z", 0.3) == 0


def test_what_is_refused_is_refused_at_once_and_leaves_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    late_from(monkeypatch, 1)
    state = JointState(max_qubits=3)
    for first in (0, 2):
        state.add(np.eye(4) / 4, [first, first + 1])
    refused: list[tuple[Act, type[Exception]]] = [
        (lambda s: s.apply(gates.CNOT, [0, 2]), ClusterTooLarge),
        (lambda s: s.bell_measure_later(1, 3, 0.5), ClusterTooLarge),
        (lambda s: s.reduced_later([0, 1, 2, 3]), ClusterTooLarge),
        (lambda s: s.apply(gates.CNOT, [0]), InvalidOperator),
        (lambda s: s.apply_channel(np.eye(16, dtype=np.complex128), [0, 0]), InvalidOperator),
        (lambda s: s.depolarise(2.0, [0]), InvalidOperator),
        (lambda s: s.measure_and_prepare(9, "Z", 0.5), UnknownQubit),
        (lambda s: s.discard(9), UnknownQubit),
    ]
    for act, error in refused:
        with pytest.raises(error):
            act(state)
    assert (state.backlog, state.clusters, len(state)) == (0, 2, 4)


def test_who_waits_for_another_cluster_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    late_from(monkeypatch, LARGE)
    state = lab()
    for qubit in range(LARGE):
        state.apply(gates.H, [qubit])
    state.apply(gates.CNOT, [100, 0])  # the pair has to wait for all of them
    state.add(np.diag([1.0, 0.0]), [300])
    quick = state.measure_later(300, "Z", 0.5)
    assert quick.known
    assert state.backlog == 2


def test_work_is_counted_on_the_account_of_who_caused_it(monkeypatch: pytest.MonkeyPatch) -> None:
    late_from(monkeypatch, LARGE)
    state, mine, yours = lab(), Account(), Account()
    state.charge(mine)
    state.apply(gates.H, [0])
    state.charge(yours)
    state.apply(gates.H, [0])
    state.apply(gates.H, [200])  # a small cluster: done
    assert (mine.stages, yours.stages) == (1, 1)
    while mine.stages:
        state.work()
    assert yours.stages == 1
    state.work_off()
    assert yours.stages == 0


def test_a_stage_that_fails_has_done_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    late_from(monkeypatch, 1)
    state = JointState()
    state.add(np.diag([0.0, 1.0]), [0])

    def exhausted(*_: object) -> Matrix:
        raise MemoryError

    state.apply(gates.X, [0])
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "sandwich", exhausted)
        for _ in range(2):
            with pytest.raises(MemoryError):
                state.work()
    assert state.measure(0, "Z", 0.5) == 0


def test_a_long_chain_of_merges_takes_no_deep_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    late_from(monkeypatch, 1)
    state = JointState(max_qubits=2)
    state.add(np.diag([0.0, 1.0]), [0])
    for qubit in range(1, 600):
        state.add(np.diag([1.0, 0.0]), [qubit])
        state.apply(gates.SWAP, [qubit, qubit - 1])
        state.discard(qubit - 1)
    assert state.measure(599, "Z", 0.5) == 1
