"""A role sends and measures trains whose settings the devices draw."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from nodes.errors import DeadlinePassed
from nodes.runtime.clock import Alone, RealTimeClock, VirtualClock
from nodes.runtime.links import FibreLink
from nodes.runtime.qubits import Register
from shared_state.client import NodeClient
from shared_state.config import (
    DetectorConfig,
    FibreConfig,
    LinkDevices,
    NodeDevices,
    PulseConfig,
    ServerConfig,
    WorldConfig,
)
from shared_state.service import Service

PULSES = PulseConfig(
    intensities=(0.5, 0.1), intensity_probabilities=(0.7, 0.3), detectors=DetectorConfig(0.1)
)


def service() -> Service:
    link = LinkDevices(("alice", "bob"), FibreConfig(20e3), pulses=PULSES)
    world = WorldConfig({"alice": NodeDevices(), "bob": NodeDevices()}, {"line": link}, seed=1)
    return Service(ServerConfig("lab", world, {"alice": "a", "bob": "b"}, oracle_token="oracle"), lambda: 0.0)


async def test_what_a_receiver_announces_its_sender_recalls() -> None:
    server, count = service(), 10**7
    async with asyncio.timeout(10):
        alice, bob = await NodeClient.local(server, name="alice"), await NodeClient.local(server, name="bob")
        clocks = VirtualClock(Alone()), VirtualClock(Alone())
        to_bob = FibreLink(Register(alice, clocks[0], "run"), "run", "line", "", "bob", 5.0)
        to_alice = FibreLink(Register(bob, clocks[1], "run"), "run", "line", "", "alice", 5.0)
        train, clicks = await asyncio.gather(to_bob.emit_train(count), to_alice.measure_train(count))
        assert clocks[0].now() == pytest.approx(10.0)
        assert clocks[1].now() == pytest.approx(10.0001)
        tally = await train.tally()
        settings = await train.recall(clicks.indices)
        await alice.close()
        await bob.close()
    agree = settings.bases == clicks.bases
    np.testing.assert_array_equal(settings.bits[agree], clicks.bits[agree])
    assert tally.sum() == count
    # intensity and detection go together: gains in the ratio of the mean photon numbers, nearly
    gains = np.bincount(settings.intensities) / tally.sum(axis=1)
    assert gains[0] / gains[1] == pytest.approx(5, rel=0.05)


async def test_what_is_ordered_ahead_follows_without_a_gap_and_is_not_waited_for() -> None:
    server = service()
    alice, bob = await NodeClient.local(server, name="alice"), await NodeClient.local(server, name="bob")
    clocks = VirtualClock(Alone()), VirtualClock(Alone())
    to_bob = FibreLink(Register(alice, clocks[0], "run"), "run", "line", "", "bob", 5.0)
    to_alice = FibreLink(Register(bob, clocks[1], "run"), "run", "line", "", "alice", 5.0)
    trains = [await to_bob.emit_train(10**6, ahead=True) for _ in range(3)]
    assert clocks[0].now() == 0.0
    for number, train in enumerate(trains, 1):
        clicks = await to_alice.measure_train(10**6)
        assert clocks[1].now() == pytest.approx(number * 1.0 + 1e-4)
        settings = await train.recall(clicks.indices)
        agree = settings.bases == clicks.bases
        np.testing.assert_array_equal(settings.bits[agree], clicks.bits[agree])
    await alice.close()
    await bob.close()


async def test_a_receiver_does_not_wait_for_ever() -> None:
    bob = await NodeClient.local(service(), name="bob")
    to_alice = FibreLink(Register(bob, RealTimeClock(lambda: 0.0), "run"), "run", "line", "", "alice", 0.01)
    with pytest.raises(DeadlinePassed, match="a train"):
        await to_alice.measure_train(5)
    await bob.close()
