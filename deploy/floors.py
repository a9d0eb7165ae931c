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
    """Sends ``window`` messages, each in a write of its own, waits for their echoes, and sends the next."""

    def __init__(self, rounds: int, window: int) -> None:
        self._unsent = rounds
        self._window = window
        self._pending = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._pending -= len(data)
        if self._pending:
            return
        if self._unsent:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        for _ in range(min(self._window, self._unsent)):
            self._transport.write(bytes(ECHO_BYTES))
            self._unsent -= 1
            self._pending += ECHO_BYTES


@dataclass(frozen=True, slots=True)
class EchoPart:
    """A child process that echoes bytes over TCP on the loopback."""

    async def serve(self, ready: Ready) -> None:
        """Serve until cancelled."""
        server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0)
        ready(server.sockets[0].getsockname()[1])
        await server.serve_forever()


async def echo_rate(port: int, rounds: int, window: int = 1) -> float:
    """Return the messages of 64 bytes per second that the echo process on ``port`` sends back.

    ``window`` of them are sent, each by itself, before their echoes are awaited: 1 is a round trip at a time.
    """
    asker = _Asker(rounds, window)
    started = time.perf_counter()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: asker, "127.0.0.1", port)
    try:
        await asker.done
    finally:
        transport.close()
    return rounds / (time.perf_counter() - started)


async def mqtt_rate(bus: Bus, lab: str, rounds: int) -> float:
    """Return the round trips per second of small QoS 1 messages from ``bus`` through the broker back to itself."""
    arrivals = bus.deliveries()
    started = time.perf_counter()
    for number in range(rounds):
        await bus.publish(Envelope(lab, bus.name, bus.name, "bench", "bench", number, 0.0, 0.0, "Ping", {}))
        delivery = await anext(arrivals)
        delivery.acknowledge()
    return rounds / (time.perf_counter() - started)
