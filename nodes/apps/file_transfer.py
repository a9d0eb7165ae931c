"""Encrypted transfer of one file under a key that both parties hold.

::

    Sender                                           Receiver
      |--- 1 Header: name, size, how it is cut -------->|  opens a nameless file beside the destination
      |<-- 2 Progress: ready ---------------------------|
      |--- 3 Segment: a chunk, sealed ----------------->|  decrypts, writes
      |<-- 4 Progress, after every ``window`` chunks ---|  the sender is never two windows ahead
      |--- 5 Segment, the last: SHA-256 of the file --->|  compares, gives the file its name
      |<-- 6 Complete ----------------------------------|

Segments are authentic by themselves (``nodes.apps.sealing``), the header with each of them, and the dialogue
because the peers are authenticated. Whoever fails withdraws in place of the next message, so that the other
knows why; the receiver keeps nothing of a file that is not complete.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import BinaryIO

from nodes.apps.atomic_file import AtomicFile
from nodes.apps.sealing import TRANSFER_ID_BYTES, SegmentCipher
from nodes.codec import encode, printable
from nodes.errors import AuthenticationFailed, ProtocolViolation, TransferFailed
from nodes.ports import Coin
from nodes.qkd.authentication import AuthenticatedPeer, PeerWithdrew

CHUNK_BYTES = 256 * 1024
WINDOW = 8
_LARGEST_WINDOW_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """What is going to come: ``size`` bytes in chunks of ``chunk_size``, acknowledged every ``window``.

    ``transfer`` is 16 random bytes that no other transfer has; ``name`` is the file's name at the sender,
    without its folder and with escapes for what is no Unicode, for information only.
    """

    transfer: bytes
    name: str
    size: int
    chunk_size: int
    window: int

    def chunks(self) -> int:
        """Return the number of chunks: all of ``chunk_size`` but the last, none for an empty file."""
        return -(-self.size // self.chunk_size)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed chunk; the last segment seals the SHA-256 of the whole file instead.

    Sent only when all but the last window of chunks are acknowledged.
    """

    sealed: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """The receiver has written ``chunks`` chunks. Sent when it is ready and after every window."""

    chunks: int


@dataclass(frozen=True, slots=True)
class Complete:
    """The file is at its destination, on disk, and has the sender's SHA-256."""


@dataclass(frozen=True, slots=True)
class TransferReport:
    """A file that arrived: its name at the sender, its length, its SHA-256 in hexadecimal, and its chunks."""

    name: str
    size_bytes: int
    sha256: str
    chunks: int


async def send_file(
    source: Path,
    key: bytes,
    receiver: AuthenticatedPeer,
    coin: Coin,
    chunk_size: int = CHUNK_BYTES,
    window: int = WINDOW,
) -> TransferReport:
    """Send the file under ``key``; return when the receiver has it.

    Raises ``TransferFailed`` when the source cannot be read or the receiver could not keep the file.
    """
    async with _telling(receiver):
        with _opened(source) as (file, size):
            name = printable(source.name)
            header = Header(coin.unique(TRANSFER_ID_BYTES), name, size, chunk_size, window)
            await receiver.send(header)
            await receiver.receive(Progress)
            digest = await _send_chunks(file, source, header, key, receiver)
            await receiver.receive(Complete)
            return TransferReport(header.name, size, digest.hex(), header.chunks())


async def receive_file(destination: Path, key: bytes, sender: AuthenticatedPeer) -> TransferReport:
    """Receive a file under ``key`` and put it at ``destination``, in place of what may be there.

    A symbolic link is followed: the file takes the place of what it leads to. Raises ``TransferFailed``
    when the file did not arrive complete and unaltered or cannot be written; nothing of it is left then, and
    ``destination`` is as it was.
    """
    async with _telling(sender):
        header = await sender.receive(Header)
        _check(header)
        with _disk(f"{_shown(destination)} cannot be written"):
            destination = _followed(destination)
            arriving = AtomicFile(destination)
        with arriving:
            await sender.send(Progress(0))
            digest = await _receive_chunks(arriving, destination, header, key, sender)
            with _disk(f"{_shown(destination)} cannot be written"):
                await asyncio.to_thread(os.fsync, arriving.descriptor)
                arriving.commit()
        await sender.send(Complete())
        return TransferReport(header.name, header.size, digest.hex(), header.chunks())


