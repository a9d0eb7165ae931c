"""The server's door under TLS: who has no certificate of the lab's authority does not get past it, and is logged."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from shared_state.keepalive import keep_alive

HANDSHAKE_WITHIN: Final = 5.0
_BACKLOG: Final = 100
_RELIEF: Final = 1.0
"""Seconds in which a process that has no descriptor or memory left for a connection may get some."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger(__name__)


class TlsDoor:
    """Accepts connections of parties with a certificate; ``make`` gives the protocol of each, ``tell`` hears who is
    refused.

    asyncio's own server says nothing of a handshake that fails, and whoever runs a lab wants to know who was refused.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        tell: Callable[[str], None] = _log.warning,
    ) -> None:
        self._context = context
        self._make = make
        self._tell = tell
        self._handshakes: set[asyncio.Task[None]] = set()
        self._opens_again: asyncio.TimerHandle | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        (family, _, _, _, address), *_ = await loop.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        both = family is socket.AF_INET6 and socket.has_dualstack_ipv6()
        self._listener = socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
        self._listener.setblocking(False)
        loop.add_reader(self._listener, self._accept)
        bound: int = self._listener.getsockname()[1]
        return bound

    def close(self) -> None:
        """Listen no more, and break off the handshakes that are under way."""
        asyncio.get_running_loop().remove_reader(self._listener)
        if self._opens_again is not None:
            self._opens_again.cancel()
        self._listener.close()
        for handshake in self._handshakes:
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Wait until no handshake is under way any more."""
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._shut_for_a_while(error)
            return  # it has gone again
        connection.setblocking(False)
        handshake = asyncio.get_running_loop().create_task(self._shake_hands(connection, str(address[0])))
        self._handshakes.add(handshake)
        handshake.add_done_callback(self._handshakes.discard)

    def _shut_for_a_while(self, error: OSError) -> None:
        """Leave who stands outside there for a moment: asking for him again at once would fail again at once."""
        loop = asyncio.get_running_loop()
        self._tell(f"accepts nobody for {_RELIEF:g} s: {error.strerror}")
        loop.remove_reader(self._listener)
        self._opens_again = loop.call_later(_RELIEF, loop.add_reader, self._listener, self._accept)

    async def _shake_hands(self, connection: socket.socket, where: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_alive(connection)
            await loop.connect_accepted_socket(
                self._make, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_WITHIN
            )
        except (OSError, ssl.SSLError) as error:
            self._tell(f"refused a connection from {where}: {_reason(error)}")
            connection.close()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not one of this lab that is valid now ({error.verify_message})"
    if isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it shows no certificate"
    return f"no handshake ({str(error) or type(error).__name__})"
