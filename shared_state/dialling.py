"""How a client reaches its server: over TCP, or in the same process, carried by the event loop."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from typing import TYPE_CHECKING, Protocol

from shared_state.keepalive import keep_alive

if TYPE_CHECKING:  # a node's process does not load the world that it only talks to
    from shared_state.connection import Connection
    from shared_state.service import Service


class Wire(Protocol):
    """What a line needs of a transport."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def close(self) -> None:
        """Close after everything is sent."""


class Dialler(Protocol):
    """Makes connections to one server."""

    async def dial(self, protocol: asyncio.Protocol) -> Wire:
        """Connect ``protocol``. Raises OSError."""

    def __str__(self) -> str:
        """Name the server for the reader of an error."""


class TcpDialler:
    """Reaches a server over TCP, and over TLS with a ``context`` for it."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        self._host = host
        self._port = port
        self._context = context

    async def dial(self, protocol: asyncio.Protocol) -> Wire:
        # asyncio switches Nagle's algorithm off on every TCP connection it makes
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: protocol, self._host, self._port, ssl=self._context
        )
        if self._context is not None:
            keep_alive(transport.get_extra_info("socket"))
        return transport

    def __str__(self) -> str:
        return f"{self._host}:{self._port}"


class _LocalWire:
    """Carries bytes both ways, each in a later turn of the event loop, as a socket would."""

    def __init__(self, service: Service, protocol: asyncio.Protocol) -> None:
        self._service = service
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._connection = service.open(self._ready)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._loop.call_soon(self._receive, data)

    def close(self) -> None:
        """Close after everything is sent."""
        if self._open:
            self._open = False
            self._loop.call_soon(self._hang_up)

    def _receive(self, data: bytes) -> None:
        if self._service.receive(self._connection, data):
            self._loop.call_soon(self._receive, b"")

    def _ready(self, connection: Connection) -> None:
        data = connection.take_output()
        if data and self._open:
            self._loop.call_soon(self._protocol.data_received, data)
        if connection.closing:
            self.close()

    def _hang_up(self) -> None:
        self._service.closed(self._connection)
        self._loop.call_later(self._service.config.lease, self._service.tick)
        self._protocol.connection_lost(None)


class LocalDialler:
    """Reaches a service in this process."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def dial(self, protocol: asyncio.Protocol) -> Wire:
        self._service.on_work = partial(asyncio.get_running_loop().call_soon, self._service.work)
        return _LocalWire(self._service, protocol)

    def __str__(self) -> str:
        return "this process"
