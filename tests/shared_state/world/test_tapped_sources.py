"""Eve beside a source of pairs: what she leaves of the pairs, what she takes, and what her books say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from math import pi, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_state.client import NodeClient
from shared_state.config import (
    DoubleClickSource,
    FibreConfig,
    LinkDevices,
    NodeDevices,
    PhotonPairSource,
    PulseConfig,
    ServerConfig,
    SingleClickSource,
    SourceConfig,
    TapConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.engine import pairs
from shared_state.errors import BadRequest
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.world.heralding import scheme_of
from shared_state.world.taps import TapReport

SIGMAS = 5.0  # two-sided false-alarm probability 6e-7
FIBRE = FibreConfig(20e3, insertion_loss_db=1.5)
PHOTONS = PhotonPairSource(pair_probability=0.3, fidelity=0.95, emission=(0.6, 0.4), memories=False)
QUBITS = [
    WernerSource(fidelity=0.9),
    replace(PHOTONS, dark_count_probability=0.01),
    DoubleClickSource(visibility=0.8, emission=(0.3, 0.5), dark_count_probability=0.01),
]
SINGLE_CLICK = SingleClickSource(alpha=(0.1, 0.3), visibility=0.9, emission=(0.3, 0.5), phase_deviation=0.2)
SHARES = st.floats(0.0, 1.0)
POSITIONS = st.floats(0.0, 20e3)


def eve(**settings: Any) -> TapConfig:
    return TapConfig("line", enabled=True, **settings)


def tensor(source: SourceConfig, *taps: TapConfig) -> pairs.Tensors:
    found: pairs.Tensors = pairs.from_density(scheme_of(source, FIBRE, taps).state[np.newaxis])[0]
    return found


class Lab:
    """alice - bob with taps over one service."""

    async def open(self, source: SourceConfig, **taps: TapConfig) -> Lab:
        link = LinkDevices(("alice", "bob"), FIBRE, source, PulseConfig(basis_probability=0.5))
        nodes = {"alice": NodeDevices(), "bob": NodeDevices()}
        world = WorldConfig(nodes, {"line": link}, taps, seed=3)
        service = Service(ServerConfig("lab", world, {"alice": "a", "bob": "b"}, "o"), lambda: 0.0)
        self.alice = await NodeClient.local(service, name="alice")
        self.bob = await NodeClient.local(service, name="bob")
        self.oracle = await OracleClient.local(service)
        return self

    async def close(self) -> None:
        for party in (self.alice, self.bob, self.oracle):
            await party.close()

    async def error_rate(self, count: int, basis: int) -> float:
        bases = np.full(count, basis, dtype=np.uint8)
        hers, his = await asyncio.gather(
            *(end.measure_directly(0.0, "run", "line", count, bases) for end in (self.alice, self.bob))
        )
        return float((hers.bits != his.bits).mean())

    async def chsh(self, count: int) -> float:
        """Measure S where hidden variables allow 2."""
        found = [
            end.measure_directly(0.0, "run", "line", count, angles=angles)
            for end, angles in ((self.alice, (0.0, pi / 2)), (self.bob, (pi / 4, 3 * pi / 4)))
        ]
        hers, his = await asyncio.gather(*found)
        products = 1.0 - 2.0 * (hers.bits ^ his.bits)
        setting = hers.bases * 2 + his.bases
        return sum(
            sign * float(products[setting == number].mean()) for number, sign in enumerate((1, -1, 1, 1))
        )


@pytest.mark.parametrize("source", QUBITS)
@given(fraction=SHARES, at=POSITIONS)
def test_interception_in_random_bases_takes_half_of_x_and_z_and_all_of_y(
    source: SourceConfig, fraction: float, at: float
) -> None:
    before, after = tensor(source), tensor(source, eve(fraction=fraction, position=at))
    left = np.array([1 - fraction / 2, 1 - fraction, 1 - fraction / 2])
    np.testing.assert_allclose(np.diag(after)[1:], left * np.diag(before)[1:], atol=1e-12)
    assert after[0, 0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("source", QUBITS)
@pytest.mark.parametrize(("basis", "kept"), [("X", 1), ("Y", 2), ("Z", 3)])
@given(fraction=SHARES)
def test_interception_in_one_basis_leaves_that_one(
    source: SourceConfig, basis: Any, kept: int, fraction: float
) -> None:
    before, after = tensor(source), tensor(source, eve(fraction=fraction, basis=basis))
    left = np.where(np.arange(4) == kept, 1.0, 1 - fraction)
    np.testing.assert_allclose(np.diag(after)[1:], (left * np.diag(before))[1:], atol=1e-12)


@pytest.mark.parametrize("basis", ["random", "X", "Y", "Z"])
@given(fraction=SHARES, at=POSITIONS)
def test_who_detects_a_single_click_photon_takes_of_the_coherence_only(
    basis: Any, fraction: float, at: float
) -> None:
    before = scheme_of(SINGLE_CLICK, FIBRE)
    after = scheme_of(SINGLE_CLICK, FIBRE, [eve(fraction=fraction, basis=basis, position=at)])
    np.testing.assert_allclose(np.diag(after.state), np.diag(before.state), atol=1e-12)
    assert after.state[0, 3] == pytest.approx((1 - fraction) * before.state[0, 3], abs=1e-12)
    assert after.process == before.process


@given(blocking=st.floats(0.0, 0.99))
def test_who_counts_single_click_photons_leaves_no_coherence_even_if_all_fly_on(blocking: float) -> None:
    tap = eve(strategy="photon-number-splitting", blocking=blocking)
    after = scheme_of(SINGLE_CLICK, FIBRE, [tap])
    assert after.state[0, 3] == 0
    dimmer = replace(SINGLE_CLICK, emission=(0.3 * (1 - blocking), 0.5))
    expected = scheme_of(dimmer, FIBRE)
    np.testing.assert_allclose(np.diag(after.state), np.diag(expected.state), atol=1e-12)
    assert after.process.mean == pytest.approx(expected.process.mean, rel=1e-12)


@pytest.mark.parametrize("source", [*QUBITS[1:], SINGLE_CLICK])
@pytest.mark.parametrize(("at", "side"), [(0.0, 0), (9e3, 0), (10e3, 1), (11e3, 1), (20e3, 1)])
@given(share=st.floats(0.0, 0.99))
def test_what_she_keeps_of_an_arms_light_is_loss_on_that_arm(
    source: Any, at: float, side: int, share: float
) -> None:
    emission = list(source.emission)
    emission[side] *= 1 - share
    expected = scheme_of(replace(source, emission=tuple(emission)), FIBRE)
    strategies: list[dict[str, Any]] = [{"strategy": "beam-splitting", "fraction": share}]
    if source is not SINGLE_CLICK:
        strategies.append({"strategy": "photon-number-splitting", "blocking": share})
    for settings in strategies:
        found = scheme_of(source, FIBRE, [eve(position=at, **settings)])
        np.testing.assert_allclose(found.state, expected.state, atol=1e-12)
        assert found.process.mean == pytest.approx(expected.process.mean, rel=1e-9)


@given(share=st.floats(0.0, 0.99))
def test_of_an_abstract_source_what_she_keeps_is_not_delivered(share: float) -> None:
    tap = eve(strategy="beam-splitting", fraction=share)
    found = scheme_of(WernerSource(rate=1000.0, fidelity=0.9), FIBRE, [tap, tap])
    assert 1 / found.process.mean == pytest.approx(1000.0 * (1 - share) ** 2, rel=1e-12)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("source", [WernerSource(), replace(PHOTONS, fidelity=1.0)])
async def test_interception_shows_as_a_quarter_of_errors_and_as_root_two_less_of_s(
    source: SourceConfig, fraction: float
) -> None:
    """Q = f/4 in both bases and S = 2 sqrt 2 (1 - f/2), which is sqrt 2 where all photons are measured."""
    lab, count = await Lab().open(source, eve=eve(fraction=fraction, position=3e3)), 30_000
    for basis in (0, 1):
        expected = fraction / 4
        found = await lab.error_rate(count, basis)
        assert abs(found - expected) <= SIGMAS * sqrt(expected * (1 - expected) / count)
    correlation = (1 - fraction / 2) / sqrt(2)
    deviation = sqrt(4 * (1 - correlation**2) / (count / 4))
    assert abs(await lab.chsh(count) - 2 * sqrt(2) * (1 - fraction / 2)) <= SIGMAS * deviation
    await lab.close()


async def test_pairs_in_memories_are_what_she_has_left_of_them() -> None:
    lab = await Lab().open(replace(PHOTONS, fidelity=1.0, memories=True), eve=eve(fraction=0.4))
    hers, _ = await asyncio.gather(*(end.pair(0.0, "run", "line") for end in (lab.alice, lab.bob)))
    await lab.alice.hand_over(hers.time, [hers.qubit])
    batches = await asyncio.gather(*(end.pairs(0.0, "run", "line", 5) for end in (lab.alice, lab.bob)))
    found = await lab.oracle.pair_fidelities("alice", batches[0].batch)
    np.testing.assert_allclose(found, (1 + 0.8 + 0.6 + 0.8) / 4, atol=1e-12)
    await lab.close()


async def test_she_acts_from_when_she_is_attached_until_she_is_detached() -> None:
    lab = await Lab().open(WernerSource(), eve=replace(eve(basis="Z"), enabled=False))
    assert await lab.error_rate(1000, 1) == 0
    await lab.oracle.set_tap("eve", enabled=True)
    found = await lab.error_rate(4000, 1)
    assert abs(found - 0.5) <= SIGMAS * sqrt(0.25 / 4000)
    assert await lab.error_rate(1000, 0) == 0  # in her own basis
    await lab.oracle.set_tap("eve", enabled=False)
    assert await lab.error_rate(1000, 1) == 0
    report = await lab.oracle.tap_report("eve")
    assert (report.pulses, report.kept, report.resent) == (5000, 5000, 5000)
    await lab.close()


@pytest.mark.parametrize("source", [WernerSource(), PHOTONS])
async def test_where_she_keeps_all_light_there_are_no_pairs_and_it_says_why(source: SourceConfig) -> None:
    lab = await Lab().open(source, eve=eve(strategy="beam-splitting"))
    with pytest.raises(BadRequest, match="with the taps on the fibre, makes no pairs"):
        await lab.alice.measure_directly(0.0, "run", "line", 1)
    await lab.close()


def met_by_photons(source: PhotonPairSource, count: int, taps: Sequence[TapConfig]) -> list[TapReport]:
    """Follow every photon of a source at the first end, of the second end's arm, in ``count`` attempts."""
    rng = np.random.default_rng(8)
    flying = rng.random(count) < source.pair_probability
    reports, place = [], 0.0
    for tap in taps:
        flying &= rng.random(count) < 10 ** (-0.02 * (tap.position - place) / 1e3)
        place = tap.position
        chosen = flying & (rng.random(count) < tap.fraction)
        resends = tap.strategy == "intercept-resend"
        reports.append(TapReport(int(flying.sum()), int(chosen.sum()), int(chosen.sum()) if resends else 0))
        flying &= resends | ~chosen
    return reports


