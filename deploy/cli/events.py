"""``bellwire events``: what has happened in a lab that is up."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.finishing import finish
from deploy.cli.following import follow
from deploy.cli.options import RunningOption
from deploy.cli.screen import caution, out, say
from deploy.control_address import OperatorDocument
from deploy.errors import ControlUnreachable
from deploy.event_stream import keeps_none
from deploy.recording import RECORD
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab


def command(
    running: RunningOption = None,
    go_on: Annotated[bool, typer.Option("-f", "--follow", help="Go on printing what happens.")] = False,
    node: Annotated[str | None, typer.Option("--node", metavar="NODE", help="Of this node only.")] = None,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="EVENT", help="Of this name only, or of those that begin with it."),
    ] = None,
) -> None:
    """Print the events of a lab that is up: a line each on a terminal, JSON Lines elsewhere.

    Of a lab on other hosts, which -l names by its operator.json, those that its shared-state server still keeps.

    Example: bellwire events --node alice --event qubit
    Example: bellwire events -l lab/operator.json -f --event key
    """
    place, show = Registry().find(running), partial(_show, node=node, event=event)
    if isinstance(place, OperatorDocument):
        finish(_ask(place, go_on, show))
    else:
        record = place.path / RECORD
        if not record.is_file():
            raise keeps_none(place.name)
        if not go_on:
            _show_all(record, show)
            return
        finish(follow(place, [record], lambda _, line: show(line)))
    if go_on:
        say(f"Lab [bold]{place.name}[/] is down.")


async def _ask(place: OperatorDocument, go_on: bool, show: Callable[[str], None]) -> None:
    """Show the events of a lab on other hosts that are still kept, and then each as it comes, until it is down.

    Who stops reading for seconds, in a pager, is cut off: then the lab is asked again. Raise ``ControlUnreachable``
    when it does not answer.
    """
    lab = RemoteLab(place)
    told, number = await lab.told(), 0
    until = None if go_on else told.count
    while True:
        try:
            async with aclosing(lab.events(told.record, number, until)) as passages:
                async for passage in passages:
                    if (missing := passage.first - number) > 0:
                        caution(f"{missing} {'older ' if number == 0 else ''}events are no longer kept")
                    for line in passage.lines:
                        show(line)
                    number = passage.end
        except ControlUnreachable:
            former, told = told.record, await lab.told()
            if told.record != former:
                caution("the shared-state server was started anew, and what it told before went with it")
                number, until = 0, None if go_on else told.count
        else:
            return


def _show_all(record: Path, show: Callable[[str], None]) -> None:
    with record.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                show(line.rstrip("\n"))


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
