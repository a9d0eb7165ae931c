"""Pairs measured on arrival: the outcomes are those of the heralded state, and no memory has a part in it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import cos, pi, sin, sqrt
from time import perf_counter

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.arguments import MAX_PAIRS
from shared_state.client import NodeClient
from shared_state.config import (
    DoubleClickSource,
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PhotonPairSource,
    PulseConfig,
    ServerConfig,
    SingleClickSource,
    SourceConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.deliveries import PairOutcomes
from shared_state.engine import pairs
from shared_state.errors import BadRequest, LimitExceeded, PeerDeparted, PeerLeftRun, RunClosed
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.world.heralding import scheme_of

SIGMAS = 5.0  # two-sided false-alarm probability 6e-7
FIBRE = FibreConfig(10e3)
PHOTONS = PhotonPairSource(
    attempt_rate=1e6, pair_probability=0.1, fidelity=0.95, emission=(0.6, 0.4), memories=False
)
PAULI = (3, 1, 2)  # the row of a correlation tensor that a basis code measures
NOISY = GateConfig(readout_error_0=0.02, readout_error_1=0.1)
Bits = NDArray[np.uint8]


class Lab:
    """alice - bob over one service; alice is the link's first end."""

    async def open(
        self,
        source: SourceConfig | None,
        memories: MemoryConfig | None = None,
        gates: tuple[GateConfig, GateConfig] = (GateConfig(), GateConfig()),
        **link: object,
    ) -> Lab:
        one = memories or MemoryConfig()
        devices = LinkDevices(("alice", "bob"), FIBRE, source)
        world = WorldConfig(
            {name: NodeDevices(one, own) for name, own in zip(("alice", "bob"), gates, strict=True)},
            {"line": replace(devices, **link)},  # type: ignore[arg-type]  # as each test needs
            seed=3,
        )
        service = Service(ServerConfig("lab", world, {"alice": "a", "bob": "b"}, "o"), lambda: 0.0)
        self.alice = await NodeClient.local(service, name="alice")
        self.bob = await NodeClient.local(service, name="bob")
        self.oracle = await OracleClient.local(service)
        return self

    async def close(self) -> None:
        for party in (self.alice, self.bob, self.oracle):
            await party.close()

    async def measure(
        self, count: int, hers: Bits | None = None, his: Bits | None = None, at: float = 0.0
    ) -> tuple[PairOutcomes, PairOutcomes]:
        return await asyncio.gather(
            self.alice.measure_directly(at, "run", "line", count, hers),
            self.bob.measure_directly(at, "run", "line", count, his),
        )


def signs(bits: Bits) -> NDArray[np.float64]:
    return np.where(bits == 1, -1.0, 1.0)


