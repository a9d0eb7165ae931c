"""What a broker bears from clients that speak MQTT badly, or not at all: packets made by hand."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from broker.announcement import Announcement, encode_announcement
from broker.bus import Bus, Content
from broker.envelope import Envelope, encode
from broker.mqtt import MqttBus
from broker.programs import lab_broker
from broker.programs.embedded import EmbeddedBroker
from broker.programs.program import BrokerConfig, BrokerProgram
from broker.telemetry import ListSink

Make = Callable[..., Envelope]
NewBus = Callable[..., MqttBus]
NewBroker = Callable[..., BrokerProgram]
LOST = encode_announcement(Announcement("alice", "status", {"state": "lost"}))
PINGREQ, PINGRESP, DISCONNECT = b"\xc0\x00", b"\xd0\x00", b"\xe0\x00"


def packet(kind: int, body: bytes) -> bytes:
    """Write an MQTT packet; ``kind`` is its first byte. MQTT 3.1.1 section 2.2."""
    length, rest = b"", len(body)
    while rest > 127:
        length, rest = length + bytes([rest % 128 | 128]), rest // 128
    return bytes([kind]) + length + bytes([rest]) + body


def text(value: str | bytes) -> bytes:
    """Write a string with its length before it."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def connect(user: str, password: str, *, keepalive: int = 0, will: tuple[str, bytes] | None = None) -> bytes:
    """Write a CONNECT of MQTT 3.1.1 with user name, password and, perhaps, a retained will."""
    flags = 0xC2 | (0x2C if will else 0)
    last_will = text(will[0]) + text(will[1]) if will else b""
    identity = text(user) + last_will + text(user) + text(password)
    return packet(0x10, text("MQTT") + bytes([4, flags]) + struct.pack(">H", keepalive) + identity)


def publish(topic: str, payload: bytes, *, retain: bool = False) -> bytes:
    """Write a PUBLISH at QoS 1."""
    return packet(0x32 | retain, text(topic) + b"\x00\x07" + payload)


def subscribe(topic_filter: str) -> bytes:
    """Write a SUBSCRIBE at QoS 1."""
    return packet(0x82, b"\x00\x01" + text(topic_filter) + b"\x01")


CONNECT_OF_MQTT_5 = packet(0x10, text("MQTT") + b"\x05\x02\x00\x3c\x00" + text("x"))


class Raw:
    """A TCP connection to a broker. Use as an async context manager; leaving it hangs up."""

    def __init__(self, broker: BrokerProgram, *packets: bytes) -> None:
        self._broker, self._packets = broker, packets

    async def __aenter__(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._broker.port)
        self._writer.write(b"".join(self._packets))
        return self._reader, self._writer

    async def __aexit__(self, *exc: object) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


