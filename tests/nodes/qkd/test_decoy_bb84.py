"""Decoy-state BB84 over a real link: both ends count alike, and what Eve does shows in the counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from math import exp, sqrt
from typing import Any

import numpy as np
import pytest

from nodes.agreement import LinkAgreement
from nodes.errors import KeyRefused, ProtocolViolation
from nodes.ports import Peer
from nodes.qkd import decoy_bb84
from nodes.qkd.decoy_bb84 import Detections, Errors, Matches, Receiver, Transmitter
from nodes.qkd.filling import Counted
from nodes.qkd.sifting_codec import encode_indices, encode_marks
from nodes.runtime.clock import Alone, VirtualClock
from nodes.runtime.links import FibreLink
from nodes.runtime.qubits import Register
from nodes.runtime.trains import SentTrain
from nodes.trains import TrainClicks
from shared_state.client import NodeClient
from shared_state.config import (
    DetectorConfig,
    FibreConfig,
    LinkDevices,
    NodeDevices,
    PulseConfig,
    ServerConfig,
    TapConfig,
    WorldConfig,
)
from shared_state.service import Service

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]

SIGMAS = 4.9  # false alarm 1e-6
PULSES = PulseConfig(
    pulse_rate=1e8,
    intensities=(0.5, 0.15, 0.0),
    intensity_probabilities=(0.7, 0.2, 0.1),
    basis_probability=0.8,
    misalignment=0.02,
    detectors=DetectorConfig(0.25, 1e-5),
)
FIBRE = FibreConfig(20e3)


@dataclass
class CountingLink:
    """A link's end that counts the trains which have passed it."""

    link: FibreLink
    trains: list[int] = field(default_factory=list)

    @property
    def agreement(self) -> LinkAgreement:
        return self.link.agreement

    async def emit_train(self, count: int, *, ahead: bool = False) -> SentTrain:
        self.trains.append(count)
        return await self.link.emit_train(count, ahead=ahead)

    async def measure_train(self, count: int) -> TrainClicks:
        self.trains.append(count)
        return await self.link.measure_train(count)


@asynccontextmanager
async def laid(pulses: PulseConfig = PULSES, *eves: TapConfig, length: float = 20e3) -> AsyncIterator[Any]:
    """Lay a fibre; yield its two ends."""
    devices = LinkDevices(("alice", "bob"), replace(FIBRE, length=length), pulses=pulses)
    taps = {f"eve{number}": eve for number, eve in enumerate(eves)}
    world = WorldConfig({"alice": NodeDevices(), "bob": NodeDevices()}, {"ab": devices}, taps, seed=1)
    service = Service(ServerConfig("lab", world, {"alice": "a", "bob": "b"}, "oracle"), lambda: 0.0)
    agreement = LinkAgreement("decoy-bb84", pulse_rate=pulses.pulse_rate)
    clients = [await NodeClient.local(service, name=name) for name in ("alice", "bob")]
    yield [
        CountingLink(
            FibreLink(Register(client, VirtualClock(Alone()), "r"), "r", "ab", "", peer, 5.0, agreement)
        )
        for client, peer in zip(clients, ("bob", "alice"), strict=True)
    ]
    for client in clients:
        await client.close()


@pytest.fixture
def sift(connect: Connect, both: Both) -> Callable[..., Any]:
    async def blocks(
        size: int, number: int, *eves: TapConfig, light: PulseConfig = PULSES, **options: Any
    ) -> list[tuple[Counted, Counted]]:
        bob, alice = connect()
        async with laid(light, *eves) as (to_bob, to_alice):
            levels = len(light.intensities)
            transmitter = Transmitter(to_bob, bob, levels, size, **options)
            receiver = Receiver(to_alice, alice, levels, size, **options)
            counted = [await both(transmitter.block(), receiver.block()) for _ in range(number)]
            if not options.get("ahead"):
                assert to_bob.trains == to_alice.trains  # nothing is left on order
            return counted

    return blocks


@pytest.mark.parametrize("ahead", [0.0, 0.25])
@pytest.mark.parametrize("size", [700, 30_000, 200_000])
async def test_both_ends_count_the_same_blocks(sift: Callable[..., Any], size: int, ahead: float) -> None:
    for mine, his in await sift(size, 3, ahead=ahead):
        assert len(mine.key) == len(his.key) == size
        assert np.array_equal(mine.classes, his.classes)
        assert mine.pulses == his.pulses
        assert mine.tallies == his.tallies
        wrong = float((mine.key != his.key).mean())
        assert abs(wrong - 0.02) <= SIGMAS * sqrt(0.02 * 0.98 / size) + 1e-3  # dark counts
        assert sum(mine.tallies.key_detections) == size


