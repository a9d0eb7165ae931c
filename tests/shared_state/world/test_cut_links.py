"""A link that is cut makes no pairs and lets no light through; what had come before stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.config import (
    ClockConfig,
    ClockMode,
    DetectorConfig,
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
from shared_state.engine.measures import bell_state
from shared_state.errors import BadRequest, LinkDown, NoSuchQubit
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.world.path import darkened, path_of

FIBRE = FibreConfig(1000.0, attenuation_db_per_km=0.0)
DARK = 0.05
Request = Callable[[NodeClient], Coroutine[Any, Any, object]]
REQUESTS: tuple[Request, ...] = (
    lambda node: node.pair(0.0, "run", "ab"),
    lambda node: node.pairs(0.0, "run", "ab", 3),
    lambda node: node.measure_directly(0.0, "run", "ab", 3),
)


class Lab:
    """alice - bob over the link ab, bob - carol over bc; Eve on ab."""

    async def open(self, mode: ClockMode = "virtual", source: SourceConfig | None = None) -> Lab:
        pulses = PulseConfig(detectors=DetectorConfig(dark_count_probability=DARK))
        devices = LinkDevices(("alice", "bob"), FIBRE, source or WernerSource(), pulses)
        world = WorldConfig(
            dict.fromkeys(("alice", "bob", "carol"), NodeDevices(MemoryConfig(count=10))),
            {"ab": devices, "bc": replace(devices, endpoints=("bob", "carol"), source=WernerSource())},
            {"eve": TapConfig("ab", enabled=True, position=500.0)},
            ClockConfig(mode),
            seed=4,
        )
        self.wall = 10.0
        tokens = {name: name for name in world.nodes}
        self.service = Service(ServerConfig("lab", world, tokens, "o"), lambda: self.wall)
        self.wall += 10.0
        self.alice = await NodeClient.local(self.service, name="alice")
        self.bob = await NodeClient.local(self.service, name="bob")
        self.carol = await NodeClient.local(self.service, name="carol")
        self.oracle = await OracleClient.local(self.service)
        return self

    async def close(self) -> None:
        """End everything; nothing may be left of the run."""
        for node in (self.alice, self.bob, self.carol):
            await node.close_run("run")
        census = await self.oracle.census()
        assert (census.qubits, census.clusters, census.reserved, census.in_flight, census.waiting) == (0,) * 5
        assert set(census.held.values()) == {0}
        for party in (self.alice, self.bob, self.carol, self.oracle):
            await party.close()

    async def both(self, request: Request) -> list[Any]:
        """Let both ends of ab ask."""
        return list(await asyncio.gather(request(self.alice), request(self.bob)))


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    lab = await Lab().open()
    yield lab
    await lab.close()


@pytest.mark.parametrize("mode", ["virtual", "real-time"])
@pytest.mark.parametrize("request_", REQUESTS)
async def test_who_waits_and_who_comes_later_is_told_which_link_is_down_and_after_that_all_is_as_before(
    mode: ClockMode, request_: Request
) -> None:
    lab = await Lab().open(mode)
    waiting = asyncio.create_task(request_(lab.alice))
    await lab.alice.sync()
    await lab.oracle.set_link("ab", False)
    with pytest.raises(LinkDown, match=r"link 'ab' is down"):
        await waiting
    census = await lab.oracle.census()
    assert (census.waiting, census.reserved) == (0, 0)
    for node in (lab.alice, lab.bob):
        with pytest.raises(LinkDown, match=r"link 'ab' is down"):
            await request_(node)
    await lab.oracle.set_link("ab", False)  # twice is once
    await lab.oracle.set_link("ab", True)
    await lab.both(request_)
    await lab.close()


async def test_a_cut_concerns_no_other_link(lab: Lab) -> None:
    waiting = asyncio.create_task(lab.bob.pair(0.0, "run", "bc"))
    await lab.bob.sync()
    await lab.oracle.set_link("ab", False)
    assert (await lab.carol.pair(0.0, "run", "bc")).pair == (await waiting).pair


async def test_an_unknown_link_is_refused_with_the_names_of_all(lab: Lab) -> None:
    with pytest.raises(BadRequest, match=r"there is no link 'ba'; there are ab, bc"):
        await lab.oracle.set_link("ba", False)


async def test_only_the_oracle_cuts_links(lab: Lab) -> None:
    with pytest.raises(BadRequest, match="role 'oracle'"):
        await lab.alice._line.ask("set_link", 0.0, "ab", False)


@pytest.mark.parametrize("mode", ["virtual", "real-time"])
async def test_a_pair_that_was_heralded_before_stays(mode: ClockMode) -> None:
    lab = await Lab().open(mode, WernerSource(rate=1e6))
    await lab.oracle.set_tap("eve", False)
    hers, his = await lab.both(lambda node: node.pair(0.0, "run", "ab"))
    batches = await lab.both(lambda node: node.pairs(0.0, "run", "ab", 3))
    lab.wall += 5.0
    await lab.oracle.set_link("ab", False)
    assert list(await lab.oracle.pair_fidelities("alice", batches[0].batch)) == pytest.approx([1.0] * 3)
    lab.alice.gate(lab.wall, "x", [hers.qubit])
    for node, half in ((lab.alice, hers), (lab.bob, his)):
        await node.hand_over(lab.wall, [half.qubit])
    fidelity = await lab.oracle.fidelity([hers.qubit, his.qubit], bell_state(1, 0))
    assert fidelity == pytest.approx(1.0)
    await lab.oracle.discard([hers.qubit, his.qubit])
    bases = np.zeros(3, dtype=np.uint8)
    for node, batch in zip((lab.alice, lab.bob), batches, strict=True):
        await node.measure_pairs(lab.wall, batch.batch, bases)
    await lab.close()


async def test_qubits_put_on_a_cut_fibre_are_lost_and_come_out_as_nothing_in_time(lab: Lab) -> None:
    await lab.oracle.set_link("ab", False)
    waiting = asyncio.create_task(lab.bob.receive(0.0, "run", "ab"))
    await lab.bob.sync()
    await lab.alice.transmit(0.5, "run", "ab", await lab.alice.qubit(0.5, "run"))
    arrival = await waiting
    assert arrival.qubit is None
    assert arrival.time == pytest.approx(0.5 + 5e-6)
    assert (await lab.oracle.tap_report("eve")).pulses == 0
    await lab.oracle.set_link("ab", True)
    await lab.alice.transmit(0.6, "run", "ab", await lab.alice.qubit(0.6, "run"))
    assert (await lab.bob.receive(0.6, "run", "ab")).qubit is not None


async def test_light_that_was_on_the_fibre_at_the_cut_comes_out_of_it(lab: Lab) -> None:
    await lab.alice.transmit(0.5, "run", "ab", await lab.alice.qubit(0.5, "run"))
    await lab.oracle.set_link("ab", False)
    assert (await lab.bob.receive(0.6, "run", "ab")).qubit is not None


@pytest.mark.parametrize("drawn", [True, False])
async def test_of_a_train_on_a_cut_fibre_only_dark_counts_are_seen(lab: Lab, drawn: bool) -> None:
    count = 20_000
    bits = np.zeros(count, dtype=np.uint8)

    async def clicks(at: float) -> int:
        if drawn:
            await lab.alice.emit_train(at, "run", "ab", count)
            return len((await lab.bob.measure_train(at, "run", "ab", count)).indices)
        await lab.alice.emit_pulses(at, "run", "ab", bits, bits)
        return int((await lab.bob.measure_pulses(at, "run", "ab", bits)).clicked.sum())

    await lab.oracle.set_link("ab", False)
    dark = 1 - (1 - DARK) ** 2  # of either detector
    deviation = (dark * (1 - dark) * count) ** 0.5
    assert abs(await clicks(0.0) - dark * count) <= 5 * deviation  # false alarm 6e-7
    assert (await lab.oracle.tap_report("eve")).pulses == 0
    await lab.oracle.set_link("ab", True)
    assert await clicks(1.0) == count


@pytest.mark.parametrize("loss", [0.0, 3.0])
@pytest.mark.parametrize("length", [0.0, 1e3, 2e5])
def test_no_fibre_is_so_short_that_light_comes_through_when_it_is_cut(loss: float, length: float) -> None:
    devices = darkened(LinkDevices(("alice", "bob"), FibreConfig(length, insertion_loss_db=loss)))
    path = path_of(devices, "bob", {}, np.random.default_rng(1))
    assert path.delay == pytest.approx(length / 2e8)
    assert not any(path.carry_qubit(None, 0) for _ in range(100))  # type: ignore[arg-type]  # no tap looks at it


@pytest.mark.parametrize("source", [WernerSource(rate=0.1), SingleClickSource(attempt_rate=10.0)])
async def test_in_real_time_a_herald_that_was_still_to_come_turns_out_to_be_none(
    source: SourceConfig,
) -> None:
    lab = await Lab().open("real-time", source)
    halves = await lab.both(lambda node: node.pair(10.0, "run", "ab"))
    assert halves[0].time > 10.05
    await lab.oracle.set_link("ab", False)
    lab.alice.gate(halves[0].time, "h", [halves[0].qubit])  # a statement asks nothing, and is told nothing
    await lab.alice.sync()
    rho = await lab.oracle.density_matrix([half.qubit for half in halves])
    np.testing.assert_allclose(rho, np.eye(4) / 4, atol=1e-12)
    said = r"link 'ab' was cut before the herald of pair ab/1 had come; qubit \d is discarded"
    with pytest.raises(LinkDown, match=said):
        await lab.alice.measure(halves[0].time, halves[0].qubit, "Z")
    with pytest.raises(NoSuchQubit):  # once
        await lab.alice.measure(halves[0].time, halves[0].qubit, "Z")
    await lab.bob.discard(halves[1].time, halves[1].qubit)  # no error: it is gone by that
    assert (await lab.oracle.census()).qubits == 0
    await lab.close()


async def test_in_real_time_a_herald_that_comes_while_the_order_to_cut_is_on_its_way_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its holder may have used it by then."""
    lab = await Lab().open("real-time", WernerSource(rate=0.1))
    asked_at = await lab.oracle.now()
    halves = await lab.both(lambda node: node.pair(asked_at, "run", "ab"))
    lab.wall += max(half.time for half in halves) - asked_at
    monkeypatch.setattr(OracleClient, "now", AsyncMock(return_value=asked_at))
    await lab.oracle.set_link("ab", False)
    alice = await lab.alice.measure(halves[0].time, halves[0].qubit, "Z")
    assert alice == await lab.bob.measure(halves[1].time, halves[1].qubit, "Z")
    await lab.close()


