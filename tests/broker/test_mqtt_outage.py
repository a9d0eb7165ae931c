"""What a bus bears: connections cut, brokers that go and come back, brokers that do not."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from broker.bus import Announcement, Bus, Delivery, MailLost
from broker.envelope import Envelope
from broker.errors import BrokerLost, ProgramFailed
from broker.inbox import Sequencer
from broker.mqtt import MqttBus
from broker.programs.choose import find_mosquitto
from broker.programs.mosquitto import MosquittoBroker
from broker.programs.program import BrokerConfig, BrokerProgram
from broker.telemetry import ListSink, Record

Make = Callable[..., Envelope]
NewBus = Callable[..., MqttBus]
NewBroker = Callable[..., BrokerProgram]


class Happening(ListSink):
    """A sink that lets a test wait for a record."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def record(self, record: Record) -> None:
        super().record(record)
        self._changed.set()

    async def wait_for(self, name: str) -> None:
        """Wait until a record of that name is there."""
        async with asyncio.timeout(10):
            while name not in self.names():
                self._changed.clear()
                await self._changed.wait()


async def receive(bus: Bus, count: int) -> list[Delivery]:
    """Receive ``count`` deliveries without acknowledging them."""
    arriving = bus.deliveries()
    async with asyncio.timeout(10):
        return [await anext(arriving) for _ in range(count)]


async def test_a_last_will_tells_of_a_cut_connection_and_the_return_of_its_end(
    new_broker: NewBroker, new_bus: NewBus, new_cable: Any
) -> None:
    async with (
        new_broker() as broker,
        new_cable(broker) as cable,
        new_bus("control", broker, announcements=True) as control,
        new_bus("alice", cable) as alice,
    ):
        await alice.announce("status", {"state": "ready"})
        cable.cut()
        states = [
            delivery.content.body["state"]
            for delivery in await receive(control, 3)
            if isinstance(delivery.content, Announcement)
        ]
        assert states == ["ready", "lost", "ready"]


async def test_messages_published_in_an_outage_arrive_after_it(
    new_broker: NewBroker, new_bus: NewBus, new_cable: Any, new_envelope: Make
) -> None:
    async with (
        new_broker() as broker,
        new_cable(broker) as cable,
        new_bus("alice", cable) as alice,
        new_bus("bob", broker) as bob,
    ):
        inbox, got = Sequencer(), list[Envelope]()
        async with asyncio.TaskGroup() as group:
            for sequence in range(300):
                group.create_task(alice.publish(new_envelope(sequence)))
            arriving = bob.deliveries()
            async with asyncio.timeout(10):
                while len(got) < 300:
                    delivery = await anext(arriving)
                    delivery.acknowledge()
                    assert isinstance(delivery.content, Envelope)
                    got += inbox.accept(delivery.content)
                    if len(got) in (50, 150):
                        cable.cut()
        assert got == [new_envelope(sequence) for sequence in range(300)]


