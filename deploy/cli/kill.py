"""``bellwire kill``: end a node's process at once, as a power failure would."""

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
    """Kill a node's process (SIGKILL): runs with it are called off, and it stays dead until 'bellwire resume'.

    Its keys stay in store.

    Example: bellwire kill campus
    """
    directory = Registry().find(running)
    asyncio.run(RemoteLab(directory.socket).kill(node))
    if json:
        emit_json("kill", {"lab": directory.name, "node": node})
        return
    say(f"Node [bold]{node}[/] of lab [bold]{directory.name}[/] is dead.")
