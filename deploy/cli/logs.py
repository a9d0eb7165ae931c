"""``bellwire logs``: what the processes of a lab have written."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.screen import out
from deploy.errors import NotFound
from deploy.registry import Registry
from deploy.wording import unknown

NAME = "logs"


def command(
    process: Annotated[
        str | None, typer.Argument(help="A node, 'broker' or 'state'; all when left out.")
    ] = None,
    running: Annotated[str | None, typer.Option("-l", "--running", metavar="NAME", help="The lab.")] = None,
) -> None:
    """Print the logs of a lab that is up.

    Example: bellwire logs alice
    """
    directory = Registry().find(running)
    logs = {path.stem: path for path in sorted(directory.logs.glob("*.log"))}
    if process is not None and process not in logs:
        raise NotFound(unknown("process", process, logs))
    for name in [process] if process else logs:
        _print(name, logs[name])


def _print(name: str, log: Path) -> None:
    for line in log.read_text(errors="replace").splitlines():
        out.out(f"{name:10} {_readable(line)}")


def _readable(line: str) -> str:
    """Write an event record as text; leave any other line as it is."""
    try:
        record = json_format.loads(line)
        fields = " ".join(f"{key}={value}" for key, value in record["fields"].items() if value != "")
        return f"{record['time']:12.6f} s  {record['name']:14} {record['session'] or '-':8} {fields}"
    except (ValueError, KeyError, TypeError):
        return line
