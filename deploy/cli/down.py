"""``bellwire down``: end labs that are up."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.cli.screen import say
from deploy.control import RemoteLab
from deploy.errors import LabFailed
from deploy.registry import LabDirectory, Registry

NAME = "down"

_DEADLINE = 30.0


def command(
    name: Annotated[str | None, typer.Argument(help="The lab; may be left out when one is up.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="End all labs.")] = False,
) -> None:
    """End a lab that is up: every process of it, and all it has left."""
    registry = Registry()
    for directory in registry.running() if everything else [registry.find(name)]:
        asyncio.run(_end(directory))
        say(f"Lab [bold]{directory.name}[/] is down.")


async def _end(directory: LabDirectory) -> None:
    """Ask the lab to end; return when its supervisor has let go of it."""
    await RemoteLab(directory.socket).down()
    try:
        async with asyncio.timeout(_DEADLINE):
            await asyncio.to_thread(directory.wait_released)
    except TimeoutError:
        raise LabFailed(
            f"lab '{directory.name}' has not ended within {_DEADLINE:g} s; see its logs"
        ) from None
