"""A file arrives as it is or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodes.apps import file_transfer
from nodes.apps.file_transfer import Header, Segment, TransferReport, receive_file, send_file
from nodes.codec import decode
from nodes.errors import NodeError, TransferFailed
from nodes.ports import Coin
from nodes.qkd.authentication import AuthenticatedPeer, Tagged

Authenticate = Callable[..., tuple[AuthenticatedPeer, AuthenticatedPeer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]
Transfer = Callable[..., Awaitable[tuple[Any, Any]]]

KEY = b"k" * 32
CHUNK = 1000


def content(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


def put(path: Path, written: bytes) -> None:
    path.write_bytes(written)


def got(path: Path) -> bytes:
    return path.read_bytes()


def different(first: bytes, second: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(first, second, strict=True))


def beside(destination: Path) -> list[str]:
    return [path.name for path in destination.parent.iterdir()]


def nothing_was_left(destination: Path) -> bool:
    return beside(destination) == []


@pytest.mark.parametrize("window", [1, 3, 8])
@pytest.mark.parametrize(
    "size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 6 * CHUNK, 9 * CHUNK + 1, 24 * CHUNK, 50_500]
)
async def test_a_file_of_any_size_arrives_as_it_is(
    transfer: Transfer, tmp_path: Path, destination: Path, size: int, window: int
) -> None:
    source = tmp_path / "file.bin"
    put(source, content(size))
    sent, received = await transfer(source, destination, window=window)
    digest = hashlib.sha256(content(size)).hexdigest()
    assert sent == received == TransferReport("file.bin", size, digest, -(-size // CHUNK))
    assert got(destination) == content(size)
    assert beside(destination) == ["letter.txt"]


async def test_a_file_of_several_megabytes_arrives_in_large_chunks(
    transfer: Transfer, tmp_path: Path, destination: Path
) -> None:
    source = tmp_path / "large"
    put(source, content(5_000_000))
    await transfer(source, destination, chunk_size=file_transfer.CHUNK_BYTES, window=file_transfer.WINDOW)
    assert got(destination) == content(5_000_000)


async def test_an_existing_destination_is_replaced(
    transfer: Transfer, source: Path, destination: Path
) -> None:
    put(destination, b"old")
    await transfer(source, destination)
    assert got(destination) == got(source)


async def test_no_byte_of_the_file_travels_in_clear(
    transfer: Transfer, tmp_path: Path, destination: Path
) -> None:
    heard = bytearray()

    def listen(sender: str, number: int, message: object) -> Sequence[object]:
        assert isinstance(message, Tagged)
        heard.extend(message.body)
        return [message]

    source = tmp_path / "secret"
    put(source, b"attack at dawn! " * 200)
    await transfer(source, destination, listen)
    assert b"attack" not in heard


async def test_two_transfers_under_one_key_and_one_seed_share_no_key_stream(
    transfer: Transfer, tmp_path: Path, destination: Path
) -> None:
    """A lab with a seed makes the same key in every run; one key stream for two files would give both away."""
    heard: list[Tagged] = []

    def listen(sender: str, number: int, message: object) -> Sequence[object]:
        assert isinstance(message, Tagged)
        heard.append(message)
        return [message]

    plain = [b"attack at dawn! " * 4, b"retreat at nine " * 4]
    for each in plain:
        put(tmp_path / "file", each)
        await transfer(tmp_path / "file", destination, listen)
    headers = [decode(Header, message.body) for message in heard if message.kind == "Header"]
    sealed = [decode(Segment, message.body).sealed for message in heard if message.kind == "Segment"]
    assert headers[0].transfer != headers[1].transfer
    assert different(sealed[0][:64], sealed[2][:64]) != different(*plain)


@pytest.mark.parametrize("action", ["alter", "duplicate", "swap"])
async def test_tampering_with_any_message_leaves_nothing_behind(
    transfer: Transfer, source: Path, destination: Path, action: str
) -> None:
    """Header, 11 chunks and the closing segment go one way, 4 progress messages and the end the other."""

    def tampering(who: str, target: int) -> Callable[[str, int, object], Sequence[object]]:
        held: list[object] = []

        def tamper(sender: str, number: int, message: object) -> Sequence[object]:
            if sender != who or number not in (target, target + 1):
                return [message]
            if action == "swap":
                held.append(message)
                return [] if number == target else held[::-1]
            if number == target + 1:
                return [message]
            assert isinstance(message, Tagged)
            return (
                [message, message] if action == "duplicate" else [replace(message, body=message.body + b"\0")]
            )

        return tamper

    closing = 12
    targets = {"alter": range(closing + 1), "duplicate": range(closing), "swap": range(1, closing)}
    for target in targets[action]:
        sent, received = await transfer(source, destination, tampering("alice", target), window=100)
        assert isinstance(sent, TransferFailed), target
        assert isinstance(received, TransferFailed), target
        assert nothing_was_left(destination)


async def test_forged_progress_is_not_believed(transfer: Transfer, source: Path, destination: Path) -> None:
    def forge(sender: str, number: int, message: object) -> Sequence[object]:
        return [Tagged("Complete", b"\x80", b"\0" * 16)] if sender == "bob" and number == 1 else [message]

    sent, received = await transfer(source, destination, forge)
    assert isinstance(sent, TransferFailed)
    assert isinstance(received, TransferFailed)
    assert nothing_was_left(destination)


async def test_a_transfer_that_is_cut_off_leaves_nothing_behind(
    transfer: Transfer, source: Path, destination: Path
) -> None:
    put(destination, b"old")
    for cut in range(1, 13):

        def drop(sender: str, number: int, message: object, cut: int = cut) -> Sequence[object]:
            return [] if sender == "alice" and number >= cut else [message]

        with pytest.raises(TimeoutError):
            await transfer(source, destination, drop, seconds=0.05)
        assert got(destination) == b"old"
        assert beside(destination) == ["letter.txt"]


async def test_another_key_opens_nothing(transfer: Transfer, source: Path, destination: Path) -> None:
    sent, received = await transfer(source, destination, keys=(KEY, b"K" * 32))
    assert isinstance(received, TransferFailed)
    assert "segment 0" in str(received)
    assert isinstance(sent, TransferFailed)
    assert "segment 0" in str(sent)
    assert nothing_was_left(destination)


async def test_a_source_that_changes_on_the_way_is_not_delivered(
    transfer: Transfer, source: Path, destination: Path
) -> None:
    for change in (lambda: os.truncate(source, 5000), lambda: put(source, content(20_000))):
        put(source, content(10 * CHUNK + 1))

        def meddle(sender: str, number: int, message: object, change: Callable[[], object] = change) -> Any:
            if (sender, number) == ("bob", 0):
                change()
            return [message]

        sent, received = await transfer(source, destination, meddle, chunk_size=CHUNK)
        assert isinstance(sent, TransferFailed)
        assert isinstance(received, TransferFailed)
        assert nothing_was_left(destination)


@pytest.mark.parametrize("change", [{"size": -1}, {"chunk_size": 0}, {"window": 0}, {"chunk_size": 2**40}])
async def test_an_absurd_header_is_refused(
    authenticate: Authenticate, destination: Path, change: dict[str, int]
) -> None:
    bob, alice = authenticate()
    header = replace(Header(b"t" * 16, "name", 10, CHUNK, 3), **change)  # type: ignore[arg-type]  # ints only
    await bob.send(header)
    with pytest.raises(TransferFailed, match="window"):
        await receive_file(destination, KEY, alice)
    assert nothing_was_left(destination)


async def test_the_sender_is_never_two_windows_ahead(
    authenticate: Authenticate, both: Both, make_coin: MakeCoin, source: Path, destination: Path
) -> None:
    ahead = [0]

    def watch(sender: str, number: int, message: object) -> Sequence[object]:
        assert isinstance(message, Tagged)
        if message.kind == "Segment":
            ahead[0] += 1
        elif message.kind == "Progress" and number > 0:
            ahead[0] -= 2
        assert ahead[0] <= 2 * 2 + 1  # two windows of two chunks, and the closing segment
        return [message]

    bob, alice = authenticate(watch)
    results = await both(
        send_file(source, KEY, bob, make_coin(1), CHUNK, window=2),
        receive_file(destination, KEY, alice),
    )
    assert not any(isinstance(result, NodeError) for result in results)


async def test_a_cancelled_receiver_leaves_nothing_behind(
    authenticate: Authenticate, make_coin: MakeCoin, source: Path, destination: Path
) -> None:
    written = asyncio.Event()

    def stop_after_some(sender: str, number: int, message: object) -> Sequence[object]:
        if (sender, number) == ("bob", 1):
            written.set()
        return [message] if (sender, number) != ("alice", 8) else []

    bob, alice = authenticate(stop_after_some)
    async with asyncio.TaskGroup() as group:
        sender = group.create_task(send_file(source, KEY, bob, make_coin(1), CHUNK, 3))
        receiver = group.create_task(receive_file(destination, KEY, alice))
        await written.wait()
        receiver.cancel()
        sender.cancel()
    assert nothing_was_left(destination)
