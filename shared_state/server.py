"""The shared-state server: sockets and timers around the service."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from shared_state.config import ServerConfig
from shared_state.connection import Connection
from shared_state.engine.kernels import COMPILED_FROM, compiled
from shared_state.journal import Journal
from shared_state.recent_events import RecentEvents
from shared_state.record_file import RecordFile
from shared_state.service import Service
from shared_state.tls import TlsIdentity, party_of
from shared_state.tls_door import TlsDoor
from shared_state.world import kernels as trains


class _Socket(asyncio.Protocol):
    """One TCP connection. All requests of a turn are answered in one write; only then it is read again."""

    _transport: asyncio.Transport
    _connection: Connection
    _unfinished = False
    _unread = False
    _turn: asyncio.Handle | None = None

    def __init__(self, service: Service, changed: Callable[[], None]) -> None:
        self._service = service
        self._changed = changed
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio switches Nagle's algorithm off on every TCP connection it accepts
        self._transport = cast("asyncio.Transport", transport)
        secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        self._connection = self._service.open(self._ready, None if secured is None else party_of(secured))
        self._changed()

    def data_received(self, data: bytes) -> None:
        self._unfinished = self._service.receive(self._connection, data)
        if self._unfinished:
            self._transport.pause_reading()
            self._await_turn()

    def connection_lost(self, error: Exception | None) -> None:
        self._service.closed(self._connection)
        self._changed()

    def pause_writing(self) -> None:
        # who does not read its answers is not asked for more questions
        self._unread = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._unread = False
        self._await_turn()

    def _await_turn(self) -> None:
        if self._turn is None:
            self._turn = self._loop.call_soon(self._continue)

    def _continue(self) -> None:
        """Go on with what was read, and then read again; while answers pile up, do neither."""
        self._turn = None
        if self._unread:
            return
        if self._unfinished:
            self.data_received(b"")
        if not self._unfinished and not self._unread:
            self._transport.resume_reading()

    def _ready(self, connection: Connection) -> None:
        self._transport.write(connection.take_output())
        if connection.severed:
            self._transport.abort()
        elif connection.closing:
            self._transport.close()
            self._changed()


class Server:
    """A server that listens. Leaving the ``async with`` block closes it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._working: asyncio.Handle | None = None
        self._listener: asyncio.Server | TlsDoor | None = None
        self._port = 0
        self._failure: asyncio.Future[None] = self._loop.create_future()
        service.on_failure = self._fail
        service.on_work = self._await_work

    async def listen(self, host: str, port: int, tls: TlsIdentity | None = None) -> None:
        """Listen for connections, under ``tls`` of parties with a certificate.

        Raises OSError, for example when the port is taken.
        """
        if tls is not None:
            door = TlsDoor(tls.server_context(), self._socket)
            self._port = await door.listen(host, port)
            self._listener = door
            return
        listener = await self._loop.create_server(self._socket, host, port)
        self._port = int(listener.sockets[0].getsockname()[1])
        self._listener = listener

    @property
    def port(self) -> int:
        """Return the TCP port it listens on."""
        if self._listener is None:
            raise RuntimeError("the server does not listen yet")
        return self._port

    def close(self) -> None:
        """Stop listening and close all connections."""
        if self._listener is not None:
            self._listener.close()
        self._service.close()
        for awaited in (self._timer, self._working):
            if awaited is not None:
                awaited.cancel()

    async def watch(self) -> None:
        """Wait for ever, or until the server cannot go on; then raise JournalFailed, or why the work has failed."""
        await self._failure

    async def wait_closed(self) -> None:
        """Wait until all connections are closed."""
        if self._listener is not None:
            await self._listener.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()

    def _socket(self) -> asyncio.Protocol:
        return _Socket(self._service, self._set_timer)

    def _await_work(self) -> None:
        self._working = self._loop.call_soon(self._work)

    def _work(self) -> None:
        try:
            self._service.work()
        except Exception as error:  # noqa: BLE001 - whatever it is, a state that is half done cannot be acted upon
            self._fail(error)

    def _fail(self, failure: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(failure)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._service.next_deadline()
        if deadline is None:
            self._timer = None
        else:
            self._timer = self._loop.call_later(deadline - time.monotonic(), self._tick)

    def _tick(self) -> None:
        self._service.tick()
        self._set_timer()


async def serve(config: ServerConfig) -> Server:
    """Start a server on ``config.host`` and ``config.port`` (0 takes a free one).

    With ``config.journal`` it goes on where the last server with this journal ended. Raises OSError, JournalFailed and
    RecordFailed.
    """
    weak_pulses = any(link.pulses.intensities for link in config.world.links.values())
    if config.world.max_qubits >= COMPILED_FROM or weak_pulses:
        # it takes a second or two, and later somebody would wait for that
        compiled()
        trains.compiled()
    journal = None
    if config.journal:
        journal = Journal(Path(config.journal), config, datetime.now(UTC).timestamp())
    record: RecordFile | RecentEvents | None = None
    if config.record:
        record = RecordFile(Path(config.record))
    elif config.events_kept:
        record = RecentEvents(config.events_kept)
    server = Server(Service(config, time.monotonic, journal, record))
    await server.listen(config.host, config.port, config.tls)
    return server
