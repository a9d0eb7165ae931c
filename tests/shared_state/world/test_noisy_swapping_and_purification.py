"""Swaps and purification on imperfect devices have their exact laws: all branches, with their probabilities.

g is the weight of the ideal two-qubit gate, m (eta in Briegel et al. 1998) the probability that a readout is right,
p2 = g, and w = (4F-1)/3.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import Literal, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.clock import VirtualClock
from shared_state.config import GateConfig, NodeDevices, WorldConfig
from shared_state.dice import Dice
from shared_state.engine.bases import eigenstate
from shared_state.engine.measures import bell_state, fidelity
from shared_state.ledger import Holding
from shared_state.world.nature import Nature

Matrix = NDArray[np.complex128]
Way = Literal["bell measurement", "circuit"]
BITS = [(first, second) for first in (0, 1) for second in (0, 1)]
PHI_PLUS = bell_state(0, 0)
QUALITIES = [0.0, 0.8, 0.97, 1.0]
READOUTS = [0.5, 0.9, 0.985, 1.0]
FIDELITIES = [0.3, 0.6, 0.8, 0.86, 0.95]


class ChosenNumbers(Dice):
    """Chance that has the numbers which were put there, so that each branch can be asked for."""

    numbers: tuple[float, ...] = ()

    def stream(self, name: str, story: str = "") -> np.random.Generator:
        return cast(np.random.Generator, self)

    def random(self) -> float:
        first, *rest = self.numbers
        self.numbers = tuple(rest)
        return first


class Branch:
    """One course of events between Alice, Charlie and Bob, with devices alike, and its ``probability`` so far."""

    def __init__(self, g: float, error_0: float, error_1: float) -> None:
        self.errors = error_0, error_1
        devices = NodeDevices(
            gates=GateConfig(two_fidelity=g, readout_error_0=error_0, readout_error_1=error_1)
        )
        world = WorldConfig(dict.fromkeys(("alice", "charlie", "bob"), devices), {})
        self.chance = ChosenNumbers(0)
        self.nature = Nature(world, VirtualClock(), self.chance)
        self.probability = 1.0

    def pair(self, rho: Matrix, *nodes: str) -> list[int]:
        """Give each of two nodes its half of a new pair."""
        holdings = [Holding(label) for label in self.nature.new_qubits(rho)]
        for node, holding in zip(nodes, holdings, strict=True):
            self.nature.ledger.enter(holding, node, "run", 0.0)
        return [holding.qubit for holding in holdings]

    def gate(self, node: str, name: str, *qubits: int) -> None:
        self.nature.gate(node, 0.0, name, qubits, [])

    def correct(self, qubit: int, x: int, z: int) -> None:
        for name in "x" * x + "z" * z:
            self.gate("bob", name, qubit)

    def measure(self, node: str, qubit: int, bit: int, wrong: int) -> int:
        """Find ``bit`` in Z, reported rightly or wrongly; return the report."""
        p0 = fidelity(self.nature.density_matrix([qubit]).value, eigenstate("Z", 0))
        self.probability *= 1 - p0 if bit else p0
        self.chance.numbers = ((1 + p0) / 2 if bit else p0 / 2, self.readout(bit, wrong))
        assert self.nature.measure(node, 0.0, qubit, "Z").value == bit ^ wrong
        return bit ^ wrong

    def bell_measure(
        self, first: int, second: int, found: tuple[int, int], wrong: tuple[int, int]
    ) -> tuple[int, int]:
        """Find this Bell state, of four that are equally likely; return the report."""
        self.probability /= 4
        uniform = (BITS.index(found) + 0.5) / 4
        self.chance.numbers = (uniform, *map(self.readout, found, wrong))
        report = self.nature.bell_measure("charlie", 0.0, first, second).value
        assert report == (found[0] ^ wrong[0], found[1] ^ wrong[1])
        return report

    def readout(self, bit: int, wrong: int) -> float:
        """Return the number next to the error probability that makes the readout of ``bit`` wrong or right."""
        error = self.errors[bit]
        self.probability *= error if wrong else 1 - error
        return error - 1e-9 if wrong else error


def flips(*errors: float) -> list[tuple[int, int]]:
    return BITS if any(errors) else [(0, 0)]


def bell_diagonal(weights: NDArray[np.float64]) -> Matrix:
    """Return the pair with these weights of the Bell states 00, 01, 10, 11: the errors I, Z, X, Y."""
    states = [bell_state(*bits) for bits in BITS]
    parts = [w * np.outer(psi, psi) for w, psi in zip(weights, states, strict=True)]
    rho: Matrix = np.array(parts).sum(axis=0)
    return rho


def werner(f: float) -> Matrix:
    return bell_diagonal(np.array([f, *[(1 - f) / 3] * 3]))


def swap(
    first: Matrix, second: Matrix, g: float, errors: tuple[float, float], way: Way = "bell measurement"
) -> Matrix:
    """Return the pair of Alice and Bob after Charlie's swap and Bob's corrections, over all branches."""
    total, probability = np.zeros((4, 4), dtype=np.complex128), 0.0
    for found, wrong in product(BITS, flips(*errors)):
        branch = Branch(g, *errors)
        hers, left = branch.pair(first, "alice", "charlie")
        right, his = branch.pair(second, "charlie", "bob")
        if way == "circuit":
            branch.gate("charlie", "cnot", left, right)
            branch.gate("charlie", "h", left)
            x = branch.measure("charlie", right, found[0], wrong[0])
            z = branch.measure("charlie", left, found[1], wrong[1])
        else:
            x, z = branch.bell_measure(left, right, found, wrong)
        branch.correct(his, x, z)
        total += branch.probability * branch.nature.density_matrix([hers, his]).value
        probability += branch.probability
    assert probability == pytest.approx(1, abs=1e-12)
    return total


@pytest.mark.parametrize("way", ["bell measurement", "circuit"])
@pytest.mark.parametrize("g", QUALITIES)
@pytest.mark.parametrize("errors", [(0.0, 0.0), (0.015, 0.015), (0.07, 0.005), (0.01, 0.4)])
def test_a_noisy_swap_of_bell_diagonal_pairs_mixes_their_errors(
    g: float, errors: tuple[float, float], way: Way
) -> None:
    # F' = g [m^2 cI + m (1-m) (cX + cZ) + (1-m)^2 cY] + (1-g)/4 (SeQUeNCe's Bell-diagonal swapping), c the weights
    # after an ideal swap. 0 and 1 are found equally often, so of two readout errors it is their mean that counts.
    m = 1 - sum(errors) / 2
    for a, b in np.random.default_rng(4).dirichlet(np.ones(4), (3, 2)):
        ci, cz, cx, cy = (sum(a[i] * b[i ^ k] for i in range(4)) for k in range(4))
        expected = g * (m**2 * ci + m * (1 - m) * (cx + cz) + (1 - m) ** 2 * cy) + (1 - g) / 4
        pair = swap(bell_diagonal(a), bell_diagonal(b), g, errors, way)
        assert fidelity(pair, PHI_PLUS) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("g", QUALITIES)
@pytest.mark.parametrize("eta", READOUTS)
@pytest.mark.parametrize(("f1", "f2"), [(0.93, 0.90), (0.7, 0.99), (1.0, 1.0)])
def test_a_swap_on_noisy_devices_has_briegels_fidelity(g: float, eta: float, f1: float, f2: float) -> None:
    w = (4 * f1 - 1) / 3 * (4 * f2 - 1) / 3
    pair = swap(werner(f1), werner(f2), g, (1 - eta, 1 - eta))
    assert fidelity(pair, PHI_PLUS) == pytest.approx(0.25 + g * (4 * eta**2 - 1) / 4 * w, abs=1e-9)


@pytest.mark.parametrize("f", [0.8, 0.95, 1.0])
@pytest.mark.parametrize(("g", "eta"), [(1.0, 1.0), (0.97, 0.985), (0.8, 0.9), (1.0, 0.9)])
def test_readout_errors_along_a_chain_multiply_untwirled(f: float, g: float, eta: float) -> None:
    # F_n = 1/4 [1 + 2 (g k)^(n-1) w^n + (g k^2)^(n-1) w^n], k = 2 eta - 1: after a swap the errors of x and z make no
    # Werner pair, and Briegel's ((4 eta^2 - 1)/3)^(n-1), which takes it for one, is off from the second swap on.
    k, w, pair = 2 * eta - 1, (4 * f - 1) / 3, werner(f)
    for n in (2, 3, 4, 5):
        pair = swap(pair, werner(f), g, (1 - eta, 1 - eta))
        exact = (1 + 2 * (g * k) ** (n - 1) * w**n + (g * k**2) ** (n - 1) * w**n) / 4
        twirled = 0.25 + 0.75 * (g * (4 * eta**2 - 1) / 3) ** (n - 1) * w**n
        assert fidelity(pair, PHI_PLUS) == pytest.approx(exact, abs=1e-9)
        assert (abs(exact - twirled) > 1e-5) == (eta < 1 and n > 2)


def test_the_worked_chain_of_four_links_agrees_to_five_digits() -> None:
    pair = werner(0.95)
    for _ in range(3):
        pair = swap(pair, werner(0.95), 0.97, (0.015, 0.015))
    assert fidelity(pair, PHI_PLUS) == pytest.approx(0.71027, abs=5e-6)  # Briegel's: 0.70999


def purify(kept: Matrix, spent: Matrix, g: float, m: float) -> tuple[float, float]:
    """Return the probability of equal reports after bilateral CNOTs, and the kept pair's fidelity then."""
    success, overlap = 0.0, 0.0
    for found, wrong in product(BITS, flips(1 - m)):
        branch = Branch(g, 1 - m, 1 - m)
        pairs = [branch.pair(rho, "alice", "bob") for rho in (kept, spent)]
        for node, control, target in zip(("alice", "bob"), *pairs, strict=True):
            branch.gate(node, "cnot", control, target)
        reports = [
            branch.measure(node, qubit, bit, flip)
            for node, qubit, bit, flip in zip(("alice", "bob"), pairs[1], found, wrong, strict=True)
        ]
        if reports[0] == reports[1]:
            success += branch.probability
            overlap += branch.probability * fidelity(branch.nature.density_matrix(pairs[0]).value, PHI_PLUS)
    return success, overlap / success


