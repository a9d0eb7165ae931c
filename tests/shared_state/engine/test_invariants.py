"""What holds after any history: a state stays a state, nothing shows elsewhere, and clusters hold whom they should."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared_state.engine import aging, channels, gates
from shared_state.engine.bases import Basis, eigenstate
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity

Matrix = NDArray[np.complex128]
SEEDS = st.integers(0, 2**32 - 1)
BASES: tuple[Basis, ...] = ("X", "Y", "Z")
ERROR_PER_OPERATION = 1e-15
"""A few units in the last place: products of 4 x 4 matrices, and the rounding of a gate's own elements."""


def random_state(rng: np.random.Generator, qubits: int) -> Matrix:
    """Return a random state of random rank, often a pure one."""
    size = 2**qubits
    vectors = rng.normal(size=(2, size, rng.integers(1, 4)))
    amplitudes: Matrix = vectors[0] + 1j * vectors[1]
    rho = amplitudes @ amplitudes.conj().T
    normalised: Matrix = rho / rho.trace()
    return normalised


def random_unitary(rng: np.random.Generator, qubits: int) -> Matrix:
    parts = rng.normal(size=(2, 2**qubits, 2**qubits))
    unitary: Matrix = np.linalg.qr(parts[0] + 1j * parts[1]).Q
    return unitary


def random_operation(
    state: JointState, rng: np.random.Generator, qubits: list[int], noise: float
) -> set[int]:
    """Apply a gate or, with the probability ``noise``, a channel; return the qubits it acted on."""
    a, b = (int(qubit) for qubit in rng.permutation(qubits)[:2])
    noisy, both = rng.random() < noise, rng.random() < 0.4
    on = [a, b] if both else [a]
    if noisy and both:
        state.apply_channel(channels.two_qubit_depolarising(0.05), on)
    elif noisy:
        memory = aging.relaxation(0.7, 0.9, rng.uniform(0.01, 0.2))
        assert memory is not None
        ones = [memory, channels.depolarising(0.02), channels.amplitude_damping(0.1), channels.dephasing(0.1)]
        state.apply_channel(ones[rng.integers(4)], on)
    elif rng.random() < 0.5:
        state.apply(gates.CNOT if both else gates.H, on)
    else:
        state.apply(random_unitary(rng, len(on)), on)
    return set(on)


def five_qubits(seed: int) -> JointState:
    """Return qubits 0 to 4 after a history of their own, the same for the same seed, in one or two clusters."""
    rng = np.random.default_rng(seed)
    state = JointState()
    state.add(random_state(rng, 3), [0, 1, 2])
    state.add(random_state(rng, 2), [3, 4])
    for _ in range(rng.integers(4)):
        random_operation(state, rng, list(range(5)), noise=0.3)
    return state


