"""What is predicted of a chain is what exact formulas, the engine and samples say."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import comb, exp, inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.network import prediction
from nodes.network.prediction import (
    LinkFigures,
    NodeFigures,
    chain_fidelity,
    chain_rate,
    swap_quality,
)
from shared_state.config import GateConfig, MemoryConfig
from shared_state.engine import pairs
from shared_state.world.memory import decoherence
from shared_state.world.schemes.werner import werner_state

RATES = st.floats(1e-3, 1e6)


def links(*rates: float, fidelity: float = 0.95, delay: float = 0.0) -> list[LinkFigures]:
    return [
        LinkFigures(f"link{i}", (f"n{i}", f"n{i + 1}"), rate, fidelity, delay, 20e3)
        for i, rate in enumerate(rates)
    ]


def nodes(count: int, quality: float = 1.0, t1: float = inf, t2: float = inf) -> list[NodeFigures]:
    return [NodeFigures(f"n{i}", 8, quality, t1, t2) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 12, 13, 20, 64])
def test_equal_links_take_the_harmonic_number_of_their_mean_time(count: int) -> None:
    harmonic = float(sum(Fraction(1, k) for k in range(1, count + 1)))
    assert chain_rate(links(*[2500.0] * count)) == pytest.approx(2500 / harmonic, rel=1e-12)


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("p", [1e-3, 1e-5])
def test_attempts_that_seldom_succeed_make_the_rate_of_bernardes(count: int, p: float) -> None:
    rounds = sum(comb(count, k) * (-1) ** (k + 1) / (1 - (1 - p) ** k) for k in range(1, count + 1))
    assert chain_rate(links(*[p] * count)) == pytest.approx(1 / rounds, rel=p)


@given(st.lists(RATES, min_size=1, max_size=12))
def test_the_sum_over_sets_and_the_integral_agree(rates: list[float]) -> None:
    sorted_rates = np.sort(rates)
    by_sets = prediction._waiting_by_sets(sorted_rates)
    assert prediction._waiting_by_integral(sorted_rates) == pytest.approx(by_sets, rel=1e-11)


@given(st.lists(RATES, min_size=2, max_size=20))
def test_a_chain_is_slower_than_its_slowest_link_whatever_the_order(rates: list[float]) -> None:
    rate = chain_rate(links(*rates))
    assert 1 / sum(1 / each for each in rates) <= rate * (1 + 1e-12)
    assert rate <= min(rates) * (1 + 1e-12)
    assert chain_rate(links(*reversed(rates))) == chain_rate(links(*sorted(rates))) == rate


def test_a_link_that_makes_no_pairs_stops_the_chain() -> None:
    assert chain_rate(links(10.0, 0.0)) == 0
    assert chain_fidelity(links(10.0, 0.0), nodes(3, t2=1.0, t1=1.0)) == 0.25


@pytest.mark.parametrize(
    ("fidelity", "count", "worked"),
    [(0.99, 2, 0.9801), (0.99, 4, 0.9608), (0.99, 8, 0.9236), (0.95, 2, 0.9033), (0.95, 8, 0.6819)],
)
def test_with_ideal_memories_werner_parameters_multiply(fidelity: float, count: int, worked: float) -> None:
    found = chain_fidelity(links(*[7.0] * count, fidelity=fidelity, delay=1e-3), nodes(count + 1))
    assert found == pytest.approx(worked, abs=5e-5)
    assert found == pytest.approx(0.25 + 0.75 * ((4 * fidelity - 1) / 3) ** count, abs=1e-12)


@given(st.lists(st.tuples(RATES, st.floats(0, 1), st.floats(-1 / 3, 1)), min_size=1, max_size=20))
def test_with_ideal_memories_the_prediction_is_exact(chain: list[tuple[float, float, float]]) -> None:
    path = [
        replace(link, fidelity=f)
        for link, (_, f, _) in zip(links(*[r for r, _, _ in chain]), chain, strict=True)
    ]
    stops = [replace(node, swap_quality=q) for node, (_, _, q) in zip(nodes(len(chain)), chain, strict=True)]
    w = np.prod([(4 * f - 1) / 3 for _, f, _ in chain]) * np.prod([q for _, _, q in chain[1:]])
    assert chain_fidelity(path, [*stops, NodeFigures(f"n{len(chain)}", 1)]) == pytest.approx(
        0.25 + 0.75 * w, abs=1e-12
    )


def test_an_imperfect_swap_is_that_of_briegel() -> None:
    path = [replace(link, fidelity=f) for link, f in zip(links(1, 1), (0.93, 0.90), strict=True)]
    quality = swap_quality(0.97, readout_error_0=0.015, readout_error_1=0.015)
    assert chain_fidelity(path, nodes(3, quality)) == pytest.approx(0.798959, abs=1e-6)


@pytest.mark.parametrize("swaps", [2, 3, 7])
def test_misread_outcomes_of_several_swaps_cost_a_little_less_than_predicted(swaps: int) -> None:
    error, w = 0.005, (4 * 0.95 - 1) / 3
    k, kept = 1 - 2 * error, w ** (swaps + 1)
    exact = (1 + 2 * k**swaps * kept + k ** (2 * swaps) * kept) / 4
    quality = swap_quality(readout_error_0=error, readout_error_1=error)
    found = chain_fidelity(links(*[1.0] * (swaps + 1)), nodes(swaps + 2, quality))
    assert exact - found == pytest.approx(swaps * (swaps - 1) * error**2 / 3 * kept, rel=0.1)


@pytest.mark.parametrize(
    "gates",
    [
        GateConfig(),
        GateConfig(two_fidelity=0.97, readout_error_0=0.015, readout_error_1=0.015),
        GateConfig(two_fidelity=0.97, two_qubit_noise="each", readout_error_0=0.05, readout_error_1=0.005),
        GateConfig(two_fidelity=0.9, readout_error_0=0.0, readout_error_1=0.2),
    ],
)
def test_a_swap_costs_what_it_costs_in_the_engine(gates: GateConfig) -> None:
    first, second = (pairs.from_density(werner_state(f)[np.newaxis]).repeat(4, axis=0) for f in (0.93, 0.9))
    if gates.two_qubit_noise == "joint":  # of two qubits in I/4 the one tells as little of the other as I/2
        first = pairs.depolarise(first, 1, 1 - gates.two_fidelity)
    else:
        p = 4 * (1 - sqrt(gates.two_fidelity)) / 3
        first, second = pairs.depolarise(first, 1, p), pairs.depolarise(second, 0, p)
    joined, x, z = pairs.swap(first, second, np.array([0.125, 0.375, 0.625, 0.875]))  # each outcome once
    wrong_x, wrong_z = (np.where(bits == 1, gates.readout_error_1, gates.readout_error_0) for bits in (x, z))
    fidelity = 0.0
    for flip_x, flip_z in product((0, 1), repeat=2):
        corrected = pairs.pauli(joined, 1, x ^ np.uint8(flip_x), z ^ np.uint8(flip_z))
        likely = np.where(flip_x, wrong_x, 1 - wrong_x) * np.where(flip_z, wrong_z, 1 - wrong_z)
        fidelity += float((likely * pairs.fidelity(corrected)).mean())
    path = [replace(link, fidelity=f) for link, f in zip(links(1, 1), (0.93, 0.9), strict=True)]
    quality = swap_quality(
        gates.two_fidelity, gates.two_qubit_noise, gates.readout_error_0, gates.readout_error_1
    )
    assert chain_fidelity(path, nodes(3, quality)) == pytest.approx(fidelity, abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(10.0, 10.0), (3.0, 50.0)])
def test_the_older_pair_of_two_links_decays_while_the_younger_is_made(first: float, second: float) -> None:
    # E[e^(-a |t1 - t2|)] of exponential times; both halves of the older pair wait, so a = 2/T
    t1, t2, w = 0.8, 0.3, ((4 * 0.95 - 1) / 3) ** 2

    def kept(a: float) -> float:
        return first * second / (first + second) * (1 / (first + a) + 1 / (second + a))

    exact = (1 + w * (2 * kept(2 / t2) + kept(2 / t1))) / 4
    assert chain_fidelity(links(first, second), nodes(3, t1=t1, t2=t2)) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("p", [0.01, 0.001])
def test_two_links_with_attempts_decay_as_the_geometric_formula_says(p: float) -> None:
    x = exp(-0.1 * p)
    exact = p / (2 - p) * (1 + 2 * (1 - p) * x / (1 - (1 - p) * x))
    tau = 2 / (0.1 * p)
    found = chain_fidelity(links(p, p), nodes(3, t1=tau, t2=tau))
    w = ((4 * 0.95 - 1) / 3) ** 2
    assert found == pytest.approx(0.25 + 0.75 * w * exact, abs=p / 10)
    if p == 0.01:
        assert exact == pytest.approx(0.909507, abs=1e-6)
        assert 0.25 + 0.75 * w * exact == pytest.approx(0.84421, abs=1e-5)


def test_the_ends_wait_for_the_outcome_of_the_farthest_repeater() -> None:
    fast = links(1e12, 1e12, 1e12, fidelity=1.0)  # so that nothing else is waited for
    path = [replace(link, delay=delay) for link, delay in zip(fast, (1e-3, 2e-3, 4e-3), strict=True)]
    stops = [replace(node, t2=t2) for node, t2 in zip(nodes(4), (0.1, 1.0, 1.0, 0.05), strict=True)]
    coherence = exp(-(1e-3 + 2e-3) / 0.1 - (2e-3 + 4e-3) / 0.05)
    assert chain_fidelity(path, stops) == pytest.approx((2 + 2 * coherence) / 4, abs=1e-9)


def test_a_link_alone_is_as_good_as_it_says() -> None:
    assert chain_fidelity(links(5.0, delay=1.0), nodes(2, t1=1e-3, t2=1e-3)) == pytest.approx(0.95, abs=1e-12)


@pytest.mark.parametrize("rates", [(10.0, 20.0, 5.0), (8.0, 8.0, 8.0, 8.0, 8.0), (3.0, 90.0, 40.0, 7.0)])
def test_the_waiting_of_a_chain_is_that_of_samples(rates: tuple[float, ...]) -> None:
    """A false alarm has the probability of 5 sigma, 6e-7."""
    count, shots = len(rates), 200_000
    t2 = np.linspace(0.2, 0.8, count + 1)
    times = np.random.default_rng([6, count]).exponential(1 / np.array(rates), (shots, count))
    last = times.max(axis=1)
    stored = np.abs(np.diff(times, axis=1))
    coherence = np.exp(
        -(last - times[:, 0]) / t2[0] - stored @ (1 / t2[1:-1]) - (last - times[:, -1]) / t2[-1]
    )
    fidelities = (2 + 2 * coherence) / 4
    stops = [replace(node, t2=float(t)) for node, t in zip(nodes(count + 1), t2, strict=True)]
    found = chain_fidelity(links(*rates, fidelity=1.0), stops)
    assert abs(found - fidelities.mean()) < 5 * fidelities.std() / sqrt(shots)


@pytest.mark.parametrize("count", [2, 5, 12])
def test_beyond_the_exact_sum_the_prediction_is_a_little_too_low(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stops = links(*np.linspace(900, 1100, count)), nodes(count + 1, t1=10.0, t2=0.5)
    exact = chain_fidelity(path, stops)
    monkeypatch.setattr(prediction, "EXACT_LINKS", 1)
    approximate = chain_fidelity(path, stops)
    assert exact - 2e-4 < approximate < exact


def test_relaxation_towards_zero_keeps_a_little_more_than_predicted() -> None:
    t1, t2, rate = 0.5, 0.3, 20.0
    memory = MemoryConfig(t1=t1, t2=t2)
    points, weights = np.polynomial.laguerre.laggauss(60)
    waited = points / rate  # both rates are equal, so |t1 - t2| is exponential with the same rate
    older = pairs.from_density(werner_state(0.95)[np.newaxis]).repeat(60, axis=0)
    younger = older.copy()
    decay = pairs.pauli_transfer(np.array([decoherence(memory, float(time)) for time in waited]))
    older = pairs.apply_channel(pairs.apply_channel(older, decay, 0), decay, 1)
    joined, x, z = pairs.swap(older, younger, np.full(60, 0.125))
    exact = float((weights * pairs.fidelity(pairs.pauli(joined, 1, x, z))).sum())
    found = chain_fidelity(links(rate, rate), nodes(3, t1=t1, t2=t2))
    most = float((weights * (1 - np.exp(-waited / t1)) ** 2).sum()) / 4
    assert found < exact < found + most


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: replace(links(1)[0], rate=inf),
        lambda: replace(links(1)[0], fidelity=1.1),
        lambda: replace(links(1)[0], endpoints=("a", "a")),
        lambda: NodeFigures("a", -1),
        lambda: NodeFigures("a", 1, swap_quality=1.5),
        lambda: NodeFigures("a", 1, t1=1.0, t2=2.5),
        lambda: chain_rate([]),
        lambda: chain_fidelity(links(1, 1), nodes(2)),
        lambda: chain_fidelity(links(1, 1), nodes(4)[1:]),
    ],
)
def test_figures_that_cannot_be_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"."):
        wrong()
