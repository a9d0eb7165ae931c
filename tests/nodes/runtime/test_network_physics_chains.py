"""Chains of links as the network swaps them: what ideal and what imperfect repeaters make of Werner pairs."""

from __future__ import annotations

import numpy as np
import pytest

from shared_state.config import GateConfig, WernerSource
from tests.nodes.runtime.network_physics import Delivered, delivered, likely_mean, likely_share, row, werner

pytestmark = pytest.mark.thorough

PAIRS = 150


async def chain(n: int, fidelity: float, count: int, order: str, repeaters: GateConfig) -> Delivered:
    sources = [WernerSource(rate=100.0 * (1 + link), fidelity=fidelity) for link in range(n)]
    return await delivered(row(sources, seed=100 * n + count, repeaters=repeaters), count, order=order)


@pytest.mark.parametrize("fidelity", [0.25, 0.7, 0.98])
@pytest.mark.parametrize(
    ("n", "order"),
    [
        (1, "asap"),
        (2, "nested"),
        (3, "asap"),
        (3, "nested"),
        (3, "r2,r1"),
        (4, "nested"),
        (5, "r3,r1,r4,r2"),
        (8, "asap"),
        (8, "nested"),
    ],
)
async def test_n_perfect_swaps_multiply_the_werner_parameters_in_any_order(
    n: int, order: str, fidelity: float
) -> None:
    found = await chain(n, fidelity, 4, order, GateConfig())
    assert found.fidelities == pytest.approx(0.25 + 0.75 * werner(fidelity) ** n, abs=1e-9)
    # nothing but a Werner pair: the three errors are equally likely
    assert np.ptp(found.bell_weights[:, 1:]) < 1e-9


async def test_links_of_different_quality_multiply_theirs() -> None:
    fidelities = (0.97, 0.8, 0.9, 0.65)
    sources = [WernerSource(fidelity=fidelity) for fidelity in fidelities]
    found = await delivered(row(sources, seed=3), 5, order="nested")
    expected = 0.25 + 0.75 * float(np.prod([werner(fidelity) for fidelity in fidelities]))
    assert found.fidelities == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "order"), [(2, "asap"), (3, "r2,r1"), (5, "nested")])
@pytest.mark.parametrize("quality", [0.5, 0.9, 0.99])
async def test_a_noisy_gate_of_each_repeater_costs_its_quality_in_every_pair(
    n: int, order: str, quality: float
) -> None:
    found = await chain(n, 0.93, 4, order, GateConfig(two_fidelity=quality))
    expected = 0.25 + 0.75 * quality ** (n - 1) * werner(0.93) ** n
    assert found.fidelities == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "order", "fidelity", "quality", "errors"),
    [
        (2, "asap", 0.93, 0.97, (0.03, 0.03)),
        (3, "nested", 0.97, 1.0, (0.1, 0.0)),
        (4, "asap", 0.95, 0.97, (0.015, 0.015)),
        (5, "r2,r4,r1,r3", 0.99, 0.99, (0.01, 0.07)),
    ],
)
async def test_misread_outcomes_put_as_many_pairs_into_the_wrong_frame_as_the_exact_law_says(
    n: int, order: str, fidelity: float, quality: float, errors: tuple[float, float]
) -> None:
    gates = GateConfig(two_fidelity=quality, readout_error_0=errors[0], readout_error_1=errors[1])
    found = (await chain(n, fidelity, PAIRS, order, gates)).fidelities
    # 0 and 1 are equally likely outcomes, so k is that of the mean error
    k, v = 1 - sum(errors), quality ** (n - 1) * werner(fidelity) ** n
    law = (1 + 2 * k ** (n - 1) * v + k ** (2 * (n - 1)) * v) / 4
    assert likely_mean(found, law)
    # and it is either right or wrong: (1 + 3v)/4 with the probability that makes up the law, or (1 - v)/4
    right = np.abs(found - (1 + 3 * v) / 4) < 1e-9
    assert np.all(right | (np.abs(found - (1 - v) / 4) < 1e-9))
    assert likely_share(int(right.sum()), PAIRS, (law - (1 - v) / 4) / v)


@pytest.mark.parametrize("n", [2, 4])
async def test_noise_on_each_qubit_of_the_gate_costs_both_their_shares(n: int) -> None:
    gates = GateConfig(two_fidelity=0.9, two_qubit_noise="each")
    p = 4 * (1 - 0.9**0.5) / 3
    found = await chain(n, 0.9, 4, "asap", gates)
    expected = 0.25 + 0.75 * (1 - p) ** (2 * (n - 1)) * werner(0.9) ** n
    assert found.fidelities == pytest.approx(expected, abs=1e-9)
