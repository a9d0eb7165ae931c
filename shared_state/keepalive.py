"""Noticing that a wire is cut: nothing comes over it, not even that the other side has gone."""

from __future__ import annotations

import socket
from typing import Final

NOTICED_WITHIN: Final = 15
"""Seconds without a sign of life, of the other host's kernel, after which a connection counts as lost."""
_PROBE_EVERY: Final = 3


def watch_wire(connection: socket.socket) -> None:
    """Let the operating system end a TCP connection over which nothing comes through any more, as far as it can."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = NOTICED_WITHIN - 3 * _PROBE_EVERY
    for name, value in (
        ("TCP_KEEPIDLE", idle),
        ("TCP_KEEPINTVL", _PROBE_EVERY),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", NOTICED_WITHIN * 1000),
    ):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
