"""``bellwire pause``: stop a node's process where it is."""

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
    """Stop a node's process where it is (SIGSTOP): who waits for it does so until the deadline.

    Where time is virtual everybody waits for a node that has its turn, and goes on without it after the patience of
    the lab's clock (60 s).

    Example: bellwire pause campus
    """
    directory = Registry().find(running)
    asyncio.run(RemoteLab(directory.socket).pause(node))
    if json:
        emit_json("pause", {"lab": directory.name, "node": node})
        return
    say(f"Node [bold]{node}[/] of lab [bold]{directory.name}[/] is paused.")