async def test_gains_and_errors_are_those_of_the_formula(sift: Callable[..., Any]) -> None:
    """Q_mu = 1 - (1 - p_d)^2 e^(-mu eta), of the pulses of that intensity in that basis."""
    ((block, _),) = await sift(0, 1, pulses=10**7)
    assert block.pulses == 10**7
    eta = 0.25 * 10**-0.4
    for level, (mean, share) in enumerate(
        zip(PULSES.intensities, PULSES.intensity_probabilities, strict=True)
    ):
        gain = 1 - (1 - 1e-5) ** 2 * exp(-mean * eta)
        for counted, basis in (
            (block.tallies.key_detections[level], 0.8),
            (block.tallies.check_detections[level], 0.2),
        ):
            expected = 1e7 * share * basis**2 * gain
            assert abs(counted - expected) <= SIGMAS * sqrt(expected) + 1
    checks, wrong = block.tallies.check_detections[0], block.tallies.check_errors[0]
    assert abs(wrong - 0.02 * checks) <= SIGMAS * sqrt(0.02 * checks) + 3


async def test_whoever_measures_and_resends_makes_a_quarter_of_the_checks_wrong(
    sift: Callable[..., Any],
) -> None:
    ((block, _),) = await sift(100_000, 1, TapConfig("ab", enabled=True))
    checks, wrong = sum(block.tallies.check_detections), sum(block.tallies.check_errors)
    expected = 0.25 + 0.5 * 0.02
    assert abs(wrong / checks - expected) <= SIGMAS * sqrt(0.25 * 0.75 / checks) + 1e-3


async def test_whoever_splits_photon_numbers_shows_in_the_gains_and_not_in_the_errors(
    sift: Callable[..., Any],
) -> None:
    """Without single photons the gain falls with mu^2 and no more with mu: 1 - (1 + mu) e^-mu, nearly."""
    eve = TapConfig("ab", "photon-number-splitting", fraction=0.0, blocking=1.0, enabled=True)
    ratios = []
    for eves in ((), (eve,)):
        ((block, _),) = await sift(100_000, 1, *eves)
        signal, decoy, _ = block.tallies.key_detections
        ratios.append(decoy / 0.2 / (signal / 0.7))
        assert sum(block.tallies.check_errors) < 0.04 * sum(block.tallies.check_detections)
    assert ratios[0] == pytest.approx(0.15 / 0.5, rel=0.05)
    assert ratios[1] < 0.6 * ratios[0]


@pytest.mark.parametrize("intensities", [(0.3,), (0.5, 0.1), (0.9, 0.4, 0.2, 0.0)])
async def test_there_may_be_any_number_of_intensities(
    sift: Callable[..., Any], intensities: tuple[float, ...]
) -> None:
    light = replace(PULSES, intensities=intensities, intensity_probabilities=())
    ((mine, his),) = await sift(20_000, 1, light=light)
    assert mine.tallies == his.tallies
    assert len(mine.tallies.key_detections) == len(intensities)
    assert np.array_equal(mine.classes, his.classes)


