"""Frames of the shared-state protocol: a 4-byte big-endian length, then one MessagePack object.

    client                                                     server
      {version, lab, name, token, role, resume, received} ──▶
          ◀── {session, mode, scale, now, lease, applied}   or   {refused: error}, and closed
      [id, received, operation, arguments] ──▶
          ◀── [serial, id, value]   or   [serial, id, nil, error]

``id`` counts a session's requests and ``serial`` its answers, both from 1 and without gaps. ``received`` is
the last serial that has arrived, ``applied`` the last id that was applied. After a cut each side repeats
exactly what the other has not seen, so nothing is lost and nothing is applied twice.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Any, Final, TypeAlias

import msgpack

from shared_state.errors import LimitExceeded, WireError

VERSION: Final = 2
MAX_FRAME: Final = 16 * 2**20
"""An answer: the density matrix of ten qubits."""
MAX_REQUEST: Final = 2 * 2**20
"""A request: a unitary on eight qubits, and the longest train six times over. More would keep the others waiting."""
MAX_HELLO: Final = 4096
"""Who has not yet said who it is gets no more memory than this."""

Message: TypeAlias = "bool | int | float | str | bytes | list[Message] | dict[str, Message] | None"

_LENGTH = struct.Struct(">I")


def encode(message: object, limit: int = MAX_FRAME) -> bytes:
    """Write one frame.

    Raises:
        LimitExceeded: the frame would be larger than ``limit``, in bytes.
    """
    body: bytes = msgpack.packb(message)
    if len(body) > limit:
        raise LimitExceeded(f"a message of {len(body)} bytes exceeds the limit of {limit}: send it in parts.")
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Turns a stream of bytes into messages; a read is never a message boundary.

    ``limit`` is the largest frame accepted, in bytes. It may be raised between two messages, and a longer
    frame is refused when its length has been read, before any of it is kept.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._buffer = bytearray()

    def take(self, data: bytes) -> None:
        """Take in what was read, for the next call of ``messages``."""
        self._buffer += data

    def messages(self, data: bytes) -> Generator[Message, None, None]:
        """Take in what was read and yield the messages that are complete.

        Those that are not fetched stay for the next call, once the generator is closed.

        Raises:
            WireError: the stream is not this protocol. What follows in it has no meaning.
        """
        self.take(data)
        start = 0
        try:
            while len(self._buffer) - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._buffer, start)
                if length > self.limit:
                    raise WireError(
                        f"a frame of {length} bytes was announced, and the limit is {self.limit}."
                    )
                end = start + _LENGTH.size + length
                if len(self._buffer) < end:
                    break
                body = bytes(memoryview(self._buffer)[start + _LENGTH.size : end])
                start = end
                yield _unpack(body)
        finally:
            del self._buffer[:start]


def _unpack(body: bytes) -> Message:
    limits: dict[str, Any] = {
        "max_str_len": 4096,
        "max_array_len": 4096,
        "max_map_len": 4096,
        "max_ext_len": 0,
    }
    try:
        message: Message = msgpack.unpackb(body, **limits)
    except (ValueError, msgpack.UnpackException) as error:
        raise WireError(
            f"a frame of {len(body)} bytes is not MessagePack within the limits: {error}"
        ) from error
    return message
