"""A connection between hosts is looked after by the operating system."""

from __future__ import annotations

import socket
import sys

import pytest

from shared_state.keepalive import UNANSWERED, keep_alive


def test_a_dead_connection_is_found_in_seconds() -> None:
    with socket.socket() as connection:
        keep_alive(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if sys.platform == "linux":
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNANSWERED * 1000


def test_what_an_operating_system_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    with socket.socket() as connection:
        keep_alive(connection)