async def test_a_bus_subscribes_again_at_a_broker_that_comes_back(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    happening = Happening()
    first = new_broker()
    await first.__aenter__()
    async with new_bus("alice", first, telemetry=happening) as alice, new_bus("bob", first) as bob:
        await alice.publish(new_envelope(0))
        (delivery,) = await receive(bob, 1)
        delivery.acknowledge()
        await first.__aexit__(None, None, None)
        await happening.wait_for("bus.reconnecting")
        async with new_broker(port=first.port) as again, asyncio.TaskGroup() as group:
            # Bob may be back later than Alice; until then the broker does not know him.
            async with new_bus("control", again, announcements=True) as control:
                group.create_task(bob.announce("status", {"state": "back"}))
                await receive(control, 1)
            await alice.publish(new_envelope(1))
            forgotten = [] if first.program == "mosquitto" else [MailLost()]  # which wrote down what it had
            got = [delivery.content for delivery in await receive(bob, len(forgotten) + 1)]
            assert got == [*forgotten, new_envelope(1)]
            assert again.port == first.port


async def test_a_broker_gone_for_good_is_lost_within_the_patience(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    async with new_broker() as broker:
        bus = new_bus("alice", broker, patience=0.3)
        await bus.__aenter__()
    began = time.monotonic()
    with pytest.raises(BrokerLost, match=f"alice lost the broker at 127.0.0.1:{broker.port}"):
        await bus.publish(new_envelope())
    assert 0.2 < time.monotonic() - began < 3
    with pytest.raises(BrokerLost):
        await anext(bus.deliveries())
    with pytest.raises(BrokerLost):
        await bus.announce("status", {"state": "ready"})
    await bus.__aexit__(None, None, None)


async def test_a_bus_can_be_left_in_an_outage(new_broker: NewBroker, new_bus: NewBus) -> None:
    happening = Happening()
    broker = new_broker()
    await broker.__aenter__()
    async with asyncio.timeout(5):
        async with new_bus("alice", broker, telemetry=happening):
            await broker.__aexit__(None, None, None)
            await happening.wait_for("bus.reconnecting")


async def test_a_publish_that_waits_when_the_bus_is_left_ends_with_an_error(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    happening = Happening()
    broker = new_broker()
    await broker.__aenter__()

    async def publish() -> None:
        with pytest.raises(BrokerLost, match="alice has left"):
            await alice.publish(new_envelope())

    async with asyncio.TaskGroup() as group:
        async with new_bus("alice", broker, telemetry=happening) as alice:
            await broker.__aexit__(None, None, None)
            await happening.wait_for("bus.reconnecting")
            waiting = group.create_task(publish())
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await waiting


@pytest.mark.processes
@pytest.mark.mosquitto
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
class TestWithSessionsThatLast:
    """Claims for a broker that keeps a party's session over a disconnection."""

    async def test_what_was_not_acknowledged_comes_again_after_a_cut(
        self, config: BrokerConfig, new_bus: NewBus, new_cable: Any, new_envelope: Make
    ) -> None:
        async with (
            MosquittoBroker(config, find_mosquitto() or "") as broker,
            new_cable(broker) as cable,
            new_bus("alice", broker) as alice,
            new_bus("bob", cable) as bob,
        ):
            for sequence in range(14):
                await alice.publish(new_envelope(sequence))
            first = await receive(bob, 14)
            for delivery in first[:4]:
                delivery.acknowledge()
            await bob.announce("events", {})  # behind the acknowledgements, so these have arrived, too
            cable.cut()
            again = await receive(bob, 10)
            first[5].acknowledge()  # of a connection that is no more: without effect
            assert [delivery.content for delivery in again] == [new_envelope(n) for n in range(4, 14)]

    async def test_a_party_that_crashed_finds_its_messages_when_it_starts_again(
        self, config: BrokerConfig, new_bus: NewBus, new_envelope: Make
    ) -> None:
        async with (
            MosquittoBroker(config, find_mosquitto() or "") as broker,
            new_bus("alice", broker) as alice,
        ):
            with suppress(ZeroDivisionError):
                async with new_bus("bob", broker) as bob:
                    await alice.publish(new_envelope(0))
                    await receive(bob, 1)
                    raise ZeroDivisionError
            await alice.publish(new_envelope(1))
            async with new_bus("bob", broker) as bob:
                got = [delivery.content for delivery in await receive(bob, 2)]
            assert got == [new_envelope(0), new_envelope(1)]

    async def test_a_killed_broker_that_has_forgotten_a_party_is_told_of_as_such(
        self, config: BrokerConfig, new_bus: NewBus, new_envelope: Make
    ) -> None:
        happening = Happening()
        async with (
            MosquittoBroker(config, find_mosquitto() or "") as broker,
            new_bus("bob", broker, telemetry=happening) as bob,
        ):
            os.kill(broker.pid, signal.SIGKILL)
            with pytest.raises(ProgramFailed):
                await broker.watch()
            await happening.wait_for("bus.reconnecting")
            again = MosquittoBroker(replace(config, port=broker.port), find_mosquitto() or "")
            async with again, new_bus("alice", again) as alice:
                assert [delivery.content for delivery in await receive(bob, 1)] == [MailLost()]
                await bob.announce("events", {})  # behind the subscription
                await alice.publish(new_envelope())
                assert [delivery.content for delivery in await receive(bob, 1)] == [new_envelope()]

    async def test_a_killed_broker_that_is_started_again_serves_its_buses(
        self, config: BrokerConfig, new_bus: NewBus, new_envelope: Make
    ) -> None:
        happening = Happening()
        async with (
            MosquittoBroker(config, find_mosquitto() or "") as broker,
            new_bus("alice", broker, telemetry=happening) as alice,
        ):
            os.kill(broker.pid, signal.SIGKILL)
            with pytest.raises(ProgramFailed, match=f"mosquitto on port {broker.port} has ended"):
                await broker.watch()
            await happening.wait_for("bus.reconnecting")
            again = MosquittoBroker(replace(config, port=broker.port), find_mosquitto() or "")
            async with again, new_bus("bob", again) as bob:
                await alice.publish(new_envelope())
                assert [delivery.content for delivery in await receive(bob, 1)] == [new_envelope()]
