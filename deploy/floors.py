"""What the machine can do at best: the floors beside which ``bellwire bench`` prints its figures, in the same run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from broker.bus import Bus
from broker.envelope import Envelope
from deploy.children import Ready

ECHO_BYTES = 64


class _Echo(asyncio.Protocol):
    """Sends back every message that has come, each in a write of its own."""

    _begun = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._begun += len(data)
        while self._begun >= ECHO_BYTES:
            self._begun -= ECHO_BYTES
            self._transport.write(bytes(ECHO_BYTES))


class _Asker(asyncio.Protocol):
    """Sends a message, waits for its echo, and sends the next."""

    def __init__(self, rounds: int) -> None:
        self._left = rounds
        self._pending = ECHO_BYTES
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(bytes(ECHO_BYTES))

    def data_received(self, data: bytes) -> None:
        self._pending -= len(data)
        if self._pending:
            return
        self._left -= 1
        if self._left:
            self._pending = ECHO_BYTES
            self._transport.write(bytes(ECHO_BYTES))
        elif not self.done.done():
            self.done.set_result(None)


class _Counter(asyncio.Protocol):
    """Sends messages without waiting, each in a write of its own, up to a window; counts their echoes."""

    WINDOW = 256

    def __init__(self, rounds: int) -> None:
        self._unsent = rounds
        self._due = rounds * ECHO_BYTES
        self._in_flight = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._due -= len(data)
        self._in_flight -= len(data)
        if self._due == 0:
            self.done.set_result(None)
        elif self._in_flight <= 0:
            self._send()

    def _send(self) -> None:
        for _ in range(min(self.WINDOW, self._unsent)):
            self._transport.write(bytes(ECHO_BYTES))
            self._unsent -= 1
            self._in_flight += ECHO_BYTES


@dataclass(frozen=True, slots=True)
class EchoPart:
    """A child process that echoes bytes over TCP on the loopback."""

    async def serve(self, ready: Ready) -> None:
        """Serve until cancelled."""
        server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0)
        ready(server.sockets[0].getsockname()[1])
        await server.serve_forever()


async def echo_rate(port: int, rounds: int) -> float:
    """Return the round trips per second of 64-byte messages with the echo process on ``port``."""
    asker = _Asker(rounds)
    started = time.perf_counter()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: asker, "127.0.0.1", port)
    try:
        await asker.done
    finally:
        transport.close()
    return rounds / (time.perf_counter() - started)


async def pipelined_echo_rate(port: int, rounds: int) -> float:
    """Return the messages of 64 bytes echoed per second when nobody waits for one before sending the next.

    Each message is written by itself, and the echo is awaited every 256, as a client waits for its gates.
    """
    counter = _Counter(rounds)
    started = time.perf_counter()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: counter, "127.0.0.1", port)
    try:
        await counter.done
    finally:
        transport.close()
    return rounds / (time.perf_counter() - started)


async def mqtt_rate(bus: Bus, lab: str, rounds: int) -> float:
    """Return the round trips per second of small QoS 1 messages from ``bus`` through the broker back to itself."""
    arrivals = bus.deliveries()
    started = time.perf_counter()
    for number in range(rounds):
        await bus.publish(Envelope(lab, bus.name, bus.name, "bench", "bench", number, 0.0, "Ping", {}))
        delivery = await anext(arrivals)
        delivery.acknowledge()
    return rounds / (time.perf_counter() - started)