@pytest.mark.parametrize("dark", [0.0, 0.05])
async def test_her_books_are_those_of_photons_followed_one_by_one(dark: float) -> None:
    source = replace(PHOTONS, midpoint=0.0, dark_count_probability=dark)
    taps = [
        eve(fraction=0.3, position=2e3),
        eve(strategy="beam-splitting", fraction=0.4, position=9e3),
        eve(fraction=1.0, position=15e3),
    ]
    lab, count = await Lab().open(source, **{f"eve{i}": tap for i, tap in enumerate(taps)}), 20_000
    hers, _ = await asyncio.gather(
        *(end.measure_directly(0.0, "run", "line", count) for end in (lab.alice, lab.bob))
    )
    attempts = round(float(hers.times[-1]) * source.attempt_rate)
    expected = met_by_photons(source, attempts, taps)
    for number, report in enumerate(expected):
        found = await lab.oracle.tap_report(f"eve{number}")
        for name in ("pulses", "kept", "resent"):
            one, other = getattr(found, name), getattr(report, name)
            assert abs(one - other) <= SIGMAS * sqrt(2 * max(other, 1)), name
    await lab.close()


@pytest.mark.parametrize("source", [replace(PHOTONS, midpoint=0.0), WernerSource(rate=1e6)])
async def test_no_pair_is_delivered_that_has_not_come_by(source: SourceConfig) -> None:
    tap = eve(strategy="photon-number-splitting", blocking=0.5, position=1e3)
    lab, count = await Lab().open(source, eve=tap), 5000
    await lab.error_rate(count, 0)
    report = await lab.oracle.tap_report("eve")
    assert report.pulses - report.kept >= count
    assert abs(report.kept - report.pulses / 2) <= SIGMAS * sqrt(report.pulses) / 2
    await lab.close()


@pytest.mark.parametrize("alpha", [0.05, 0.4])
async def test_bright_emitters_photons_come_by_the_tap(alpha: float) -> None:
    source = SingleClickSource(alpha=(alpha, 0.2), emission=(0.5, 0.5), multiplexed=True)
    lab, count = await Lab().open(source, eve=eve(position=5e3)), 5000
    hers, _ = await asyncio.gather(
        *(end.measure_directly(0.0, "run", "line", count) for end in (lab.alice, lab.bob))
    )
    attempts = float(hers.times[-1]) * source.attempt_rate
    expected = attempts * alpha * 0.5 * 10 ** (-(0.75 + 1.0) / 10)
    report = await lab.oracle.tap_report("eve")
    assert abs(report.pulses - expected) <= SIGMAS * sqrt(expected)
    await lab.close()
