"""``bellwire events``: what has happened in a lab that is up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.finishing import finish
from deploy.cli.following import follow
from deploy.cli.screen import out, say
from deploy.errors import NotFound
from deploy.recording import RECORD
from deploy.registry import Registry


def command(
    running: Annotated[str | None, typer.Option("-l", "--running", metavar="NAME", help="The lab.")] = None,
    go_on: Annotated[bool, typer.Option("-f", "--follow", help="Go on printing what happens.")] = False,
    node: Annotated[str | None, typer.Option("--node", metavar="NODE", help="Of this node only.")] = None,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="EVENT", help="Of this name only, or of those that begin with it."),
    ] = None,
) -> None:
    """Print the events of a lab that is up: a line each on a terminal, JSON Lines elsewhere.

    Example: bellwire events --node alice --event qubit
    """
    directory = Registry().here(running)
    record = directory.path / RECORD
    if not record.is_file():
        raise NotFound(f"lab '{directory.name}' keeps no record: 'record: off' stands in its file")
    if go_on:
        finish(follow(directory, [record], lambda _, line: _show(line, node, event)))
        say(f"Lab [bold]{directory.name}[/] is down.")
        return
    _show_all(record, node, event)


def _show_all(record: Path, node: str | None, event: str | None) -> None:
    with record.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                _show(line.rstrip("\n"), node, event)


def _show(line: str, node: str | None, event: str | None) -> None:
    """Print a line of the record if it is an event and is asked for."""
    told: dict[str, Any] = json.loads(line)
    name = told.get("event")
    if name is None or node not in (None, told["node"]) or not f"{name}.".startswith(f"{event or name}."):
        return
    if out.is_terminal:
        out.print(pretty(told), markup=False, soft_wrap=True)
    else:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def pretty(told: dict[str, Any]) -> str:
    """Write an event for a reader."""
    rest = " ".join(f"{key}={value}" for key, value in list(told.items())[4:])
    return f"{told['at']:14.9f} s  {told['node']:10} {told['session'] or '-':20} {told['event']:18} {rest}"
