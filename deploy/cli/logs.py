"""``bellwire logs``: what the processes of a lab have written."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.screen import out, say
from deploy.cli.session import finish
from deploy.errors import NotFound
from deploy.logbook import readable
from deploy.registry import LabDirectory, Registry
from deploy.wording import unknown
from nodes.runtime.attendants import attendants

NAME = "logs"


def command(
    process: Annotated[
        str | None, typer.Argument(help="A node, 'broker' or 'state'; all when left out.")
    ] = None,
    running: Annotated[str | None, typer.Option("-l", "--running", metavar="NAME", help="The lab.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on printing what is written.")] = False,
) -> None:
    """Print the logs of a lab that is up.

    Example: bellwire logs alice -f
    """
    directory = Registry().find(running)
    logs = {path.stem: path for path in sorted(directory.logs.glob("*.log"))}
    if process is not None and process not in logs:
        raise NotFound(unknown("process", process, logs))
    chosen = [logs[process]] if process else list(logs.values())
    if follow:
        finish(_follow(directory, chosen))
        say(f"Lab [bold]{directory.name}[/] is down.")
        return
    for log in chosen:
        for line in log.read_text(errors="replace").splitlines():
            _print(log, line)


async def _follow(directory: LabDirectory, logs: Iterable[Path]) -> None:
    """Print lines as they are written, until the lab is down."""
    async with attendants() as attend:
        for log in logs:
            attend(_tail(log))
        await directory.released()


async def _tail(log: Path) -> None:
    # The system's tail waits for the file system to tell of new lines; Python has nothing that does.
    command = ("tail", "-n", "+1", "-f", str(log))
    tail = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)
    assert tail.stdout is not None
    try:
        async for line in tail.stdout:
            _print(log, line.decode(errors="replace").rstrip("\n"))
    finally:
        tail.terminate()
        await tail.wait()


def _print(log: Path, line: str) -> None:
    out.out(f"{log.stem:10} {readable(line)}")
