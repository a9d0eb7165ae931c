"""The standard streams of a container, over one connection to the engine.

What comes is in frames: a header of 8 bytes, the stream (1 is standard output, 2 standard error) and the length, then
so many bytes. What goes, goes to standard input as it is.
"""

from __future__ import annotations

import asyncio
import struct
from asyncio import StreamReader
from collections.abc import Callable
from typing import Final

_HEADER: Final = struct.Struct(">B3xL")
_OUTPUT: Final = 1


async def relay(
    reader: StreamReader, output: Callable[[bytes], None], errors: Callable[[bytes], object]
) -> None:
    """Hand on what a container says until it ends: ``output`` line by line, ``errors`` as it comes."""
    begun = b""
    while True:
        try:
            stream, length = _HEADER.unpack(await reader.readexactly(_HEADER.size))
            said = await reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        if stream != _OUTPUT:
            errors(said)
            continue
        *lines, begun = (begun + said).split(b"\n")
        for line in lines:
            output(line)
