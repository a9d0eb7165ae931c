"""Purification inside the network, of links and of what was swapped: states pair by pair, and what they cost.

States are (A, B, C, D), the weights of Phi+, Psi-, Psi+ and Phi-.
"""

from __future__ import annotations

from functools import reduce
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from shared_state.config import GateConfig, SingleClickSource, WernerSource
from tests.nodes.runtime.network_physics import (
    SIGMAS,
    Floats,
    delivered,
    events,
    likely_mean,
    likely_share,
    row,
)

pytestmark = pytest.mark.thorough

PAIRS = 120


def bell(fidelity: float) -> Floats:
    """Return a Werner pair."""
    q = (1 - fidelity) / 3
    return np.array([fidelity, q, q, q])


def dejmps(pair: Floats) -> tuple[float, Floats]:
    """Return how likely equal outcomes are, and what two such pairs become (Deutsch et al., PRL 77, 2818, 1996)."""
    a, b, c, d = pair
    n = (a + b) ** 2 + (c + d) ** 2
    return n, np.array([a * a + b * b, 2 * c * d, c * c + d * d, 2 * a * b]) / n


def swapped(one: Floats, other: Floats) -> Floats:
    """Return what two pairs become in a perfect swap: their errors X^x Z^z add up, bit by bit."""
    errors = ((0, 0), (1, 1), (1, 0), (0, 1))
    joined = np.zeros(4)
    for (x, z), p in zip(errors, one, strict=True):
        for (more_x, more_z), q in zip(errors, other, strict=True):
            joined[errors.index((x ^ more_x, z ^ more_z))] += p * q
    return joined


def purified(pair: Floats, rounds: int) -> Floats:
    return reduce(lambda state, _: dejmps(state)[1], range(rounds), pair)


@pytest.mark.parametrize("fidelity", [0.55, 0.8, 1.0])
@pytest.mark.parametrize("rounds", [1, 2, 3])
async def test_dejmps_on_a_link_gives_the_states_of_the_paper_round_by_round(
    fidelity: float, rounds: int
) -> None:
    world = row([WernerSource(fidelity=fidelity)], seed=41)
    found = await delivered(world, 3, purify=",".join(["dejmps"] * rounds))
    expected = np.tile(purified(bell(fidelity), rounds), (3, 1))
    assert found.bell_weights == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("fidelity", [0.55, 0.7, 0.8, 0.95])
async def test_bbpssw_on_a_link_gives_the_fidelity_of_the_paper(fidelity: float) -> None:
    found = await delivered(row([WernerSource(fidelity=fidelity)], seed=42), 5, purify="bbpssw")
    q = (1 - fidelity) / 3
    expected = (fidelity**2 + q**2) / (fidelity**2 + 2 * fidelity * q + 5 * q**2)
    assert found.fidelities == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("fidelity", "twice"), [(0.7, 0.7732), (0.8, 0.8736)])
async def test_bbpssw_twice_gives_the_fidelity_of_the_paper_on_average(fidelity: float, twice: float) -> None:
    found = await delivered(row([WernerSource(fidelity=fidelity)], seed=43), 60, purify="bbpssw,bbpssw")
    assert likely_mean(found.fidelities, twice) or abs(found.fidelities.mean() - twice) < 1e-4


@pytest.mark.parametrize("fidelity", [0.9])
@pytest.mark.parametrize(
    ("n", "order", "purify", "rounds"),
    [
        (2, "asap", "dejmps", (1, 0)),
        (2, "asap", "1:dejmps", (0, 1)),
        (2, "nested", "dejmps,1:dejmps", (1, 1)),
        (2, "asap", "dejmps,dejmps,1:dejmps", (2, 1)),
        (3, "asap", "dejmps,1:dejmps", (1, 1)),
        (4, "nested", "1:dejmps,2:dejmps", (0, 1, 1)),
        (4, "nested", "dejmps,1:dejmps,2:dejmps", (1, 1, 1)),
    ],
)
async def test_what_was_swapped_is_purified_level_by_level(
    n: int, order: str, purify: str, rounds: tuple[int, ...], fidelity: float
) -> None:
    sources = [WernerSource(rate=5000.0 * (1 + link), fidelity=fidelity) for link in range(n)]
    found = await delivered(row(sources, seed=44), 4, order=order, purify=purify)
    expected = purified(bell(fidelity), rounds[0])
    if n == 3:  # all in one level
        expected = purified(swapped(swapped(expected, expected), expected), rounds[1])
    else:
        for more in rounds[1:]:
            expected = purified(swapped(expected, expected), more)
    assert found.bell_weights == pytest.approx(np.tile(expected, (4, 1)), abs=1e-9)


