"""``bellwire logs``: what the processes of a lab have written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.finishing import finish
from deploy.cli.following import follow
from deploy.cli.options import HereOption
from deploy.cli.screen import out, say
from deploy.errors import NotFound
from deploy.logbook import readable
from deploy.registry import Registry
from deploy.wording import unknown


def command(
    process: Annotated[
        str | None, typer.Argument(help="A node, 'broker' or 'state'; all when left out.")
    ] = None,
    running: HereOption = None,
    go_on: Annotated[bool, typer.Option("-f", "--follow", help="Go on printing what is written.")] = False,
) -> None:
    """Print the logs of a lab that is up.

    Example: bellwire logs alice -f
    """
    directory = Registry().here(running)
    logs = {path.stem: path for path in sorted(directory.logs.glob("*.log"))}
    if process is not None and process not in logs:
        raise NotFound(unknown("process", process, logs))
    chosen = [logs[process]] if process else list(logs.values())
    if go_on:
        finish(follow(directory, chosen, _print))
        say(f"Lab [bold]{directory.name}[/] is down.")
        return
    for log in chosen:
        for line in log.read_text(errors="replace").splitlines():
            _print(log, line)


def _print(log: Path, line: str) -> None:
    out.out(f"{log.stem:10} {readable(line)}")
