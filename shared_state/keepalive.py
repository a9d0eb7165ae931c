"""A connection between hosts whose other end is gone, or cut off, is found dead in seconds, not in hours.

Otherwise a node that comes back after its host was cut off would find its name taken by the connection that it had.
"""

from __future__ import annotations

import socket
from typing import Final

_IDLE, _EVERY, _PROBES = 5, 2, 3
UNANSWERED: Final = _IDLE + _EVERY * _PROBES
"""Seconds after which a connection is dead on which nothing is acknowledged."""


def keep_alive(connection: socket.socket) -> None:
    """Let the operating system look after a TCP connection, as far as it can."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": _IDLE,
        "TCP_KEEPINTVL": _EVERY,
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": 1000 * UNANSWERED,
    }
    for name, value in wanted.items():
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
