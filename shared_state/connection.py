"""The server's side of one connection, without the socket."""

from __future__ import annotations

from collections.abc import Callable

from shared_state.errors import SharedStateError, to_wire
from shared_state.wire import MAX_HELLO, Decoder, encode


class Connection:
    """Bytes in, bytes out. ``ready`` is called at the end of an event that leaves something to write.

    ``outbox`` collects the connections that have something to write. ``deadline``, in wall seconds, is when this one
    must have said who it is or, once ``closing``, must have read the last of it; None when there is none.
    ``severed`` when what is not written is not worth waiting for. ``proven``: the name in the other side's certificate,
    None where connections come without.
    """

    def __init__(
        self,
        ready: Callable[[Connection], None],
        outbox: dict[Connection, None],
        hello_by: float,
        proven: str | None = None,
    ) -> None:
        self.ready = ready
        self.proven = proven
        self.deadline: float | None = hello_by
        self.decoder = Decoder(MAX_HELLO)
        self.closing = False
        self.severed = False
        self._outbox = outbox
        self._frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        """Add a frame to what is to be written."""
        self._frames.append(frame)
        self._outbox[self] = None

    def close(self) -> None:
        """Close when everything is written."""
        self.closing = True
        self.deadline = None
        self._outbox[self] = None

    def sever(self) -> None:
        """Close now, whatever is not written."""
        self._frames.clear()
        self.severed = True
        self.close()

    def refuse(self, error: SharedStateError) -> None:
        """Say why, then close."""
        self.send(encode({"refused": to_wire(error)}))
        self.close()

    def take_output(self) -> bytes:
        """Return what is to be written. Close afterwards when ``closing``, at once when ``severed``."""
        data = b"".join(self._frames)
        self._frames.clear()
        return data
