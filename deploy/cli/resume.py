"""``bellwire resume``: let a node go on that was paused, or begin again that is dead."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.cli.options import HereOption, JsonOption
from deploy.cli.screen import emit_json, say
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab


def command(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node, as the lab file names it.")],
    running: HereOption = None,
    json: JsonOption = False,
) -> None:
    """Let a paused node go on, or start a dead one again, with the keys that it had in store; return when it is there.

    Example: bellwire resume campus
    """
    directory = Registry().find(running)
    asyncio.run(RemoteLab(directory.socket).resume(node))
    if json:
        emit_json("resume", {"lab": directory.name, "node": node})
        return
    say(f"Node [bold]{node}[/] of lab [bold]{directory.name}[/] goes on.")