@pytest.mark.parametrize("fidelity", [0.6, 0.8])
@pytest.mark.parametrize("protocol", ["bbpssw", "dejmps"])
async def test_one_round_succeeds_as_often_as_equal_outcomes_are_likely(
    protocol: str, fidelity: float, tmp_path: Path
) -> None:
    world = row([WernerSource(fidelity=fidelity)], seed=45)
    found = await delivered(world, PAIRS, tmp_path / "record", purify=protocol)
    trials = _measured_until(tmp_path / "record", found.at_alice[-1])
    success, _ = dejmps(bell(fidelity))
    assert likely_share(PAIRS, trials, success)
    # pairs are spent in their order, two for each trial: the last one delivered was in the last of them
    assert int(found.pairs[-1].rpartition("/")[2]) == 2 * trials - 1


@pytest.mark.parametrize("fidelity", [0.7, 0.85])
async def test_two_rounds_cost_as_many_pairs_as_both_their_odds_say(fidelity: float) -> None:
    found = await delivered(row([WernerSource(fidelity=fidelity)], seed=46), 60, purify="dejmps,dejmps")
    first, state = dejmps(bell(fidelity))
    second, _ = dejmps(state)
    spent = np.diff([int(pair.rpartition("/")[2]) for pair in found.pairs]).sum()
    # G2 trials of the second round, each with two pairs for which 2 G1 were spent; G1 and G2 are geometric
    mean = 4 / (first * second)
    variance = 2 / second * 4 * (1 - first) / first**2 + 4 * (1 - second) / second**2 * 4 / first**2
    assert abs(spent - mean * 59) < SIGMAS * sqrt(variance * 59) + mean


@pytest.mark.parametrize(
    ("fidelity", "gate", "readout"),
    [(0.8, 0.97, 0.98), (0.7, 0.99, 1.0), (0.75, 1.0, 0.95), (0.95, 0.9, 0.99)],
)
async def test_noisy_devices_at_both_ends_keep_pairs_that_should_have_failed(
    fidelity: float, gate: float, readout: float, tmp_path: Path
) -> None:
    gates = GateConfig(two_fidelity=gate, readout_error_0=1 - readout, readout_error_1=1 - readout)
    world = row([WernerSource(fidelity=fidelity)], seed=47, ends=gates)
    found = await delivered(world, PAIRS, tmp_path / "record", purify="dejmps")
    q, good, right = (1 - fidelity) / 3, gate**2, readout**2 + (1 - readout) ** 2
    equal = fidelity**2 + 2 * fidelity * q + 5 * q**2
    # both CNOTs are good with probability g^2, else all is I/16; the two readouts are both right or both wrong, or not
    really, falsely = good * equal + (1 - good) / 2, good * (1 - equal) + (1 - good) / 2
    success = right * really + (1 - right) * falsely
    well = (good * (fidelity**2 + q**2) + (1 - good) / 8) / really
    badly = (good * (fidelity * q + q**2) + (1 - good) / 8) / falsely
    law = (right * really * well + (1 - right) * falsely * badly) / success
    assert likely_mean(found.fidelities, law)
    is_well = np.abs(found.fidelities - well) < 1e-9
    assert np.all(is_well | (np.abs(found.fidelities - badly) < 1e-9))
    assert likely_share(int(is_well.sum()), PAIRS, right * really / success)
    assert likely_share(PAIRS, _measured_until(tmp_path / "record", found.at_alice[-1]), success)


async def test_purification_with_bad_gates_makes_good_pairs_worse() -> None:
    gates = GateConfig(two_fidelity=0.9)
    world = row([WernerSource(fidelity=0.95)] * 2, seed=48, ends=gates, repeaters=gates)
    plain = await delivered(world, 5)
    for purify in ("dejmps", "1:dejmps", "dejmps,1:dejmps"):
        found = await delivered(world, 5, purify=purify)
        assert found.fidelities.max() < plain.fidelities.min() - 0.01


@pytest.mark.parametrize("alpha", [0.1, 0.3])
async def test_epl_makes_perfect_pairs_of_those_that_one_click_heralds(alpha: float, tmp_path: Path) -> None:
    source = SingleClickSource(alpha=(alpha, alpha), emission=(0.01, 0.01))
    found = await delivered(row([source], seed=49), 30, tmp_path / "record", purify="epl")
    assert found.fidelities == pytest.approx(1.0, abs=1e-9)
    one, both = 2 * alpha * (1 - alpha) * 0.01, alpha**2 * (1 - 0.99**2)
    trials = _measured_until(tmp_path / "record", found.at_alice[-1])
    assert likely_share(30, trials, (one / (one + both)) ** 2 / 2)


def _measured_until(record: Path, time: float) -> int:
    """Count the purifications up to then: each measures one half at bob."""
    measured = events(record, "qubit.measured")
    return sum(event["node"] == "bob" and event["at"] <= time for event in measured)