def without(rho: Matrix, position: int) -> Matrix:
    """Return the partial trace over one qubit, element by element."""
    rest = len(rho) // 2
    low = rest >> position
    rows = [row // low * 2 * low + row % low for row in range(rest)]
    traced: Matrix = rho[np.ix_(rows, rows)] + rho[np.ix_([r + low for r in rows], [r + low for r in rows])]
    return traced


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("depth", [1, 10, 100, 1000])
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_a_state_stays_a_state_however_deep_the_circuit(noise: float, depth: int, seed: int) -> None:
    # No gate and no channel enlarges an error that is there (the trace norm contracts), so errors only add up.
    tolerance = 1e-14 + depth * ERROR_PER_OPERATION  # 1e-12 at the depth 1000
    rng = np.random.default_rng(seed)
    state = JointState()
    state.add(random_state(rng, 2), [0, 1])
    state.add(random_state(rng, 2), [2, 3])
    for _ in range(depth):
        random_operation(state, rng, [0, 1, 2, 3], noise)
    rho = state.reduced([3, 0, 2, 1])
    assert abs(rho.trace() - 1) < tolerance
    assert np.abs(rho - rho.conj().T).max() < tolerance
    assert np.linalg.eigvalsh(rho).min() > -tolerance


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_no_gate_or_noise_or_meeting_shows_at_the_other_qubits(seed: int) -> None:
    state, rng = five_qubits(seed), np.random.default_rng(seed)
    state.add(random_state(rng, 2), [5, 6])  # a stranger's, who meets one of them
    mine, others = np.split(rng.permutation(5), [int(rng.integers(1, 4))])
    before = state.reduced(others.tolist())
    for _ in range(6):
        random_operation(state, rng, [*mine.tolist(), 5, 6], noise=0.4)
        np.testing.assert_allclose(state.reduced(others.tolist()), before, atol=1e-12)
    for qubit in mine.tolist():
        state.discard(qubit)
        np.testing.assert_allclose(state.reduced(others.tolist()), before, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, qubit=st.integers(0, 4), basis=st.sampled_from(BASES))
def test_an_unread_measurement_does_not_show_at_the_other_qubits(seed: int, qubit: int, basis: Basis) -> None:
    others = [other for other in range(5) if other != qubit]
    untouched = five_qubits(seed).reduced(others)
    p0 = fidelity(five_qubits(seed).reduced([qubit]), eigenstate(basis, 0))
    unread = np.zeros_like(untouched)
    for bit, uniform, weight in ((0, p0 / 2, p0), (1, (1 + p0) / 2, 1 - p0)):
        if weight > 1e-12:
            state = five_qubits(seed)
            assert state.measure(qubit, basis, uniform) == bit
            unread += weight * state.reduced(others)
    np.testing.assert_allclose(unread, untouched, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, chosen=st.permutations(range(5)))
def test_an_unread_bell_measurement_does_not_show_at_the_other_qubits(seed: int, chosen: list[int]) -> None:
    first, second, *others = chosen
    before = five_qubits(seed)
    measured, unread, cumulative = before.reduced([first, second]), np.zeros((8, 8), dtype=np.complex128), 0.0
    for outcome in product((0, 1), repeat=2):
        weight = fidelity(measured, bell_state(*outcome))
        if weight > 1e-12:
            state = five_qubits(seed)
            assert state.bell_measure(first, second, cumulative + weight / 2) == outcome
            unread += weight * state.reduced(others)
        cumulative += weight
    np.testing.assert_allclose(unread, before.reduced(others), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_clusters_that_met_and_parted_are_as_they_were(seed: int, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    hers, his = [list(range(sizes[0])), list(range(10, 10 + sizes[1]))]
    first, second = random_state(rng, len(hers)), random_state(rng, len(his))
    state = JointState()
    state.add(first, hers)
    state.add(second, his)
    meeting = random_unitary(rng, 2)
    state.apply(meeting, [hers[-1], his[0]])
    state.apply(meeting.conj().T, [hers[-1], his[0]])
    assert state.clusters == 1
    np.testing.assert_allclose(state.reduced(hers), first, atol=1e-12)
    np.testing.assert_allclose(state.reduced(his), second, atol=1e-12)
    for qubit in rng.permutation(his).tolist():
        if rng.random() < 0.5:
            state.discard(qubit)
        else:
            state.measure(qubit, BASES[rng.integers(3)], rng.random())
    np.testing.assert_allclose(state.reduced(hers), first, atol=1e-12)
    for left in range(len(hers) - 1, 0, -1):
        gone = int(rng.integers(len(hers)))
        first = without(first, gone)
        state.discard(hers.pop(gone))
        assert set(state.cluster_of(hers[0])) == set(hers)
        assert len(hers) == left
        np.testing.assert_allclose(state.reduced(hers), first, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_whoever_is_measured_leaves_its_cluster_and_nobody_else_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    state = JointState()
    parts = [{qubit} for qubit in range(6)]
    for qubit in range(6):
        state.add(random_state(rng, 1), [qubit])
    while present := sorted(set().union(*parts)):
        rng.shuffle(present)
        kind = rng.choice(["operation", "bell", "measure", "discard"]) if len(present) > 1 else "measure"
        first, second = present[0], present[-1]
        gone, together = {first}, {first}
        match kind:
            case "operation":
                gone, together = set(), random_operation(state, rng, present, noise=0.3)
            case "bell":
                gone = together = {first, second}
                state.bell_measure(first, second, rng.random())
            case "measure":
                state.measure(first, BASES[rng.integers(3)], rng.random())
            case "discard":
                state.discard(first)
        merged = set().union(*(part for part in parts if part & together))
        parts = [part for part in [*(part for part in parts if not part & together), merged - gone] if part]
        assert state.clusters == len(parts)
        assert not any(qubit in state for qubit in gone)
        assert all(set(state.cluster_of(qubit)) == part for part in parts for qubit in part)
