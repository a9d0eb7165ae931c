"""Cut-offs through the network: pairs that have waited for less are better, and rarer.

Two links of rates a and b, neither of which remembers; the repeater gives the first pair up after a time c. Let D be
how much longer the other one takes. The first is a's with probability a/(a+b), then D ~ Exp(b); they meet if D <= c.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from shared_state.config import MemoryConfig, WernerSource
from tests.nodes.runtime.network_physics import (
    delivered,
    heralds,
    likely_mean,
    likely_share,
    row,
    werner,
)

pytestmark = pytest.mark.thorough

FIDELITY = 0.97
LIFETIME = 0.02
"""Depolarising time of the repeater's memory in seconds."""
RATES = ((100.0, 100.0), (60.0, 300.0))
CUTOFFS = (0.002, 0.01, 0.03, inf)
PAIRS = 120


class Race(NamedTuple):
    """Two links that wait for each other, but no longer than ``cutoff``."""

    a: float
    b: float
    cutoff: float

    @property
    def meets(self) -> float:
        """Return P(D <= c)."""
        return self._over_both(lambda rate: 1 - exp(-rate * self.cutoff))

    @property
    def time(self) -> float:
        """Return the mean time of a pair: of a race, E[min] + E[min(D, c)], over P(D <= c)."""
        waited = self._over_both(lambda rate: (1 - exp(-rate * self.cutoff)) / rate)
        return (1 / (self.a + self.b) + waited) / self.meets

    def kept(self, lifetime: float) -> float:
        """Return E[e^(-D/lifetime) | D <= c]."""

        def share(rate: float) -> float:
            leaving = rate + 1 / lifetime
            return rate / leaving * (1 - exp(-leaving * self.cutoff))

        return self._over_both(share) / self.meets

    def _over_both(self, figure: Callable[[float], float]) -> float:
        return (self.a * figure(self.b) + self.b * figure(self.a)) / (self.a + self.b)


@pytest.mark.parametrize("cutoff", CUTOFFS)
@pytest.mark.parametrize("rates", RATES)
async def test_rate_and_fidelity_of_two_links_with_a_cut_off_are_those_of_the_closed_form(
    rates: tuple[float, float], cutoff: float, tmp_path: Path
) -> None:
    race = Race(*rates, cutoff)
    decaying = MemoryConfig(depolarising_time=LIFETIME)
    world = row(
        [WernerSource(rate=rate, fidelity=FIDELITY) for rate in rates],
        seed=31,
        memories=[MemoryConfig(), decaying, MemoryConfig()],
    )
    terms = {} if cutoff == inf else {"cutoff": cutoff}
    found = await delivered(world, PAIRS, tmp_path / "record", window=1, **terms)

    # each pair is as good as the time says that the first of its two has waited, and none has waited for longer
    waited = found.at_alice - found.heralded_at
    assert waited.max() <= cutoff
    weight = 0.75 * werner(FIDELITY) ** 2
    assert found.fidelities == pytest.approx(0.25 + weight * np.exp(-waited / LIFETIME), abs=1e-9)

    kept, kept_twice = race.kept(LIFETIME), race.kept(LIFETIME / 2)
    assert likely_mean(found.fidelities, 0.25 + weight * kept, weight * sqrt(kept_twice - kept**2))
    assert likely_mean(found.intervals, race.time)
    # whatever was heralded until the last delivery was swapped, or given up when its race was lost
    made = sum(
        int((times <= found.at_alice[-1]).sum()) for times in heralds(tmp_path / "record", "r1").values()
    )
    assert likely_share(PAIRS, made - PAIRS, race.meets)


def test_a_shorter_cut_off_costs_rate_and_gains_fidelity() -> None:
    for rates in RATES:
        races = [Race(*rates, cutoff) for cutoff in CUTOFFS]
        assert [race.time for race in races] == sorted([race.time for race in races], reverse=True)
        kept = [race.kept(LIFETIME) for race in races]
        assert kept == sorted(kept, reverse=True)
        assert races[-1].time == pytest.approx(1 / rates[0] + 1 / rates[1] - 1 / sum(rates))


@pytest.mark.parametrize(("n", "order"), [(3, "asap"), (4, "nested"), (5, "asap")])
async def test_longer_chains_keep_their_pairs_in_step_however_many_expire(
    n: int, order: str, tmp_path: Path
) -> None:
    sources = [WernerSource(rate=200.0 * (1 + link % 2), fidelity=FIDELITY) for link in range(n)]
    world = row(sources, seed=32)
    found = await delivered(world, 40, tmp_path / "record", window=2, cutoff=0.003, order=order)
    # a half that is in the wrong pair would be in I/4 with the other end's
    assert found.fidelities == pytest.approx(0.25 + 0.75 * werner(FIDELITY) ** n, abs=1e-9)
    first = heralds(tmp_path / "record", "alice")["alice-r1"]
    assert (first <= found.at_alice[-1]).sum() > 1.3 * 40  # it was put to the test