async def _send_chunks(
    file: BinaryIO, source: Path, header: Header, key: bytes, receiver: AuthenticatedPeer
) -> bytes:
    cipher = SegmentCipher(key, header.transfer, encode(header))
    hashed = hashlib.sha256()
    for number in range(header.chunks()):
        if number >= 2 * header.window and number % header.window == 0:
            await receiver.receive(Progress)
        with _disk(f"{_shown(source)} cannot be read"):
            chunk = file.read(header.chunk_size)
        if len(chunk) != _length(header, number):
            raise TransferFailed(f"{_shown(source)} changed while it was sent; send it again")
        hashed.update(chunk)
        await receiver.send(Segment(cipher.seal(chunk, last=False)))
    if file.read(1):
        raise TransferFailed(f"{_shown(source)} grew while it was sent; send it again")
    await receiver.send(Segment(cipher.seal(hashed.digest(), last=True)))
    for _ in range(_acknowledgements_left(header)):
        await receiver.receive(Progress)
    return hashed.digest()


async def _receive_chunks(
    arriving: AtomicFile, destination: Path, header: Header, key: bytes, sender: AuthenticatedPeer
) -> bytes:
    cipher = SegmentCipher(key, header.transfer, encode(header))
    hashed = hashlib.sha256()
    for number in range(header.chunks()):
        segment = await sender.receive(Segment)
        chunk = cipher.open(segment.sealed, last=False)
        if len(chunk) != _length(header, number):
            raise TransferFailed(
                f"chunk {number} of the file has {len(chunk)} bytes and not what was announced"
            )
        hashed.update(chunk)
        with _disk(f"{_shown(destination)} cannot be written"):
            arriving.write(chunk)
        if (number + 1) % header.window == 0:
            await sender.send(Progress(number + 1))
    closing = await sender.receive(Segment)
    if not compare_digest(cipher.open(closing.sealed, last=True), hashed.digest()):
        raise TransferFailed("the file's SHA-256 is not the sender's; nothing of it was kept")
    return hashed.digest()


def _length(header: Header, number: int) -> int:
    """Return the length of a chunk."""
    return min(header.chunk_size, header.size - number * header.chunk_size)


def _acknowledgements_left(header: Header) -> int:
    """Return how many windows are not yet acknowledged when the last chunk has been sent."""
    windows, started = header.chunks() // header.window, max(0, header.chunks() - 1) // header.window
    return windows - max(0, started - 1)


def _check(header: Header) -> None:
    window_bytes = header.chunk_size * header.window
    if header.size < 0 or header.chunk_size < 1 or header.window < 1 or window_bytes > _LARGEST_WINDOW_BYTES:
        raise ProtocolViolation(
            f"the sender announced {header.size} bytes in windows of {header.window} x {header.chunk_size}; "
            f"a window is 1 to {_LARGEST_WINDOW_BYTES} bytes"
        )


def _followed(destination: Path) -> Path:
    """Return where ``destination`` leads when it is a symbolic link. Raises unless a file can go there."""
    place = Path(os.path.realpath(destination))
    if place.is_symlink():  # one that is left when all are followed leads back to itself
        raise TransferFailed(f"{_shown(place)} is a symbolic link in a circle; choose another destination")
    if place.is_dir():
        raise TransferFailed(f"{_shown(place)} is a folder; name the file that is to be written")
    if place.exists() and not place.is_file():
        raise TransferFailed(f"{_shown(place)} is no ordinary file; it is not replaced")
    if not place.parent.is_dir():
        raise TransferFailed(
            f"there is no folder {_shown(place.parent)}; make it, or choose another destination"
        )
    return place


def _shown(path: Path) -> str:
    return printable(str(path))


@contextmanager
def _opened(source: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file for reading; yield it and its size."""
    with _disk(f"{_shown(source)} cannot be read"):
        # without O_NONBLOCK the opening of a named pipe would wait for its writer
        descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise TransferFailed(f"{_shown(source)} is not a regular file; pack a folder into an archive first")
    with os.fdopen(descriptor, "rb") as file:
        yield file, status.st_size


@contextmanager
def _disk(what: str) -> Iterator[None]:
    """Turn an error of the file system into ``TransferFailed``."""
    try:
        yield
    except OSError as error:
        raise TransferFailed(f"{what}: {error.strerror or error}") from error


@asynccontextmanager
async def _telling(peer: AuthenticatedPeer) -> AsyncIterator[None]:
    """Tell the peer why this party gives up, and turn what went wrong on the way into ``TransferFailed``."""
    try:
        yield
    except PeerWithdrew as failure:
        raise TransferFailed(f"{peer.name} gave up: {failure.reason}") from failure
    except Exception as failure:
        await peer.give_up(failure)
        if isinstance(failure, AuthenticationFailed | ProtocolViolation):
            raise TransferFailed(str(failure)) from failure
        raise