async def reset(port: int, data: bytes, turns: int) -> None:
    """Connect, send, and after some turns of the event loop hang up with a reset instead of an end."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.connect(("127.0.0.1", port))
        client.sendall(data)
        for _ in range(turns):
            await asyncio.sleep(0)


async def assert_serves(broker: BrokerProgram, new_bus: NewBus, new_envelope: Make) -> None:
    """Assert that Bob receives what Alice sends."""
    async with (
        asyncio.timeout(10),
        new_bus("alice", broker) as alice,
        new_bus("bob", broker) as bob,
    ):
        await alice.publish(new_envelope())
        assert (await anext(bob.deliveries())).content == new_envelope()


async def states(control: Bus, count: int) -> list[tuple[str, str]]:
    """Receive ``count`` statuses: who, and its state."""
    got: list[tuple[str, str]] = []
    arriving = control.deliveries()
    async with asyncio.timeout(10):
        while len(got) < count:
            delivery = await anext(arriving)
            delivery.acknowledge()
            assert isinstance(delivery.content, Announcement)
            got.append((delivery.content.sender, delivery.content.body["state"]))
    return got


@pytest.mark.parametrize(
    "data",
    [CONNECT_OF_MQTT_5, connect("alice", "guess"), connect("alice", "the-password-of-alice"), b"\x10", b""],
    ids=["MQTT 5", "wrong password", "right password", "half a packet", "nothing"],
)
async def test_a_client_that_hangs_up_while_it_is_answered_leaves_the_broker_alive(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make, data: bytes
) -> None:
    async with new_broker() as broker:
        for turns in range(30):
            await reset(broker.port, data, turns)
        await assert_serves(broker, new_bus, new_envelope)


async def test_three_hundred_mutilated_conversations_leave_the_broker_alive(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make, users: dict[str, str]
) -> None:
    chance = np.random.default_rng(20260)
    greeting = connect("charlie", users["charlie"])
    bodies = [
        subscribe("lab/+/to/charlie/#"),
        subscribe("#"),
        publish("lab/charlie/to/bob/x", b"x"),
        publish("lab/charlie/#", b"x"),
        publish("$SYS/x", b"x"),
        packet(0x34, text("lab/charlie/pub/x") + b"\x00\x01x") * 2,
        packet(0xA2, b"\x00\x01"),
        packet(0x62, b"\x00\x63"),
        packet(0x30, b"\x00"),
        b"\x30\xff\xff\xff\x7f",
    ]

    async def converse(broker: BrokerProgram) -> None:
        greeted = chance.random() < 0.7
        data = bytearray(bodies[chance.integers(len(bodies))] if greeted else greeting)
        for _ in range(chance.integers(4)):
            data[chance.integers(len(data))] = chance.integers(256)
        if chance.random() < 0.3:
            del data[chance.integers(len(data)) :]
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(0.05), Raw(broker, greeting * greeted, bytes(data)) as (reader, _):
                await reader.read()

    async with new_broker() as broker:
        for _ in range(10):
            async with asyncio.TaskGroup() as group:
                for _ in range(30):
                    group.create_task(converse(broker))
        await assert_serves(broker, new_bus, new_envelope)


@pytest.mark.parametrize(
    "topic",
    ["lab/bob/pub/status", "lab/alice/#", "lab/+/pub/status", "lab/alice/pub/+", "other/alice/pub/status"],
)
async def test_a_will_on_a_foreign_or_wildcard_topic_reaches_nobody(
    new_broker: NewBroker, new_bus: NewBus, users: dict[str, str], topic: str
) -> None:
    async with new_broker() as broker, new_bus("control", broker, announcements=True) as control:
        async with (
            asyncio.timeout(5),
            Raw(broker, connect("alice", users["alice"], will=(topic, LOST))) as (reader, _),
        ):
            await reader.read(4)  # its answer, or the end
        async with new_bus("bob", broker):
            pass
        assert await states(control, 1) == [("bob", "left")]
        async with new_bus("monitor", broker, announcements=True) as late:  # nor was it kept for later
            assert await states(late, 1) == [("bob", "left")]


@pytest.mark.parametrize("sent", [b"", publish("$SYS/x", b"x"), b"\x30\xff\xff\xff\x7f"])
async def test_a_client_that_is_cut_or_thrown_out_is_announced_as_lost(
    new_broker: NewBroker, new_bus: NewBus, users: dict[str, str], sent: bytes
) -> None:
    greeting = connect("alice", users["alice"], will=("lab/alice/pub/status", LOST))
    async with new_broker() as broker, new_bus("control", broker, announcements=True) as control:
        async with Raw(broker, greeting, sent):
            pass
        assert await states(control, 1) == [("alice", "lost")]


async def test_a_client_that_takes_its_leave_in_its_last_segment_is_not_announced_as_lost(
    new_broker: NewBroker, new_bus: NewBus, users: dict[str, str]
) -> None:
    greeting = connect("alice", users["alice"], will=("lab/alice/pub/status", LOST))
    async with new_broker() as broker, new_bus("control", broker, announcements=True) as control:
        async with asyncio.timeout(5), Raw(broker, greeting, PINGREQ) as (reader, writer):
            await reader.readexactly(4 + 2)
            writer.write(DISCONNECT)
            writer.write_eof()
            await reader.read()
        async with new_bus("bob", broker):
            pass
        assert await states(control, 1) == [("bob", "left")]


async def test_a_client_that_falls_silent_is_announced_as_lost(
    new_broker: NewBroker, new_bus: NewBus, users: dict[str, str]
) -> None:
    def greeting(name: str) -> bytes:
        return connect(name, users[name], keepalive=1, will=(f"lab/{name}/pub/status", LOST))

    async with (
        new_broker() as broker,
        new_bus("control", broker, announcements=True) as control,
        Raw(broker, greeting("alice")),
        Raw(broker, greeting("bob"), publish("lab/bob/to/alice/x", bytes(100))[:50]),  # silent amid a packet
        Raw(broker, connect("charlie", users["charlie"], keepalive=60)) as (reader, writer),
    ):
        assert sorted(await states(control, 2)) == [("alice", "lost"), ("bob", "lost")]
        writer.write(PINGREQ)
        assert await reader.readexactly(6) == b"\x20\x02\x00\x00" + PINGRESP


async def test_the_broker_keeps_no_message_but_a_status(
    new_broker: NewBroker, new_bus: NewBus, new_envelope: Make, users: dict[str, str]
) -> None:
    records, late = ListSink(), new_envelope(1)
    event = encode_announcement(Announcement("alice", "events", {"old": True}))
    async with new_broker() as broker:
        kept = [
            publish(str(new_envelope().topic), encode(new_envelope()), retain=True),
            publish("lab/alice/pub/events", event, retain=True),
            publish("lab/alice/pub/status", LOST, retain=True),
        ]
        async with asyncio.timeout(5), Raw(broker, connect("alice", users["alice"]), *kept) as (reader, _):
            await reader.readexactly(4 + 3 * 4)  # all are confirmed
        async with (
            new_bus("bob", broker, announcements=True, telemetry=records) as bob,
            new_bus("alice", broker) as alice,
        ):
            await alice.publish(late)
            arriving, got = bob.deliveries(), list[Content]()
            async with asyncio.timeout(5):
                while len(got) < 2:
                    delivery = await anext(arriving)
                    delivery.acknowledge()
                    got.append(delivery.content)
        assert got == [Announcement("alice", "status", {"state": "lost"}), late]
        # What mosquitto keeps, for it has no rule against it, the bus drops.
        assert records.names() == ["bus.rejected"] * (2 if broker.program == "mosquitto" else 0)


async def test_a_client_whose_messages_pile_up_is_thrown_out_and_others_are_served(
    config: BrokerConfig,
    new_bus: NewBus,
    new_envelope: Make,
    users: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lab_broker, "MAX_BACKLOG", 1 << 20)
    greeting = connect("bob", users["bob"], will=("lab/bob/pub/status", LOST))
    async with (
        EmbeddedBroker(config) as broker,
        new_bus("control", broker, announcements=True) as control,
        new_bus("alice", broker) as alice,
        Raw(broker, greeting, subscribe("lab/+/to/bob/#")) as (reader, _),
    ):
        await reader.readexactly(4 + 5)
        for sequence in range(12):  # Bob confirms none of them
            await alice.publish(new_envelope(sequence, body={"data": bytes(100_000)}))
        assert await states(control, 1) == [("bob", "lost")]
        await assert_serves(broker, new_bus, new_envelope)
