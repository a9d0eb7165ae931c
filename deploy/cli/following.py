"""Files of a lab that is up, read on as they are written."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterable
from pathlib import Path

from deploy.registry import LabDirectory
from nodes.runtime.attendants import attendants

_LONGEST_LINE = 1 << 22


async def follow(directory: LabDirectory, files: Iterable[Path], show: Callable[[Path, str], None]) -> None:
    """Show all lines of some files, and then each as it is written, until the lab is down."""
    async with attendants() as attend:
        for file in files:
            attend(_tail(file, show))
        await directory.released()


async def _tail(file: Path, show: Callable[[Path, str], None]) -> None:
    # The system's tail waits for the file system to tell of new lines; Python has nothing that does.
    command = ("tail", "-n", "+1", "-f", str(file))
    tail = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL, limit=_LONGEST_LINE)
    assert tail.stdout is not None
    try:
        async for line in tail.stdout:
            show(file, line.decode(errors="replace").rstrip("\n"))
    finally:
        tail.terminate()
        await tail.wait()