async def test_in_real_time_a_batch_goes_as_a_whole_when_a_herald_of_it_was_still_to_come() -> None:
    lab = await Lab().open("real-time", WernerSource(rate=1.0))
    hers, _ = await lab.both(lambda node: node.pairs(10.0, "run", "ab", 5))
    lab.wall += float(hers.times[0] + hers.times[-1]) / 2 - 10.0
    await lab.oracle.set_link("ab", False)
    said = r"link 'ab' was cut before the heralds of the pairs ab/1..5 had all come; batch -1 is discarded"
    with pytest.raises(LinkDown, match=said):
        await lab.alice.measure_pairs(hers.times[-1], hers.batch, np.zeros(5, dtype=np.uint8))
    assert (await lab.oracle.census()).held == {"alice": 0, "bob": 5, "carol": 0}
    await lab.close()  # bob never looked


async def test_what_the_lab_knows_to_be_lost_is_gone_with_its_run() -> None:
    lab = await Lab().open("real-time", WernerSource(rate=0.01))
    await lab.both(lambda node: node.pair(10.0, "run", "ab"))
    await lab.both(lambda node: node.pairs(10.0, "run", "ab", 3))
    await lab.oracle.set_link("ab", False)
    await lab.close()


@pytest.mark.parametrize("midpoint", [0.0, 1000.0])
async def test_the_end_that_has_heard_the_herald_keeps_its_half_of_what_the_other_has_not(
    midpoint: float,
) -> None:
    # the further the source, the sooner an end has the other's acknowledgement: 5 us or 10 us after the photons left
    lab = await Lab().open("real-time", PhotonPairSource(midpoint=midpoint, attempt_rate=1.0))
    halves = dict(zip(("alice", "bob"), await lab.both(lambda n: n.pair(10.0, "run", "ab")), strict=True))
    early, late = sorted(halves, key=lambda node: halves[node].time)
    nodes = {"alice": lab.alice, "bob": lab.bob}
    lab.wall = 10.0 + (halves["alice"].time + halves["bob"].time) / 2
    await lab.oracle.set_link("ab", False)
    rho = await lab.oracle.density_matrix([half.qubit for half in halves.values()])
    np.testing.assert_allclose(rho, np.eye(4) / 4, atol=1e-12)
    with pytest.raises(LinkDown):
        await nodes[late].measure(halves[late].time, halves[late].qubit, "Z")
    assert await nodes[early].measure(halves[late].time, halves[early].qubit, "Z") in (0, 1)
    await lab.close()