@pytest.mark.parametrize("gates", [(GateConfig(), GateConfig()), (NOISY, GateConfig(readout_error_0=0.05))])
@pytest.mark.parametrize(
    "source",
    [
        *(WernerSource(fidelity=fidelity) for fidelity in (0.25, 0.7, 1.0)),
        *(
            SingleClickSource(alpha=(alpha, 0.2), visibility=0.9, emission=(0.3, 0.1))
            for alpha in (0.05, 0.4)
        ),
        *(
            DoubleClickSource(visibility=v, emission=(0.3, 0.3), dark_count_probability=0.01)
            for v in (0.5, 1.0)
        ),
        *(replace(PHOTONS, dark_count_probability=dark) for dark in (0.0, 0.01, 0.2)),
        replace(PHOTONS, memories=True),
    ],
)
async def test_the_correlators_are_those_of_the_heralded_state_and_the_readout(
    source: SourceConfig, gates: tuple[GateConfig, GateConfig]
) -> None:
    # An end reports <a> = k s + c of an outcome s = +-1 with k = 1 - e0 - e1 and c = e1 - e0: with e0 = e1 the
    # correlator of the state shrinks to (1 - 2 e_A)(1 - 2 e_B) of itself.
    lab, count = await Lab().open(source, gates=gates), 54_000
    codes = np.arange(count, dtype=np.int64) % 9
    hers, his = await lab.measure(count, (codes // 3).astype(np.uint8), (codes % 3).astype(np.uint8))
    tensor = pairs.from_density(scheme_of(source, FIBRE).state[np.newaxis])[0]
    (ka, ca), (kb, cb) = (
        (1 - own.readout_error_0 - own.readout_error_1, own.readout_error_1 - own.readout_error_0)
        for own in gates
    )
    products = signs(hers.bits) * signs(his.bits)
    for code in range(9):
        a, b = PAULI[code // 3], PAULI[code % 3]
        expected = ka * kb * tensor[a, b] + ka * cb * tensor[a, 0] + ca * kb * tensor[0, b] + ca * cb
        some = products[codes == code]
        deviation = sqrt(max(1 - expected**2, 0.0) / len(some))
        assert abs(float(some.mean()) - expected) <= SIGMAS * deviation + 1e-9
    await lab.close()


@pytest.mark.parametrize(
    "memories",
    [
        MemoryConfig(count=1, t1=1e-9, t2=1e-9),
        MemoryConfig(count=1, cutoff=1e-9),
        MemoryConfig(count=1, attempt_dephasing=0.5),
    ],
)
@pytest.mark.parametrize("source", [WernerSource(), replace(PHOTONS, fidelity=1.0)])
async def test_memories_that_are_full_or_poor_make_no_difference(
    memories: MemoryConfig, source: SourceConfig
) -> None:
    lab, count = await Lab().open(source, memories), 300
    await lab.alice.qubit(0.0, "run")
    bases = (np.arange(count) % 3).astype(np.uint8)
    hers, his = await lab.measure(count, bases, bases)
    np.testing.assert_array_equal(hers.bits ^ his.bits, bases == 2)  # in Y the outcomes of Phi+ differ
    census = await lab.oracle.census()
    assert (census.held, census.reserved) == ({"alice": 1, "bob": 0}, 0)
    await lab.close()


@pytest.mark.parametrize(
    ("source", "disturbed"), [(PHOTONS, False), (SingleClickSource(emission=(0.5, 0.5)), True)]
)
async def test_emitters_disturb_what_is_stored_beside_them_and_detectors_do_not(
    source: SourceConfig, disturbed: bool
) -> None:
    lab = await Lab().open(source, MemoryConfig(count=2, attempt_dephasing=0.5))
    qubit = await lab.alice.qubit(0.0, "run")
    lab.alice.gate(0.0, "h", [qubit])
    hers, _ = await lab.measure(100)
    at = float(hers.times[-1])
    lab.alice.gate(at, "z", [qubit])
    await lab.alice.hand_over(at, [qubit])
    minus = np.array([1, -1], dtype=np.complex128) / sqrt(2)
    assert await lab.oracle.fidelity([qubit], minus) == pytest.approx(0.5 if disturbed else 1.0, abs=1e-9)
    await lab.close()


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.9, 1.0])
async def test_devices_draw_z_as_often_as_the_link_says(probability: float) -> None:
    lab = await Lab().open(replace(PHOTONS, fidelity=1.0), pulses=PulseConfig(basis_probability=probability))
    count = 20_000
    hers, his = await lab.measure(count)
    for end in (hers, his):
        in_z = float((end.bases == 0).mean())
        assert abs(in_z - probability) <= SIGMAS * sqrt(probability * (1 - probability) / count)
        assert set(end.bases.tolist()) <= {0, 1}
    alike = hers.bases == his.bases
    np.testing.assert_array_equal(hers.bits[alike], his.bits[alike])
    together = float(((hers.bases == 0) & (his.bases == 0)).mean())
    joint = probability**2
    assert abs(together - joint) <= SIGMAS * sqrt(joint * (1 - joint) / count)
    await lab.close()


async def test_one_end_may_state_its_bases_and_the_other_let_them_be_drawn() -> None:
    lab = await Lab().open(replace(PHOTONS, fidelity=1.0))
    stated = np.ones(500, dtype=np.uint8)
    hers, his = await lab.measure(500, stated, None)
    np.testing.assert_array_equal(hers.bases, stated)
    alike = his.bases == 1
    assert 0 < alike.sum() < 500
    np.testing.assert_array_equal(hers.bits[alike], his.bits[alike])
    await lab.close()


@pytest.mark.parametrize("midpoint", [0.0, 2000.0, 10_000.0])
@pytest.mark.parametrize("readout", [0.0, 1e-5, 1e-2])
async def test_an_end_knows_a_pair_when_it_has_read_its_half_and_heard_of_the_other(
    midpoint: float, readout: float
) -> None:
    gates = (GateConfig(readout_duration=readout), GateConfig())
    lab = await Lab().open(replace(PHOTONS, midpoint=midpoint), gates=gates)
    hers, his = await lab.measure(50)
    near, far, whole = midpoint / 2e8, (10_000.0 - midpoint) / 2e8, 10_000.0 / 2e8
    first = hers.times - max(far + whole, near + readout)
    second = his.times - (near + whole)
    np.testing.assert_allclose(first, second, atol=1e-12)  # when the source emitted the pair
    np.testing.assert_allclose(second * 1e6, np.round(second * 1e6), atol=1e-5)
    assert (np.diff(second) > 0).all()
    await lab.close()


async def test_the_source_makes_one_pair_after_the_other_whatever_becomes_of_them() -> None:
    lab = await Lab().open(WernerSource(rate=1000.0), MemoryConfig(count=20))
    hers, _ = await lab.measure(10)
    stored, _ = await asyncio.gather(
        lab.alice.pairs(0.0, "run", "line", 10), lab.bob.pairs(0.0, "run", "line", 10)
    )
    again, _ = await lab.measure(10)
    assert hers.times[-1] < stored.times[0]
    assert stored.times[-1] < again.times[0]
    assert stored.first == 11
    await lab.close()


@pytest.mark.parametrize("first", ["alice", "bob"])
async def test_who_asks_first_changes_nothing(first: str) -> None:
    async def measured(first: str) -> list[Bits]:
        lab = await Lab().open(PHOTONS, gates=(NOISY, NOISY))
        ends = {"alice": lab.alice, "bob": lab.bob}
        order = [first, *(set(ends) - {first})]
        found = await asyncio.gather(
            *(ends[name].measure_directly(0.0, "run", "line", 200, None) for name in order)
        )
        await lab.close()
        outcomes = dict(zip(order, found, strict=True))
        return [array for name in ends for array in (outcomes[name].bases, outcomes[name].bits)]

    np.testing.assert_array_equal(await measured(first), await measured("alice"))


async def test_a_request_to_store_pairs_does_not_meet_one_to_measure_them() -> None:
    lab = await Lab().open(WernerSource())
    storing = asyncio.create_task(lab.alice.pairs(0.0, "run", "line", 5))
    measuring = asyncio.create_task(lab.bob.measure_directly(0.0, "run", "line", 5))
    await lab.alice.sync()
    await lab.bob.sync()
    assert not storing.done()
    assert not measuring.done()
    hers = await lab.alice.measure_directly(0.0, "run", "line", 5)
    np.testing.assert_array_equal(hers.times, (await measuring).times)
    storing.cancel()
    await lab.close()


async def test_a_hundred_thousand_pairs_take_less_than_a_second() -> None:
    lab = await Lab().open(PHOTONS, gates=(NOISY, NOISY))
    began = perf_counter()
    hers, his = await lab.measure(100_000)
    assert perf_counter() - began < 1.0
    assert len(hers.bits) == len(his.bits) == 100_000
    await lab.close()


SOURCES = [
    WernerSource(fidelity=0.8),
    SingleClickSource(alpha=(0.05, 0.2), visibility=0.9, emission=(0.3, 0.1)),
    DoubleClickSource(visibility=0.5, emission=(0.3, 0.3), dark_count_probability=0.01),
    replace(PHOTONS, dark_count_probability=0.01),
]


@pytest.mark.parametrize("gates", [(GateConfig(), GateConfig()), (NOISY, GateConfig(readout_error_0=0.05))])
@pytest.mark.parametrize("source", SOURCES)
async def test_along_angles_the_correlators_are_those_of_the_heralded_state_too(
    source: SourceConfig, gates: tuple[GateConfig, GateConfig]
) -> None:
    lab, count = await Lab().open(source, gates=gates), 40_000
    hers, his = (0.0, 0.7, -2.0, 9.0), (1.1, pi / 2)
    codes = np.arange(count, dtype=np.int64) % 8
    mine, theirs = (codes // 2).astype(np.uint8), (codes % 2).astype(np.uint8)
    found, other = await asyncio.gather(
        lab.alice.measure_directly(0.0, "run", "line", count, mine, angles=hers),
        lab.bob.measure_directly(0.0, "run", "line", count, theirs, angles=his),
    )
    np.testing.assert_array_equal(found.bases, mine)
    tensor = pairs.from_density(scheme_of(source, FIBRE).state[np.newaxis])[0]
    products = signs(found.bits) * signs(other.bits)
    for code in range(8):
        a, b = (
            (own.readout_error_1 - own.readout_error_0) * np.eye(4)[0]
            + (1 - own.readout_error_0 - own.readout_error_1) * np.array([0.0, sin(angle), 0.0, cos(angle)])
            for own, angle in zip(gates, (hers[code // 2], his[code % 2]), strict=True)
        )
        expected, some = float(a @ tensor @ b), products[codes == code]
        deviation = sqrt(max(1 - expected**2, 0.0) / len(some))
        assert abs(float(some.mean()) - expected) <= SIGMAS * deviation + 1e-9
    await lab.close()


async def test_devices_draw_all_angles_alike_and_say_which() -> None:
    lab, count = await Lab().open(WernerSource(), pulses=PulseConfig(basis_probability=0.9)), 30_000
    angles = (0.0, 1.0, 2.0)
    hers, his = await asyncio.gather(
        *(end.measure_directly(0.0, "run", "line", count, angles=angles) for end in (lab.alice, lab.bob))
    )
    together = np.bincount(hers.bases * 3 + his.bases, minlength=9)
    assert len(together) == 9
    assert (abs(together / count - 1 / 9) <= SIGMAS * sqrt(8 / 81 / count)).all()
    alike = hers.bases == his.bases
    np.testing.assert_array_equal(hers.bits[alike], his.bits[alike])  # Phi+ agrees along every angle
    await lab.close()


async def test_one_end_may_measure_along_angles_and_the_other_in_bases() -> None:
    lab, count = await Lab().open(WernerSource()), 2000
    axes = (0.0, pi / 2)
    hers, his = await asyncio.gather(
        lab.alice.measure_directly(0.0, "run", "line", count, angles=axes),
        lab.bob.measure_directly(0.0, "run", "line", count),
    )
    alike = hers.bases == his.bases
    np.testing.assert_array_equal(hers.bits[alike], his.bits[alike])
    await lab.close()


@pytest.mark.parametrize("angles", [[float("nan")], [float("inf")], [0.0] * 65])
async def test_directions_that_are_none_are_refused(angles: list[float]) -> None:
    lab = await Lab().open(WernerSource())
    with pytest.raises(BadRequest, match="64 finite angles"):
        await lab.alice.measure_directly(0.0, "run", "line", 1, angles=angles)
    with pytest.raises(BadRequest, match="no angle number 2 among 2"):
        await lab.alice.measure_directly(
            0.0, "run", "line", 1, np.array([2], dtype=np.uint8), angles=[0.0, 1.0]
        )
    await lab.close()


async def test_requests_that_do_not_fit_are_refused() -> None:
    lab = await Lab().open(PHOTONS)
    for count in (-1, 0, MAX_PAIRS + 1):
        with pytest.raises(LimitExceeded, match="1 to"):
            await lab.alice.measure_directly(0.0, "run", "line", count)
    with pytest.raises(BadRequest, match="4 pairs take as many bases, and 3 were given"):
        await lab.alice.measure_directly(0.0, "run", "line", 4, np.zeros(3, dtype=np.uint8))
    with pytest.raises(BadRequest, match="basis codes"):
        await lab.alice.measure_directly(0.0, "run", "line", 1, np.array([3], dtype=np.uint8))
    with pytest.raises(BadRequest, match="has no link"):
        await lab.alice.measure_directly(0.0, "run", "nowhere", 1)
    waiting = asyncio.create_task(lab.alice.measure_directly(0.0, "run", "line", 4))
    await lab.alice.sync()
    with pytest.raises(BadRequest, match="alice asks for 4 pairs"):
        await lab.bob.measure_directly(0.0, "run", "line", 5)
    his = await lab.bob.measure_directly(0.0, "run", "line", 4)
    np.testing.assert_array_equal((await waiting).times, his.times)
    await lab.close()


@pytest.mark.parametrize("source", [None, SingleClickSource(emission=(0.0, 0.0))])
async def test_a_link_that_never_makes_a_pair_says_so(source: SourceConfig | None) -> None:
    lab = await Lab().open(source)
    with pytest.raises(BadRequest, match=r"makes no pairs|no source"):
        await lab.alice.measure_directly(0.0, "run", "line", 1)
    await lab.close()


async def test_photons_that_nobody_stores_are_refused_to_who_would_store_them() -> None:
    lab = await Lab().open(PHOTONS)
    for asked in (lab.alice.pair(0.0, "run", "line"), lab.alice.pairs(0.0, "run", "line", 2)):
        with pytest.raises(BadRequest, match="measure the pairs directly"):
            await asked
    await lab.close()


async def test_stated_bases_may_not_fill_the_servers_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_state.world.limits.MAX_AWAITED", 100)
    lab, bases = await Lab().open(PHOTONS), np.zeros(60, dtype=np.uint8)
    waiting = asyncio.create_task(lab.alice.measure_directly(0.0, "run", "line", 60, bases))
    await lab.alice.sync()
    with pytest.raises(LimitExceeded, match="120 pulses or pairs"):
        await lab.alice.measure_directly(0.0, "run", "line", 60, bases)
    await lab.bob.measure_directly(0.0, "run", "line", 60)
    assert len((await waiting).bits) == 60
    await lab.close()


async def test_a_cancelled_request_meets_nobody() -> None:
    lab = await Lab().open(PHOTONS)
    waiting = asyncio.create_task(lab.alice.measure_directly(0.0, "run", "line", 4))
    await lab.alice.sync()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await lab.alice.sync()
    bobs = asyncio.create_task(lab.bob.measure_directly(0.0, "run", "line", 7))
    await lab.bob.sync()
    assert not bobs.done()
    assert len((await lab.alice.measure_directly(0.0, "run", "line", 7)).bits) == len((await bobs).bits) == 7
    await lab.close()


async def test_who_waits_is_told_when_the_other_end_leaves() -> None:
    lab = await Lab().open(PHOTONS)
    waiting = asyncio.create_task(lab.alice.measure_directly(0.0, "run", "line", 4))
    await lab.alice.sync()
    await lab.bob.close_run("run")
    with pytest.raises(PeerLeftRun):
        await waiting
    with pytest.raises(PeerLeftRun):
        await lab.alice.measure_directly(0.0, "run", "line", 4)
    with pytest.raises(RunClosed):
        await lab.bob.measure_directly(0.0, "run", "line", 4)
    waiting = asyncio.create_task(lab.alice.measure_directly(0.0, "other", "line", 4))
    await lab.alice.sync()
    await lab.bob.close()
    with pytest.raises(PeerDeparted):
        await waiting
    await lab.close()