def purified(a: NDArray[np.float64], b: NDArray[np.float64], g: float, m: float) -> tuple[float, float]:
    """Return the same by its law, for the weights of the Bell states 00, 01, 10, 11 of both pairs.

    With g^2 both gates are ideal and the targets' bits agree where the x errors do; else the kept pair is I/4 and
    the bits agree by chance. Two readouts, both right or both wrong, report that rightly.
    """
    right, both = m**2 + (1 - m) ** 2, g**2
    equal = (a[0] + a[1]) * (b[0] + b[1]) + (a[2] + a[3]) * (b[2] + b[3])
    success = both * (right * equal + (1 - right) * (1 - equal)) + (1 - both) / 2
    good, bad = a[0] * b[0] + a[1] * b[1], a[0] * b[2] + a[1] * b[3]
    return success, (both * (right * good + (1 - right) * bad) + (1 - both) / 8) / success


@pytest.mark.parametrize("g", QUALITIES)
@pytest.mark.parametrize("m", READOUTS)
def test_noisy_purification_follows_its_law(g: float, m: float) -> None:
    weights = [np.array([f, *[(1 - f) / 3] * 3]) for f in FIDELITIES]
    weights += list(np.random.default_rng(6).dirichlet(np.ones(4), 3))
    for a, b in [*zip(weights, weights, strict=True), *pairwise(weights)]:
        assert purify(bell_diagonal(a), bell_diagonal(b), g, m) == pytest.approx(
            purified(a, b, g, m), abs=1e-9
        )


def test_purification_with_poor_gates_makes_pairs_worse() -> None:
    _, after = purify(werner(0.86), werner(0.86), 0.937, 0.995)  # silicon vacancies of 2024
    assert after == pytest.approx(0.842, abs=5e-4)
