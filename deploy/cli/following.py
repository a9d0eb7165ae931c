"""Files of a lab that is up, read on as they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from deploy.registry import LabDirectory
from deploy.tailing import tail
from nodes.runtime.attendants import attendants


async def follow(directory: LabDirectory, files: Iterable[Path], show: Callable[[Path, str], None]) -> None:
    """Show all lines of some files, and then each as it is written, until the lab is down."""
    async with attendants() as attend:
        for file in files:
            attend(_show_lines(file, show))
        await directory.released()


async def _show_lines(file: Path, show: Callable[[Path, str], None]) -> None:
    async with tail(file) as lines:
        async for line in lines:
            show(file, line.decode(errors="replace").rstrip("\n"))
