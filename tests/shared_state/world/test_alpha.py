"""Alpha is the link layer's choice: each request gets the state and the rate of the closed form at its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from math import exp, nan, sqrt
from typing import Any

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.clock import VirtualClock
from shared_state.config import (
    DoubleClickSource,
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PhotonPairSource,
    ServerConfig,
    SingleClickSource,
    SourceConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.dice import Dice
from shared_state.engine.measures import bell_state
from shared_state.errors import BadRequest
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.world.ends import Ends
from shared_state.world.nature import Nature
from shared_state.world.pair_links import MAX_SCHEMES, PairLinks

SIGMAS = 5.0  # two-sided false-alarm probability 6e-7
ALPHAS = (0.001, 0.03, 0.1, 0.25, 0.5, 0.9)
SOURCES = (
    SingleClickSource(emission=(0.2, 0.2)),
    SingleClickSource(emission=(0.9, 0.9), visibility=0.6, multiplexed=True),
    SingleClickSource(alpha=(0.05, 0.3), emission=(0.3, 0.3), phase_deviation=0.35, double_excitation=0.06),
)
FIBRE = FibreConfig(10e3)
Request = Callable[[NodeClient, float | None], Coroutine[Any, Any, object]]
REQUESTS: tuple[Request, ...] = (
    lambda node, alpha: node.pair(0.0, "run", "line", alpha=alpha),
    lambda node, alpha: node.pairs(0.0, "run", "line", 3, alpha=alpha),
    lambda node, alpha: node.measure_directly(0.0, "run", "line", 3, alpha=alpha),
)


class Lab:
    """alice - bob over one service, with memories without noise."""

    async def open(self, source: SourceConfig | None) -> Lab:
        world = WorldConfig(
            dict.fromkeys(("alice", "bob"), NodeDevices(MemoryConfig(count=5000))),
            {"line": LinkDevices(("alice", "bob"), FIBRE, source)},
            seed=3,
        )
        self.service = Service(ServerConfig("lab", world, {"alice": "a", "bob": "b"}, "o"), lambda: 0.0)
        self.alice = await NodeClient.local(self.service, name="alice")
        self.bob = await NodeClient.local(self.service, name="bob")
        self.oracle = await OracleClient.local(self.service)
        return self

    async def close(self) -> None:
        for party in (self.alice, self.bob, self.oracle):
            await party.close()

    async def pair_fidelity(self, alpha: float | None) -> float:
        """Make a pair and return its fidelity with Phi+."""
        halves = await asyncio.gather(
            *(node.pair(0.0, "run", "line", alpha=alpha) for node in (self.alice, self.bob))
        )
        for node, half in zip((self.alice, self.bob), halves, strict=True):
            await node.hand_over(half.time, [half.qubit])
        return await self.oracle.fidelity([half.qubit for half in halves], bell_state(0, 0))


def closed_form(source: SingleClickSource, alpha: float) -> tuple[float, float, float]:
    """Return the success probability of an attempt at ``alpha``, the share of both bright, and the fidelity.

    One bright end and its photon: 2 a (1-a) eta. Both bright: one photon arrives, or both leave by the same port.
    """
    eta, v = source.emission[0] * 10 ** (-FIBRE.length / 2 * 0.2e-4), source.visibility
    one = 2 * alpha * (1 - alpha) * eta
    both = alpha**2 * (2 * eta * (1 - eta) + eta**2 * (1 + v) / 2)
    dephasing = exp(-(source.phase_deviation**2) / 2) * (1 - source.double_excitation) ** 2
    return one + both, both / (one + both), one / (one + both) * (1 + sqrt(v) * dephasing) / 2


def cycle(source: SingleClickSource) -> float:
    return 1 / source.attempt_rate if source.multiplexed else max(1 / source.attempt_rate, FIBRE.length / 2e8)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("source", SOURCES)
async def test_a_pair_and_a_batch_have_the_fidelity_and_the_rate_of_the_closed_form(
    source: SingleClickSource, alpha: float
) -> None:
    probability, _, fidelity = closed_form(source, alpha)
    lab = await Lab().open(source)
    assert await lab.pair_fidelity(alpha) == pytest.approx(fidelity, abs=1e-9)
    count = 4000
    batch, _ = await asyncio.gather(
        *(node.pairs(0.0, "batch", "line", count, alpha=alpha) for node in (lab.alice, lab.bob))
    )
    fidelities = await lab.oracle.pair_fidelities("alice", batch.batch)
    np.testing.assert_allclose(fidelities, fidelity, atol=1e-9)
    # of a geometric number of attempts with mean 1/p the variance is (1-p)/p^2
    intervals = np.diff(batch.times)
    mean, deviation = cycle(source) / probability, cycle(source) * sqrt(1 - probability) / probability
    assert abs(intervals.mean() - mean) <= SIGMAS * deviation / sqrt(len(intervals))
    await lab.close()


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("source", SOURCES)
async def test_pairs_measured_on_arrival_disagree_in_z_as_often_as_both_ends_were_bright(
    source: SingleClickSource, alpha: float
) -> None:
    probability, bright, _ = closed_form(source, alpha)
    lab, count = await Lab().open(source), 20_000
    hers, his = await asyncio.gather(
        *(
            node.measure_directly(0.0, "run", "line", count, np.zeros(count, dtype=np.uint8), alpha=alpha)
            for node in (lab.alice, lab.bob)
        )
    )
    found = float((hers.bits ^ his.bits).mean())
    assert abs(found - bright) <= SIGMAS * sqrt(bright * (1 - bright) / count)
    mean, deviation = cycle(source) / probability, cycle(source) * sqrt(1 - probability) / probability
    assert abs(np.diff(hers.times).mean() - mean) <= SIGMAS * deviation / sqrt(count - 1)
    await lab.close()


@pytest.mark.parametrize("own", [0.05, 0.4])
async def test_without_an_alpha_a_request_gets_the_links_own_whatever_others_got(own: float) -> None:
    source = SingleClickSource(alpha=(own, own), emission=(0.2, 0.2))
    lab = await Lab().open(source)
    for alpha in (None, 0.3, None, own, 0.01, None):
        expected = closed_form(source, own if alpha is None else alpha)[2]
        assert await lab.pair_fidelity(alpha) == pytest.approx(expected, abs=1e-9)
    await lab.close()


@pytest.mark.parametrize(
    ("hers", "his", "said"),
    [
        (0.1, 0.2, r"alice asks for pairs of link 'line' at alpha 0.1, and bob at alpha 0.2"),
        (None, 0.2, r"at the link's own alpha, and bob at alpha 0.2"),
        (0.1, None, r"at alpha 0.1, and bob at the link's own alpha: both ends must ask for the same"),
    ],
)
async def test_both_ends_must_ask_for_the_same_alpha(
    hers: float | None, his: float | None, said: str
) -> None:
    lab = await Lab().open(SOURCES[0])
    for ask in REQUESTS:
        waiting = asyncio.create_task(ask(lab.alice, hers))
        await lab.alice.sync()
        with pytest.raises(BadRequest, match=said):
            await ask(lab.bob, his)
        await ask(lab.bob, hers)  # who has waited waits on, and is served
        await waiting
    await lab.close()


@pytest.mark.parametrize(
    "source",
    [WernerSource(), DoubleClickSource(), PhotonPairSource(), PhotonPairSource(memories=False)],
)
async def test_another_source_has_no_alpha_and_the_refusal_says_what_to_do(source: SourceConfig) -> None:
    lab = await Lab().open(source)
    for ask in REQUESTS:
        with pytest.raises(BadRequest, match=rf"scheme '{source.scheme}' and has no alpha: ask .* without"):
            await ask(lab.alice, 0.1)
    assert (await lab.oracle.census()).waiting == 0
    await lab.close()


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1, -0.1, 1.5, nan, True, "0.1"])
async def test_an_alpha_that_is_no_population_between_0_and_1_is_refused(alpha: object) -> None:
    lab = await Lab().open(SOURCES[0])
    with pytest.raises(BadRequest, match="'alpha' must be a number between 0 and 1"):
        await lab.alice.pair(0.0, "run", "line", alpha=alpha)  # type: ignore[arg-type]  # that is the point
    await lab.close()


async def test_an_alpha_at_which_no_pair_ever_comes_is_named() -> None:
    lab = await Lab().open(SOURCES[0])
    with pytest.raises(BadRequest, match=r"the source of link 'line' at alpha 1e-12 takes .* s for a pair"):
        await lab.alice.pair(0.0, "run", "line", alpha=1e-12)
    await lab.close()


def test_schemes_are_computed_once_and_of_many_alphas_the_last_are_kept() -> None:
    world = WorldConfig(
        {"alice": NodeDevices(), "bob": NodeDevices()},
        {"line": LinkDevices(("alice", "bob"), FIBRE, SOURCES[0])},
    )
    nature = Nature(world, VirtualClock(), Dice(1))
    links = PairLinks(Ends(nature, lambda ticket, outcome: None))
    assert links.scheme("line", 0.25) is links.scheme("line", 0.25)
    assert links.scheme("line", 0.25) is not links.scheme("line")
    for number in range(MAX_SCHEMES + 10):
        links.scheme("line", (number + 1) / (MAX_SCHEMES + 11))
    assert len(links._schemes) == MAX_SCHEMES


async def test_a_source_makes_pairs_of_several_alphas_one_after_the_other() -> None:
    lab = await Lab().open(replace(SOURCES[0], attempt_rate=1e3))
    last = 0.0
    for alpha in (0.5, None, 0.01):
        hers, _ = await asyncio.gather(
            *(node.pairs(0.0, "run", "line", 20, alpha=alpha) for node in (lab.alice, lab.bob))
        )
        assert hers.times[0] > last
        last = hers.times[-1]
    await lab.close()
