"""A file that is being written, line by line as it grows."""

from __future__ import annotations

from asyncio import StreamReader, create_subprocess_exec
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_LONGEST_LINE = 1 << 22


@asynccontextmanager
async def tail(file: Path, start: int = 0) -> AsyncIterator[StreamReader]:
    """Give the block the lines of a file from byte ``start`` on, then each as it is written."""
    # The system's tail waits for the file system to tell of new lines; Python has nothing that does.
    command = ("tail", "-c", f"+{start + 1}", "-f", str(file))
    process = await create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL, limit=_LONGEST_LINE)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        with suppress(ProcessLookupError):  # it has ended: Ctrl-C goes to all programs of a terminal
            process.terminate()
        await process.wait()
