"""Purification circuits give the published maps of fidelities and their success probabilities."""

from __future__ import annotations

from itertools import product
from math import pi

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.engine import channels, gates
from shared_state.engine.bases import eigenstate
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity

Matrix = NDArray[np.complex128]
ORDER = [(0, 0), (1, 1), (1, 0), (0, 1)]  # Phi+, Psi-, Psi+, Phi-: the order of DEJMPS
FIDELITIES = np.linspace(0.3, 1, 15)


def bell_diagonal(weights: NDArray[np.float64]) -> Matrix:
    states = [bell_state(x, z) for x, z in ORDER]
    rho: Matrix = np.array([w * np.outer(psi, psi) for w, psi in zip(weights, states, strict=True)]).sum(
        axis=0
    )
    return rho


def werner(f: float) -> Matrix:
    return bell_diagonal(np.array([f, (1 - f) / 3, (1 - f) / 3, (1 - f) / 3]))


def purify(
    kept: Matrix, spent: Matrix, *, turn: float = 0.0, gate: float = 1.0, readout: float = 1.0
) -> tuple[float, Matrix]:
    """Return the probability that both ends report the same bit, and the pair that is then kept.

    Alice has 0 and 2, Bob 1 and 3. ``gate`` and ``readout`` are the quality of each CNOT and of each measurement.
    """
    success, total = 0.0, np.zeros((4, 4), dtype=np.complex128)
    for a, b in product((0, 1), repeat=2):
        state = JointState()
        state.add(kept, [0, 1])
        state.add(spent, [2, 3])
        for qubit in range(4):
            state.apply(gates.rx(turn if qubit % 2 == 0 else -turn), [qubit])
        for control, target in ((0, 2), (1, 3)):
            state.apply(gates.CNOT, [control, target])
            state.apply_channel(channels.two_qubit_depolarising(1 - gate), [control, target])
        psi: Matrix = np.array(np.kron(eigenstate("Z", a), eigenstate("Z", b)), dtype=np.complex128)
        weight = fidelity(state.reduced([2, 3]), psi)
        if weight < 1e-9:
            continue
        first = fidelity(state.reduced([2]), eigenstate("Z", 0))
        assert state.measure(2, "Z", first / 2 if a == 0 else (1 + first) / 2) == a
        second = fidelity(state.reduced([3]), eigenstate("Z", 0))
        assert state.measure(3, "Z", second / 2 if b == 0 else (1 + second) / 2) == b
        right = readout**2 + (1 - readout) ** 2
        reported_equal = right if a == b else 1 - right
        success += reported_equal * weight
        total += reported_equal * weight * state.reduced([0, 1])
    return success, total / success


@pytest.mark.parametrize("f", FIDELITIES)
def test_bbpssw_follows_its_formula(f: float) -> None:
    success, pair = purify(werner(f), werner(f))
    q = (1 - f) / 3
    assert success == pytest.approx(f**2 + 2 * f * q + 5 * q**2, abs=1e-9)
    assert fidelity(pair, bell_state(0, 0)) == pytest.approx((f**2 + q**2) / success, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_dejmps_follows_its_formula_for_two_different_bell_diagonal_pairs(seed: int) -> None:
    first, second = np.random.default_rng(seed).dirichlet(np.ones(4), 2)
    (a, b, c, d), (e, f, g, h) = first, second
    success, pair = purify(bell_diagonal(first), bell_diagonal(second), turn=pi / 2)
    expected = np.array([a * e + b * f, c * h + d * g, c * g + d * h, a * f + b * e])
    assert success == pytest.approx((a + b) * (e + f) + (c + d) * (g + h), abs=1e-9)
    np.testing.assert_allclose(pair, bell_diagonal(expected / success), atol=1e-9)


def test_a_noisy_circuit_has_the_published_values() -> None:
    success, pair = purify(werner(0.8), werner(0.8), gate=0.97, readout=0.98)
    assert success == pytest.approx(0.733163, abs=5e-7)
    assert fidelity(pair, bell_state(0, 0)) == pytest.approx(0.807607, abs=5e-7)


@pytest.mark.parametrize("f", [0.4, 0.7, 0.9])
@pytest.mark.parametrize("gate", [0.8, 0.97, 1.0])
@pytest.mark.parametrize("readout", [0.5, 0.98, 1.0])
def test_a_noisy_circuit_follows_its_formula(f: float, gate: float, readout: float) -> None:
    """A failed CNOT on either side leaves both pairs mixed, readings agree wrongly with 2m(1-m)."""
    success, pair = purify(werner(f), werner(f), gate=gate, readout=readout)
    q, good, right = (1 - f) / 3, gate**2, readout**2 + (1 - readout) ** 2
    equal = f**2 + 2 * f * q + 5 * q**2
    expected = good * (equal * right + (1 - equal) * (1 - right)) + (1 - good) / 2
    kept = good * ((f**2 + q**2) * right + (f * q + q**2) * (1 - right)) + (1 - good) / 8
    assert success == pytest.approx(expected, abs=1e-9)
    assert fidelity(pair, bell_state(0, 0)) == pytest.approx(kept / expected, abs=1e-9)


@pytest.mark.parametrize("loss", np.linspace(0, 0.9, 10))
def test_epl_distils_a_perfect_pair_from_two_single_click_pairs(loss: float) -> None:
    dark = np.zeros((4, 4))
    dark[3, 3] = 1
    psi = bell_state(1, 0)
    raw = ((1 - loss) * np.outer(psi, psi) + loss * dark).astype(np.complex128)
    state = JointState()
    state.add(raw, [0, 1])
    state.add(raw, [2, 3])
    state.apply(gates.CNOT, [0, 2])
    state.apply(gates.CNOT, [1, 3])
    both_one = np.array([0, 0, 0, 1], dtype=np.complex128)
    assert fidelity(state.reduced([2, 3]), both_one) == pytest.approx((1 - loss) ** 2 / 2, abs=1e-9)
    assert (state.measure(2, "Z", 1 - 1e-9), state.measure(3, "Z", 1 - 1e-9)) == (1, 1)
    assert fidelity(state.reduced([0, 1]), psi) == pytest.approx(1, abs=1e-9)
