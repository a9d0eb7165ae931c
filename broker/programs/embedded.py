"""The embedded broker: amqtt in this process, where nothing else is installed."""

from __future__ import annotations

import asyncio
import logging
from asyncio import StreamReader, StreamWriter
from typing import Self

from broker.errors import PortTaken, ProgramFailed
from broker.programs.lab_broker import LISTENER, LabBroker
from broker.programs.lab_connection import AbortableWriter, LimitedReader
from broker.programs.program import MAX_PACKET, BrokerConfig

_LOG = logging.getLogger(__name__)


class EmbeddedBroker:
    """A lab's broker inside this process. Use as an async context manager: entered, it accepts connections.

    It keeps no session over a disconnection: what is under way to a party at that moment is lost.
    Entering raises ``PortTaken``.
    """

    program = "embedded"

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._port = config.port

    @property
    def host(self) -> str:
        """Return the address on which it listens."""
        return self._config.host

    @property
    def port(self) -> int:
        """Return the port on which it listens."""
        return self._port

    async def __aenter__(self) -> Self:
        # amqtt reports every late confirmation as a failure with its stack.
        logging.getLogger("amqtt").setLevel(logging.CRITICAL + 1)
        self._broker = LabBroker(self._config)
        try:
            self._server = await asyncio.start_server(
                self._accept, self.host, self._config.port, limit=MAX_PACKET
            )
        except OSError as error:
            raise PortTaken(
                f"The embedded broker cannot listen on {self.host}:{self._config.port}: {error.strerror}. "
                "Choose another port, or 0 for a free one."
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]
        self._group = await asyncio.TaskGroup().__aenter__()
        self._writers: set[AbortableWriter] = set()
        await self._broker.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        # Ended by their streams, not by cancellation: amqtt waits for readers that Python 3.11 has not cancelled.
        for writer in self._writers:
            writer.abort()
        await self._group.__aexit__(None, None, None)
        await self._broker.shutdown()

    async def watch(self) -> None:
        """Wait for ever; raise ``ProgramFailed`` when the broker ends by itself."""
        await self._server.serve_forever()
        raise ProgramFailed("The embedded broker has stopped listening.")

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._group.create_task(self._serve(reader, AbortableWriter(writer)))

    async def _serve(self, reader: StreamReader, writer: AbortableWriter) -> None:
        self._writers.add(writer)
        try:
            await self._broker.external_connected(LimitedReader(reader, writer.abort), writer, LISTENER)
        except Exception as error:  # noqa: BLE001 - whatever a client brings about ends its connection, not the lab
            _LOG.info("A connection ended with %r.", error)
        finally:
            self._writers.discard(writer)
            writer.abort()
