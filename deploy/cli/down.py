"""``bellwire down``: end labs that are up."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Annotated

import typer

from deploy.cli.options import HereOption, LabNameArgument, named
from deploy.cli.screen import say
from deploy.errors import ControlUnreachable, DeployError, LabFailed, NotFound
from deploy.registry import LabDirectory, Registry
from deploy.remote_lab import RemoteLab

_DEADLINE, _PER_NODE = 30.0, 1.0
"""Wall seconds that a lab has to end, and those that it has for each node: processes end one after the other."""


def command(
    name: LabNameArgument = None,
    running: HereOption = None,
    everything: Annotated[bool, typer.Option("--all", help="End all labs.")] = False,
) -> None:
    """End a lab that is up: every process of it, and all it has left.

    Example: bellwire down metro, or bellwire down --all
    """
    registry = Registry()
    failed: list[str] = []
    for directory in registry.running() if everything else [registry.here(named(name, running))]:
        try:
            asyncio.run(_end(directory))
            say(f"Lab [bold]{directory.name}[/] is down.")
        except DeployError as error:
            failed.append(str(error))
    if failed:
        raise LabFailed("; ".join(failed))


async def _end(directory: LabDirectory) -> None:
    """Ask the lab to end; return when its supervisor has let go of it."""
    deadline = _DEADLINE
    with suppress(NotFound):  # it is not up yet, and says nothing of itself
        deadline += _PER_NODE * len(directory.read().nodes)
    try:
        await RemoteLab(directory.socket).down()
    except ControlUnreachable:
        os.kill(directory.read().pid, signal.SIGTERM)  # it is coming up, or stuck
    try:
        async with asyncio.timeout(deadline):
            await directory.released()
    except TimeoutError:
        advice = f"end its supervisor, process {directory.read().pid}"
        raise LabFailed(f"lab '{directory.name}' has not ended within {deadline:g} s; {advice}") from None
