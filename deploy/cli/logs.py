"""``bellwire logs``: what the processes of a lab have written."""

from __future__ import annotations

import asyncio
import json as json_format
from asyncio.subprocess import PIPE
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.screen import out
from deploy.cli.session import finish
from deploy.errors import NotFound
from deploy.registry import Registry
from deploy.wording import unknown

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
        finish(_follow(chosen))
    for log in chosen:
        for line in log.read_text(errors="replace").splitlines():
            _print(log, line)


async def _follow(logs: Iterable[Path]) -> None:
    """Print lines as they are written, until interrupted."""
    async with asyncio.TaskGroup() as group:
        for log in logs:
            group.create_task(_tail(log))


async def _tail(log: Path) -> None:
    # The system's tail waits for the file system to tell of new lines; Python has nothing that does.
    tail = await asyncio.create_subprocess_exec("tail", "-n", "+1", "-F", str(log), stdout=PIPE)
    assert tail.stdout is not None
    try:
        async for line in tail.stdout:
            _print(log, line.decode(errors="replace").rstrip("\n"))
    finally:
        tail.terminate()
        await tail.wait()


def _print(log: Path, line: str) -> None:
    out.out(f"{log.stem:10} {_readable(line)}")


def _readable(line: str) -> str:
    """Write an event record as text; leave any other line as it is."""
    try:
        record = json_format.loads(line)
        fields = " ".join(f"{key}={value}" for key, value in record["fields"].items() if value != "")
        return f"{record['time']:12.6f} s  {record['name']:14} {record['session'] or '-':8} {fields}"
    except (ValueError, KeyError, TypeError):
        return line
