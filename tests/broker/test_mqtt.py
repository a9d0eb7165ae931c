"""Claims that hold on every broker that a lab can run."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiomqtt
import pytest

from broker.bus import Announcement, Bus, MailLost
from broker.envelope import MAX_LENGTH, Envelope, encode
from broker.errors import BrokerRefused, BrokerUnreachable, ForgedEnvelope
from broker.mqtt import MqttBus
from broker.programs.program import BrokerProgram
from broker.telemetry import ListSink

Make = Callable[..., Envelope]
NewBus = Callable[..., MqttBus]
NewBroker = Callable[..., BrokerProgram]


async def contents(bus: Bus, count: int) -> list[Envelope | Announcement]:
    """Receive and acknowledge ``count`` deliveries."""
    got: list[Envelope | Announcement] = []
    arriving = bus.deliveries()
    async with asyncio.timeout(10):
        while len(got) < count:
            delivery = await anext(arriving)
            delivery.acknowledge()
            assert not isinstance(delivery.content, MailLost)
            got.append(delivery.content)
    return got


def stranger(broker: BrokerProgram, users: dict[str, str], name: str, **options: Any) -> aiomqtt.Client:
    """Make a client that does not abide by the bus."""
    values: dict[str, Any] = {"username": name, "password": users[name], "identifier": name, "timeout": 3}
    return aiomqtt.Client("127.0.0.1", broker.port, **values | options)


async def test_bob_receives_what_alice_sent(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    async with new_broker() as broker, new_bus("alice", broker) as alice, new_bus("bob", broker) as bob:
        envelope = new_envelope(body={"bits": bytes(range(256)), "list": [1, 2.5, None, "ä"]})
        await alice.publish(envelope)
        assert await contents(bob, 1) == [envelope]


async def test_the_order_of_each_sender_is_kept(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    async with (
        new_broker() as broker,
        new_bus("alice", broker) as alice,
        new_bus("charlie", broker) as charlie,
        new_bus("bob", broker) as bob,
        asyncio.TaskGroup() as group,
    ):
        for sequence in range(200):
            group.create_task(alice.publish(new_envelope(sequence)))
            group.create_task(charlie.publish(new_envelope(sequence, sender="charlie")))
        got = await contents(bob, 400)
        for sender in ("alice", "charlie"):
            own = [envelope for envelope in got if envelope.sender == sender]
            assert own == [new_envelope(sequence, sender=sender) for sequence in range(200)]


@pytest.mark.thorough
async def test_a_slow_consumer_loses_nothing(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    async with new_broker() as broker, new_bus("alice", broker) as alice, new_bus("bob", broker) as bob:
        async with asyncio.TaskGroup() as group:
            for sequence in range(5000):
                group.create_task(alice.publish(new_envelope(sequence)))
        # Not one has been looked at so far.
        assert await contents(bob, 5000) == [new_envelope(sequence) for sequence in range(5000)]


async def test_the_longest_message_arrives(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    async with new_broker() as broker, new_bus("alice", broker) as alice, new_bus("bob", broker) as bob:
        envelope = new_envelope(body={"data": bytes(MAX_LENGTH - 200)})
        await alice.publish(envelope)
        assert await contents(bob, 1) == [envelope]


async def test_a_wrong_password_is_refused_with_a_clear_error(new_broker: NewBroker, new_bus: NewBus) -> None:
    async with new_broker() as broker:
        with pytest.raises(BrokerRefused, match=rf"127.0.0.1:{broker.port} refused user 'alice'.*password"):
            async with new_bus("alice", broker, password="guess"):
                pass


async def test_a_user_of_another_lab_gets_nothing(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    async with new_broker() as broker, new_bus("bob", broker, announcements=True) as bob:
        with suppress(BrokerRefused):  # the embedded broker says so, mosquitto drops without a word
            async with new_bus("alice", broker, lab="other", announcements=True) as alice:
                await alice.announce("status", {"state": "ready"})
                await alice.publish(new_envelope(lab="other"))
        await bob.announce("events", {"the": "only one"})
        assert await contents(bob, 1) == [Announcement("bob", "events", {"the": "only one"})]


async def test_where_nobody_listens_is_unreachable(new_bus: NewBus) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    bus = MqttBus("alice", "lab", "127.0.0.1", port, "alice", "password")
    with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port} does not answer.*Check that it runs"):
        await bus.__aenter__()


async def test_a_bus_sends_under_its_own_name_only(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    async with new_broker() as broker, new_bus("alice", broker) as alice:
        with pytest.raises(ForgedEnvelope):
            await alice.publish(new_envelope(sender="bob"))


async def test_a_message_under_anothers_name_never_arrives(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make, users: dict[str, str]
) -> None:
    spoofed = new_envelope(sender="control", body={"order": "surrender"})
    async with new_broker() as broker, new_bus("bob", broker) as bob, new_bus("alice", broker) as alice:
        # Brokers confirm and drop it; mosquitto 2.0 throws the forger out, besides.
        for topic in (spoofed.topic, new_envelope(sender="alice").topic):
            client = stranger(broker, users, "charlie")
            with suppress(aiomqtt.MqttError):
                async with client:
                    await client.publish(str(topic), encode(spoofed), qos=1)
        await alice.publish(new_envelope())
        assert await contents(bob, 1) == [new_envelope()]


async def test_a_forged_envelope_on_ones_own_topic_is_dropped_and_recorded(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make, users: dict[str, str]
) -> None:
    forged, topic = encode(new_envelope(sender="alice")), str(new_envelope(sender="charlie").topic)
    records = ListSink()
    async with new_broker() as broker, new_bus("bob", broker, telemetry=records) as bob:
        async with stranger(broker, users, "charlie") as charlie:
            await charlie.publish(topic, forged, qos=1)
            await charlie.publish(topic, b"garbage", qos=1)
            await charlie.publish(topic, encode(new_envelope(sender="charlie")), qos=1)
        assert await contents(bob, 1) == [new_envelope(sender="charlie")]
        assert records.names() == ["bus.rejected", "bus.rejected"]
        assert records.records[0].fields["topic"] == topic


@pytest.mark.parametrize("topic", ["lab/+/to/bob/#", "lab/#", "#"])
async def test_anothers_inbox_cannot_be_read(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make, users: dict[str, str], topic: str
) -> None:
    async with (
        new_broker() as broker,
        new_bus("alice", broker) as alice,
        new_bus("bob", broker) as bob,
        stranger(broker, users, "charlie") as charlie,
    ):
        await charlie.subscribe(topic, qos=1)
        await alice.publish(new_envelope())
        await contents(bob, 1)
        await charlie.publish("lab/charlie/pub/events", b"own", qos=1)
        # What mosquitto lets through of a wide subscription is what is open to Charlie anyway.
        assert len(charlie.messages) == (topic != "lab/+/to/bob/#" and broker.program == "mosquitto")


async def test_the_monitor_reads_everything(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make, users: dict[str, str]
) -> None:
    async with (
        new_broker() as broker,
        new_bus("alice", broker) as alice,
        stranger(broker, users, "monitor") as monitor,
    ):
        await monitor.subscribe("lab/#", qos=1)
        await alice.publish(new_envelope())
        async with asyncio.timeout(5):
            message = await anext(aiter(monitor.messages))
        assert message.topic.value == str(new_envelope().topic)


async def test_a_client_id_cannot_be_hijacked(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make, users: dict[str, str]
) -> None:
    records = ListSink()
    async with new_broker() as broker, new_bus("bob", broker, telemetry=records) as bob:
        for attempt in ({"username": "charlie"}, {"password": "guess"}, {"username": None}):
            client = stranger(
                broker, users, "charlie", **{"identifier": "bob", "clean_session": True} | attempt
            )
            with suppress(aiomqtt.MqttError):
                async with client:
                    pass
        async with new_bus("alice", broker) as alice:
            await alice.publish(new_envelope())
            assert await contents(bob, 1) == [new_envelope()]
    assert records.names() == []


async def test_a_last_will_under_anothers_name_is_not_published(
    new_broker: NewBroker, new_bus: NewBus, users: dict[str, str], new_cable: Any
) -> None:
    async with new_broker() as broker, new_bus("control", broker, announcements=True) as control:
        will = aiomqtt.Will("lab/alice/pub/status", b"", qos=1)
        with suppress(aiomqtt.MqttError):
            async with new_cable(broker) as cable, stranger(cable, users, "charlie", will=will):
                cable.cut()
        async with new_bus("bob", broker):
            pass
        assert await contents(control, 1) == [Announcement("bob", "status", {"state": "left"})]


async def test_the_last_status_is_told_to_who_comes_later(new_broker: NewBroker, new_bus: NewBus) -> None:
    async with new_broker() as broker, new_bus("alice", broker) as alice:
        await alice.announce("status", {"state": "ready"})
        await alice.announce("events", {"passed": True})
        async with new_bus("control", broker, announcements=True) as control:
            assert await contents(control, 1) == [Announcement("alice", "status", {"state": "ready"})]


async def test_who_wants_statuses_alone_hears_of_nothing_else(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make
) -> None:
    async with new_broker() as broker, new_bus("bob", broker, statuses=True) as bob:
        async with new_bus("alice", broker) as alice:
            await alice.announce("events", {"passed": True})
            await alice.announce("status", {"state": "ready"})
            await alice.publish(new_envelope())
        assert await contents(bob, 3) == [
            Announcement("alice", "status", {"state": "ready"}),
            new_envelope(),
            Announcement("alice", "status", {"state": "left"}),
        ]


async def test_a_party_that_ends_well_has_left_and_one_that_fails_is_lost(
    new_broker: NewBroker, new_bus: NewBus
) -> None:
    async with new_broker() as broker, new_bus("control", broker, announcements=True) as control:
        async with new_bus("alice", broker):
            pass
        with pytest.raises(ZeroDivisionError):
            async with new_bus("bob", broker):
                raise ZeroDivisionError
        assert await contents(control, 2) == [
            Announcement("alice", "status", {"state": "left"}),
            Announcement("bob", "status", {"state": "lost"}),
        ]


async def test_deliveries_end_with_the_bus(new_broker: NewBroker, new_bus: NewBus) -> None:
    async with new_broker() as broker:
        async with new_bus("alice", broker) as alice:
            pass
        assert [delivery async for delivery in alice.deliveries()] == []
