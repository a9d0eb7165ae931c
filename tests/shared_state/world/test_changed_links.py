"""A link that is changed while the lab runs is as good, and as bad, as one that was so from the beginning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.config import (
    DetectorConfig,
    DoubleClickSource,
    FibreConfig,
    LinkDevices,
    MemoryConfig,
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
from shared_state.engine.measures import bell_state, fidelity
from shared_state.errors import BadRequest
from shared_state.oracle import OracleClient
from shared_state.record_file import RecordFile
from shared_state.service import Service
from shared_state.world.expectations import click_probability
from shared_state.world.heralding import scheme_of

SIGMAS = 4.9
"""Standard deviations: a correct implementation fails a test once in 10^6."""
ENDS = ("alice", "bob")
BEFORE = LinkDevices(ENDS, FibreConfig(10e3), WernerSource(rate=1000.0, fidelity=0.95))


@dataclass(frozen=True)
class Lab:
    """alice and bob at the ends of ``ab``, and the oracle."""

    alice: NodeClient
    bob: NodeClient
    oracle: OracleClient

    async def pairs(self, count: int) -> tuple[float, float]:
        """Let both ask for pairs; return their mean interval and fidelity."""
        one, other = await asyncio.gather(
            *(end.pairs(0.0, "run", "ab", count) for end in (self.alice, self.bob))
        )
        fidelities = await self.oracle.pair_fidelities("alice", one.batch)
        for end, batch in ((self.alice, one.batch), (self.bob, other.batch)):
            await end.discard_pairs(float(one.times[-1]), batch)
        return float(np.diff(one.times).mean()), float(fidelities.mean())

    async def clicks(self, pulses: int) -> int:
        """Send pulses all in Z and measure them so; return how many clicks there were."""
        zeros = np.zeros(pulses, dtype=np.uint8)
        await self.alice.emit_pulses(0.0, "light", "ab", zeros, zeros)
        seen = await self.bob.measure_pulses(0.0, "light", "ab", zeros)
        return int(np.sum(seen.clicked))


@asynccontextmanager
async def opened(
    devices: LinkDevices, taps: dict[str, TapConfig] | None = None, record: Path | None = None
) -> AsyncIterator[Lab]:
    """A lab with one link."""
    nodes = dict.fromkeys(ENDS, NodeDevices(MemoryConfig(count=2**15)))
    world = WorldConfig(nodes, {"ab": devices}, taps or {}, seed=11)
    config = ServerConfig("lab", world, dict.fromkeys(ENDS, "token"), oracle_token="oracle")
    file = None if record is None else RecordFile(record)
    service = Service(config, lambda: 0.0, record=file)
    alice, bob = [await NodeClient.local(service, name=name) for name in ENDS]
    lab = Lab(alice, bob, await OracleClient.local(service))
    yield lab
    for party in (lab.alice, lab.bob, lab.oracle):
        await party.close()


CHANGES: list[tuple[FibreConfig, SourceConfig]] = [
    (FibreConfig(10e3), WernerSource(rate=200.0, fidelity=0.8)),
    (FibreConfig(40e3, 0.3), WernerSource(rate=200.0, fidelity=0.8)),
    (FibreConfig(10e3, 0.2, 3.0), SingleClickSource(attempt_rate=1e6, multiplexed=True, visibility=0.8)),
    (FibreConfig(20e3, 0.25), DoubleClickSource(attempt_rate=1e6, multiplexed=True, visibility=0.9)),
    (FibreConfig(5e3, 0.5, 1.0), PhotonPairSource(pair_probability=0.1, fidelity=0.9)),
    (FibreConfig(30e3, 0.2), PhotonPairSource(pair_probability=0.1, fidelity=0.9, midpoint=1e3)),
]


@pytest.mark.parametrize(("fibre", "source"), CHANGES)
async def test_rate_and_fidelity_are_those_of_the_new_devices(
    fibre: FibreConfig, source: SourceConfig
) -> None:
    count = 4000
    expected = scheme_of(source, fibre)
    async with opened(BEFORE) as lab:
        await lab.pairs(10)
        await lab.oracle.change_link("ab", replace(BEFORE, fibre=fibre, source=source))
        interval, found = await lab.pairs(count)
        assert found == pytest.approx(fidelity(expected.state, bell_state(0, 0)), abs=1e-9)
        # the standard deviation of an interval is its mean at most
        assert abs(interval / expected.process.mean - 1) <= SIGMAS / sqrt(count - 1)
        await lab.oracle.change_link("ab", BEFORE)
        interval, found = await lab.pairs(count)
        assert found == pytest.approx(0.95, abs=1e-9)
        assert abs(interval * 1000 - 1) <= SIGMAS / sqrt(count - 1)


@pytest.mark.parametrize("loss_db", [0.0, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("efficiency", [0.2, 1.0])
async def test_light_is_lost_and_detected_as_by_the_new_fibre_and_detectors(
    loss_db: float, efficiency: float
) -> None:
    pulses = PulseConfig(detectors=DetectorConfig(efficiency, 1e-3))
    new = replace(BEFORE, fibre=FibreConfig(15e3, 0.2, loss_db), pulses=pulses)
    count, chance = 100_000, click_probability(new.fibre, new.pulses, None, "Z")
    async with opened(BEFORE) as lab:
        await lab.oracle.change_link("ab", new)
        clicks = await lab.clicks(count)
    assert abs(clicks - count * chance) <= SIGMAS * sqrt(count * chance * (1 - chance))


async def test_light_on_the_fibre_comes_out_as_it_went_in(tmp_path: Path) -> None:
    clear, dark = (replace(BEFORE, fibre=FibreConfig(1e3, 0.0, loss)) for loss in (0.0, 1000.0))
    zeros = np.zeros(50, dtype=np.uint8)
    async with opened(clear) as lab:
        await lab.alice.emit_pulses(0.0, "light", "ab", zeros, zeros)
        await lab.oracle.change_link("ab", dark)
        seen = await lab.bob.measure_pulses(0.0, "light", "ab", zeros)
        assert int(np.sum(seen.clicked)) == 50
        assert await lab.clicks(50) == 0


@pytest.mark.parametrize(
    ("strategy", "fraction"), [("intercept-resend", f) for f in (0.1, 0.5, 1.0)] + [("beam-splitting", 0.5)]
)
async def test_an_eavesdropper_who_comes_later_leaves_on_pairs_what_her_strategy_leaves(
    strategy: str, fraction: float
) -> None:
    tap = TapConfig("ab", strategy=strategy, fraction=fraction, position=2e3, enabled=True)  # type: ignore[arg-type]
    photons = replace(BEFORE, source=PhotonPairSource(pair_probability=0.5))
    for devices in (BEFORE, photons):
        assert devices.source is not None
        expected = scheme_of(devices.source, devices.fibre, [tap])
        async with opened(devices) as lab:
            await lab.pairs(5)
            await lab.oracle.attach_tap("mallory", tap)
            interval, found = await lab.pairs(2000)
            assert found == pytest.approx(fidelity(expected.state, bell_state(0, 0)), abs=1e-9)
            assert abs(interval / expected.process.mean - 1) <= SIGMAS / sqrt(1999)
            assert (await lab.oracle.tap_report("mallory")).kept > 0
            await lab.oracle.detach_tap("mallory")
            assert (await lab.pairs(5))[1] == pytest.approx(
                fidelity(scheme_of(devices.source, devices.fibre).state, bell_state(0, 0))
            )


async def test_splitting_photon_numbers_takes_one_of_several_and_leaves_single_ones() -> None:
    tap = TapConfig("ab", strategy="photon-number-splitting", enabled=True)
    bright = replace(BEFORE, fibre=FibreConfig(1e3, 0.0), pulses=PulseConfig(intensities=(2.0,)))
    async with opened(bright) as lab:
        await lab.oracle.attach_tap("eve", tap)
        await lab.clicks(50_000)
        report = await lab.oracle.tap_report("eve")
        several = 1 - np.exp(-2.0) * 3
        assert abs(report.kept - 50_000 * several) <= SIGMAS * sqrt(50_000 * several * (1 - several))
    async with opened(BEFORE) as lab:
        await lab.oracle.attach_tap("eve", tap)
        await lab.clicks(1000)
        report = await lab.oracle.tap_report("eve")
        assert (report.kept, report.resent) == (0, 0)
        assert report.pulses == 1000


@pytest.mark.parametrize(
    ("devices", "says"),
    [
        (replace(BEFORE, endpoints=("bob", "alice")), "connects alice and bob for good"),
        (replace(BEFORE, fibre=FibreConfig(1e3)), "'eve' at 5000 m is beyond the end of link 'ab'"),
    ],
)
async def test_a_change_that_does_not_fit_is_refused_and_changes_nothing(
    devices: LinkDevices, says: str
) -> None:
    async with opened(BEFORE, {"eve": TapConfig("ab", position=5e3)}) as lab:
        with pytest.raises(BadRequest, match=says):
            await lab.oracle.change_link("ab", devices)
        with pytest.raises(BadRequest, match="there is no link 'ba'"):
            await lab.oracle.change_link("ba", BEFORE)
        assert (await lab.pairs(5))[1] == pytest.approx(0.95)


async def test_an_eavesdropper_who_does_not_fit_is_refused() -> None:
    async with opened(BEFORE, {"eve": TapConfig("ab")}) as lab:
        for name, tap, says in (
            ("eve", TapConfig("ab"), "there is a tap 'eve' already"),
            ("new", TapConfig("ba"), "there is no link 'ba'"),
            ("new", TapConfig("ab", position=11e3), "'new' at 11000 m is beyond the end"),
        ):
            with pytest.raises(BadRequest, match=says):
                await lab.oracle.attach_tap(name, tap)
        with pytest.raises(BadRequest, match="there is no tap 'new'"):
            await lab.oracle.detach_tap("new")
        with pytest.raises(BadRequest, match="is for the role 'oracle'"):
            await lab.alice._line.ask("detach_tap", 0.0, "eve")


async def test_the_record_tells_what_has_changed_and_nothing_else(tmp_path: Path) -> None:
    record = tmp_path / "record"
    async with opened(BEFORE, record=record) as lab:
        await lab.oracle.intervene(0.0, "change_link", "{}")
        await lab.oracle.change_link("ab", replace(BEFORE, fibre=FibreConfig(20e3)))
        await lab.oracle.attach_tap("eve", TapConfig("ab", fraction=0.5, enabled=True))
        await lab.oracle.detach_tap("eve")
        await lab.oracle.close_record()
    told = [json.loads(line) for line in record.read_text().splitlines()]
    assert [{key: value for key, value in line.items() if key not in ("at", "session")} for line in told] == [
        {"node": "control", "event": "lab.intervened", "what": "change_link", "arguments": "{}"},
        {"node": "control", "event": "link.changed", "link": "ab", "fibre.length": 20000.0},
        {
            "node": "control",
            "event": "tap.attached",
            "tap": "eve",
            "link": "ab",
            "strategy": "intercept-resend",
            "fraction": 0.5,
        },
        {"node": "control", "event": "tap.detached", "tap": "eve", "link": "ab"},
    ]
