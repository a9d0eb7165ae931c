"""How a process that is started by a command is told what it is, and when to end.

``-`` as the place of its document: the first line of standard input is the document, and the process ends when
standard input does, so that it does not outlive whoever started it. SIGTERM and Ctrl-C end it as well, orderly.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from shared_state.errors import DocumentInvalid

_GRACE = 3.0
_LONGEST = 1 << 26
"""Bytes of a document: that of a node in a lab of 200 has one megabyte."""


async def document(source: str) -> tuple[str, asyncio.StreamReader]:
    """Return the document at ``source``, a file or ``-``, and the stream at whose end this process is to end.

    Raise ``DocumentInvalid`` when there is none.
    """
    life = asyncio.StreamReader(limit=_LONGEST)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, life)
    if source != "-":
        return _read(Path(source)), life
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(life), sys.stdin)
    except ValueError:
        raise DocumentInvalid("standard input is a file: give its name instead of '-'") from None
    try:
        return (await life.readline()).decode(), life
    except ValueError:
        raise DocumentInvalid(f"standard input is no text of less than {_LONGEST} bytes a line") from None


async def until_the_end(life: asyncio.StreamReader, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it ends by itself or ``life`` does; what the work raises is raised here."""
    working = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(_to_its_end(life))
    try:
        await asyncio.wait([working, ending], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
        working.cancel()
        await asyncio.wait([working, ending], timeout=_GRACE)
        if not working.done():  # it says goodbye to somebody who does not listen
            os._exit(1)
        outcome = (await asyncio.gather(working, ending, return_exceptions=True))[0]
    if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
        raise outcome


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DocumentInvalid(f"there is no document to read at '{file}': {error}") from None


async def _to_its_end(life: asyncio.StreamReader) -> None:
    while await life.read(1 << 16):
        pass  # whoever started this process says no more than its document


def _end(life: asyncio.StreamReader) -> None:
    if not life.at_eof():
        life.feed_eof()
