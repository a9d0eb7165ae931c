"""The server's side of one connection, without the socket."""

from __future__ import annotations

from collections.abc import Callable

from shared_state.errors import SharedStateError, to_wire
from shared_state.wire import MAX_HELLO, Decoder, encode


class Connection:
    """Bytes in, bytes out. ``ready`` is called at the end of an event that leaves something to write.

    ``outbox`` collects the connections that have something to write. ``hello_by`` is when this one must have
    said who it is: wall seconds, None when it has.
    """

    def __init__(
        self, ready: Callable[[Connection], None], outbox: dict[Connection, None], hello_by: float
    ) -> None:
        self.ready = ready
        self.hello_by: float | None = hello_by
        self.decoder = Decoder(MAX_HELLO)
        self.closing = False
        self._outbox = outbox
        self._frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        """Add a frame to what is to be written."""
        self._frames.append(frame)
        self._outbox[self] = None

    def close(self) -> None:
        """Close when everything is written."""
        self.closing = True
        self.hello_by = None
        self._outbox[self] = None

    def refuse(self, error: SharedStateError) -> None:
        """Say why, then close."""
        self.send(encode({"refused": to_wire(error)}))
        self.close()

    def take_output(self) -> bytes:
        """Return what is to be written. Close afterwards when ``closing``."""
        data = b"".join(self._frames)
        self._frames.clear()
        return data
