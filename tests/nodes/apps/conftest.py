"""A file at one party, a folder at the other, and a transfer between them under one key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodes.apps.file_transfer import receive_file, send_file
from nodes.ports import Coin, Peer, SharedSecret
from nodes.qkd.authentication import AuthenticatedPeer

Tamper = Callable[[str, int, object], Sequence[object]]
Authenticate = Callable[..., tuple[AuthenticatedPeer, AuthenticatedPeer]]

KEY = b"k" * 32
CHUNK = 1000


def faithfully(sender: str, number: int, message: object) -> Sequence[object]:
    return [message]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a file of ten chunks and a byte."""
    path = tmp_path / "source" / "letter.txt"
    path.parent.mkdir()
    path.write_bytes(np.random.default_rng(1).bytes(10 * CHUNK + 1))
    return path


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """Return a place for a file in an empty folder."""
    folder = tmp_path / "arrived"
    folder.mkdir()
    return folder / "letter.txt"


@pytest.fixture
def authenticate(connect: Callable[..., tuple[Peer, Peer]]) -> Authenticate:
    """Return a maker of two connected peers with authentication: what Alice calls Bob, and what Bob calls Alice."""

    def authenticated(tamper: Tamper = faithfully) -> tuple[AuthenticatedPeer, AuthenticatedPeer]:
        bob, alice = connect(tamper)
        return (
            AuthenticatedPeer(bob, SharedSecret(b"s" * 32, "run-1"), "alice", "bob"),
            AuthenticatedPeer(alice, SharedSecret(b"s" * 32, "run-1"), "bob", "alice"),
        )

    return authenticated


@pytest.fixture
def transfer(
    authenticate: Authenticate,
    both: Callable[..., Awaitable[tuple[Any, Any]]],
    make_coin: Callable[..., Coin],
) -> Callable[..., Awaitable[tuple[Any, Any]]]:
    """Return what sends a file: the reports of both parties, or their errors. Every transfer has the same coin."""

    async def transferred(
        source: Path,
        destination: Path,
        tamper: Tamper = faithfully,
        chunk_size: int = CHUNK,
        window: int = 3,
        keys: tuple[bytes, bytes] = (KEY, KEY),
        seconds: float = 20.0,
    ) -> tuple[Any, Any]:
        bob, alice = authenticate(tamper)
        return await both(
            send_file(source, keys[0], bob, make_coin(1), chunk_size, window),
            receive_file(destination, keys[1], alice),
            seconds,
        )

    return transferred