async def test_the_source_is_free_when_the_link_is_up_again_and_its_emitters_rest_meanwhile() -> None:
    lab = await Lab().open("real-time", WernerSource(rate=1e-3))
    lost, _ = await lab.both(lambda node: node.pairs(10.0, "run", "ab", 9))
    await lab.oracle.set_link("ab", False)
    await lab.oracle.set_link("ab", True)
    again, _ = await lab.both(lambda node: node.pair(10.0, "run", "ab"))
    assert again.time < lost.times[-1]
    await lab.close()


@pytest.mark.parametrize("cut", [True, False])
async def test_attempts_disturb_what_is_stored_up_to_the_cut_only(cut: bool) -> None:
    lab = await Lab().open("real-time", SingleClickSource(attempt_rate=10.0, emission=(1e-3, 1e-3)))
    nature = lab.service._standing.nature
    nature.attempts._nodes = frozenset({"alice"})
    halves = await lab.both(lambda node: node.pair(10.0, "run", "ab"))
    lab.wall += 2.0
    if cut:
        await lab.oracle.set_link("ab", False)
    until = halves[0].time
    assert until > 13.0
    attempts = nature.attempts.count("alice", "run", 10.0, until)
    assert attempts == pytest.approx(20 if cut else (until - 10.0) * 10, abs=1.5)
    await lab.close()
