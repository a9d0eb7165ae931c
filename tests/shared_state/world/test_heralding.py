"""Heralded pairs: attempts are geometric, arms are timed, and each end knows and ages in its own time."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from shared_state.clock import VirtualClock
from shared_state.config import (
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PhotonPairSource,
    SingleClickSource,
    SourceConfig,
    WorldConfig,
)
from shared_state.dice import Dice
from shared_state.engine.measures import bell_state, fidelity
from shared_state.errors import BadRequest
from shared_state.world.ends import Delivered, Outcome
from shared_state.world.heralding import scheme_of
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.queues import Ticket
from shared_state.world.schemes.scheme import Poisson, Trials
from shared_state.world.schemes.werner import werner_state

SIGMAS = 4.9  # two-sided false-alarm probability 1e-6


@pytest.mark.parametrize("f", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_werner_pair_has_its_fidelity_and_shares_the_rest_equally(f: float) -> None:
    rho = werner_state(f)
    assert rho.trace() == pytest.approx(1, abs=1e-15)
    assert fidelity(rho, bell_state(0, 0)) == pytest.approx(f, abs=1e-15)
    for x, z in ((0, 1), (1, 0), (1, 1)):
        assert fidelity(rho, bell_state(x, z)) == pytest.approx((1 - f) / 3, abs=1e-15)


@pytest.mark.parametrize("f", [-0.01, 1.01, float("nan")])
def test_a_fidelity_that_is_none_is_refused(f: float) -> None:
    with pytest.raises(ValueError, match=r"lies in 0 .. 1"):
        werner_state(f)


@pytest.mark.parametrize("rate", [0.5, 10_000.0])
def test_waiting_times_are_exponential_with_the_sources_rate(rate: float) -> None:
    times = np.diff(Poisson(rate).draw(20_000, 0.0, np.random.default_rng(2)).times, prepend=0.0)
    assert abs(times.mean() * rate - 1) < SIGMAS / sqrt(len(times))
    for multiple in (0.1, 1.0, 3.0):
        survivors = exp(-multiple)
        share = float((times > multiple / rate).mean())
        assert abs(share - survivors) < SIGMAS * sqrt(survivors * (1 - survivors) / len(times))


@pytest.mark.parametrize("p", [1.0, 0.7, 0.1, 1e-5, 1e-25])
def test_attempts_are_geometric_however_rare_a_pair_is(p: float) -> None:
    count, cycle, start = 40_000, 5e-6, 2.0
    attempts, times = Trials(p, cycle).draw(count, start, np.random.default_rng(3))
    variance = (1 - p) / p**2
    fourth = (9 + p**2 / (1 - p)) * variance**2 if p < 1 else 0.0  # about the mean
    assert abs(attempts.mean() - 1 / p) <= SIGMAS * sqrt(variance / count)
    assert abs(attempts.var() - variance) <= SIGMAS * sqrt((fourth - variance**2) / count)
    share = float((attempts == 1).mean())
    assert abs(share - p) <= SIGMAS * sqrt(p * (1 - p) / count) + 1e-12
    np.testing.assert_allclose(times - start, (np.cumsum(attempts) - 1) * cycle, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("midpoint", [None, 0.0, 4e3, 20e3])
def test_clicks_are_timed_so_that_photons_meet_and_heralds_return(midpoint: float | None) -> None:
    fibre = FibreConfig(20e3)
    first, second = (10e3, 10e3) if midpoint is None else (midpoint, 20e3 - midpoint)
    scheme = scheme_of(SingleClickSource(midpoint=midpoint), fibre)
    longer = max(first, second)
    assert scheme.stored_after == pytest.approx(((longer - first) / 2e8, (longer - second) / 2e8))
    assert scheme.heralded_after == pytest.approx(((longer + first) / 2e8, (longer + second) / 2e8))
    assert scheme.process.cycle == pytest.approx(max(1e-5, 2 * longer / 2e8))
    multiplexed = scheme_of(SingleClickSource(midpoint=midpoint, multiplexed=True), fibre)
    assert multiplexed.process.cycle == pytest.approx(1e-5)


@pytest.mark.parametrize("midpoint", [0.0, 3e3, 20e3])
def test_a_pair_source_is_known_when_the_other_ends_word_has_come(midpoint: float) -> None:
    scheme = scheme_of(PhotonPairSource(midpoint=midpoint), FibreConfig(20e3))
    first, second = midpoint / 2e8, (20e3 - midpoint) / 2e8
    assert scheme.stored_after == pytest.approx((first, second))
    assert scheme.heralded_after == pytest.approx((first + 2 * second, second + 2 * first))


def test_each_half_ages_from_its_own_storage_to_its_own_herald() -> None:
    source, fibre = PhotonPairSource(midpoint=3e3), FibreConfig(20e3, 0.0)
    memory = MemoryConfig(t1=1e-3, t2=1e-3)
    settled: dict[Ticket, Outcome] = {}
    node = NodeDevices(memory)
    world = WorldConfig({"alice": node, "bob": node}, {"ab": LinkDevices(("alice", "bob"), fibre, source)})
    nature = Nature(world, VirtualClock(), Dice(4))
    links = Links(nature, settled.__setitem__)
    ends = []
    for name in ("bob", "alice"):
        links.pairs.pair(name, name, 1.0, "run", "ab")
    for name, after in (("alice", 185e-6), ("bob", 115e-6)):
        delivered = settled[name]
        assert isinstance(delivered, Delivered)
        assert delivered.time == pytest.approx(1.0 + after)
        nature.gate(name, delivered.time, "z", [delivered.qubit], [])
        ends.append(delivered.qubit)
    rho = nature.density_matrix(ends).value
    # alice's half has been stored for 170 us, bob's for 30 us
    assert rho[0, 3] == pytest.approx(exp(-0.2) / 2, abs=1e-9)
    g, h = 1 - exp(-0.17), 1 - exp(-0.03)
    assert rho[0, 0] == pytest.approx((1 + g * h) / 2, abs=1e-9)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "has no source"),
        (SingleClickSource(emission=(0.0, 0.0)), "no attempt ever succeeds"),
        (SingleClickSource(emission=(1e-14, 1e-14)), "on average"),
        (PhotonPairSource(memories=False), "measure the pairs directly"),
    ],
)
def test_what_no_source_can_give_is_refused(source: SourceConfig | None, message: str) -> None:
    node = NodeDevices()
    devices = LinkDevices(("alice", "bob"), FibreConfig(0.0), source)
    world = WorldConfig({"alice": node, "bob": node}, {"ab": devices})
    links = Links(Nature(world, VirtualClock(), Dice(4)), lambda ticket, outcome: None)
    with pytest.raises(BadRequest, match=message):
        links.pairs.pair("a", "alice", 0.0, "run", "ab")
    assert links.ends.nature.ledger.reserved() == 0