async def test_what_goes_in_several_messages_is_the_same(
    sift: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ((whole, _),) = await sift(20_000, 1)
    monkeypatch.setattr(decoy_bb84, "MOST_CLICKS", 999)
    ((mine, his),) = await sift(20_000, 1)
    assert np.array_equal(mine.key, whole.key)
    assert mine.tallies == his.tallies == whole.tallies


async def test_nothing_is_told_of_bases_and_intensities_before_bob_has_measured(
    connect: Connect, both: Both
) -> None:
    told: list[str] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        told.append(f"{sender}: {type(message).__name__}")
        return [message]

    bob, alice = connect(listen)
    async with laid() as (to_bob, to_alice):
        ends = Transmitter(to_bob, bob, 3, 0, 10_000), Receiver(to_alice, alice, 3, 0, 10_000)
        await both(*(end.block() for end in ends))
    assert told == ["bob: Detections", "alice: Matches", "bob: Errors"]


async def test_no_more_is_told_of_any_train_where_light_is_ordered_ahead(
    connect: Connect, both: Both
) -> None:
    told: list[str] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        told.append(type(message).__name__)
        return [message]

    bob, alice = connect(listen)
    async with laid() as (to_bob, to_alice):
        terms: dict[str, Any] = {"levels": 3, "size": 0, "pulses": 10**7, "ahead": 0.25}
        await both(Transmitter(to_bob, bob, **terms).block(), Receiver(to_alice, alice, **terms).block())
        assert to_bob.trains == to_alice.trains
        assert sum(to_bob.trains) == 10**7
    announced, matched, compared = (
        np.cumsum([name == kind.__name__ for name in told]) for kind in (Detections, Matches, Errors)
    )
    assert announced[-1] == matched[-1] == compared[-1] > 8
    assert (announced >= matched).all()
    assert (matched >= compared).all()
    assert 1 < (announced - compared).max() <= decoy_bb84.MOST_BEHIND + 1


async def test_a_link_on_which_nothing_comes_through_is_given_up_by_both_alike(
    connect: Connect, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoy_bb84, "MOST_TRAINS_WITHOUT_KEY", 5)
    bob, alice = connect()
    dark = replace(PULSES, detectors=DetectorConfig(0.25, 0.0))
    async with laid(dark, length=1e6) as (to_bob, to_alice):
        ends = Transmitter(to_bob, bob, 3, 1000), Receiver(to_alice, alice, 3, 1000)
        for _ in range(2):
            for failure in await both(*(end.block() for end in ends)):
                assert isinstance(failure, KeyRefused)
                assert "look for the loss" in failure.reason
        assert len(to_bob.trains) == 10


FIRST_TRAIN = 100_000


@pytest.mark.parametrize(
    "message",
    [
        Detections(FIRST_TRAIN + 1, b"", b""),
        Detections(-1, b"", b""),
        Detections(5, encode_indices(np.arange(4), FIRST_TRAIN), encode_marks(np.zeros(5, np.uint8))),
        Detections(5, encode_indices(np.arange(5), FIRST_TRAIN), encode_marks(np.ones(6, np.uint8))),
        Detections(0, b"\x01", encode_marks(np.zeros(0, np.uint8))),
    ],
)
async def test_alice_refuses_detections_that_cannot_be(connect: Connect, message: Detections) -> None:
    bob, alice = connect()
    await alice.send(message)
    async with laid() as (to_bob, _):
        with pytest.raises(ProtocolViolation):
            await Transmitter(to_bob, bob, 3, 1000).block()


async def test_alice_refuses_detections_in_disorder(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoy_bb84, "MOST_CLICKS", 2)
    bob, alice = connect()
    for indices in ([5, 6], [6, 7]):
        marks = encode_marks(np.zeros(2, np.uint8))
        await alice.send(Detections(4, encode_indices(np.array(indices), FIRST_TRAIN), marks))
    async with laid() as (to_bob, _):
        with pytest.raises(ProtocolViolation, match="disorder"):
            await Transmitter(to_bob, bob, 3, 1000).block()


@pytest.mark.parametrize(
    "wrong", [(), ((0, 0),), ((0, 0, 0), (0, 0)), ((-1, 0, 0),), ((10**9, 0, 0),), ((2**50, 0, 0),)]
)
async def test_alice_refuses_errors_that_cannot_be(
    connect: Connect, wrong: tuple[tuple[int, ...], ...]
) -> None:
    bob, alice = connect()
    marks = encode_marks(np.zeros(5, np.uint8))
    await alice.send(Detections(5, encode_indices(np.arange(5), FIRST_TRAIN), marks))
    await alice.send(Errors(wrong))
    async with laid() as (to_bob, _):
        with pytest.raises(ProtocolViolation, match="errors"):
            await Transmitter(to_bob, bob, 3, 1000).block()


@pytest.mark.parametrize("forged", [{"differ": b""}, {"intensities": ()}, {"checks": b""}])
async def test_bob_refuses_matches_that_do_not_fit_his_detections(
    connect: Connect, forged: dict[str, Any]
) -> None:
    def forge(sender: str, number: int, message: object) -> list[object]:
        return [replace(message, **forged) if isinstance(message, Matches) else message]

    bob, alice = connect(forge)
    async with laid() as (to_bob, to_alice):
        receiver = Receiver(to_alice, alice, 3, 0, 10_000)
        transmitter = Transmitter(to_bob, bob, 3, 0, 10_000)
        waiting = asyncio.create_task(transmitter.block())  # for his errors
        async with asyncio.timeout(20):
            with pytest.raises(ProtocolViolation):
                await receiver.block()
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
