"""One connection as amqtt sees it: with a limit to each packet and to each silence, and closed without waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter

from broker.errors import EnvelopeError
from broker.programs.program import MAX_PACKET


class LimitedReader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt is untyped
    """A reader that refuses a packet longer than the limit before any of it is kept.

    When nothing comes for ``patience`` seconds it calls ``abort``, which is to end the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, abort: Callable[[], None]) -> None:
        super().__init__(reader)
        self._abort = abort
        self.patience: float | None = None

    async def read(self, n: int = -1) -> bytes:
        """Read ``n`` bytes.

        Raises ``EnvelopeError`` when they are too many, ``ConnectionResetError`` when they do not come.
        """
        if n > MAX_PACKET:
            raise EnvelopeError(f"A packet of {n} bytes exceeds the limit of {MAX_PACKET}.")
        try:
            async with asyncio.timeout(self.patience):
                data: bytes = await super().read(n)
        except TimeoutError as error:
            self._abort()
            raise ConnectionResetError(f"The client has been silent for {self.patience} s.") from error
        return data


class AbortableWriter(StreamWriterAdapter):  # type: ignore[misc]  # amqtt is untyped
    """A writer whose connection can be ended at once. ``backlog`` counts the bytes that its client owes."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__(writer)
        self.backlog = 0

    def abort(self) -> None:
        """End the connection; what is not sent is dropped, what is still to be written is ignored."""
        self.is_closed = True
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close without waiting: amqtt's own version waits for a client that may never read again."""
        self.is_closed = True
        self._writer.close()
