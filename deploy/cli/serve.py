"""``bellwire serve``: be the control party of a lab whose processes others start."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.screen import caution, say
from deploy.control import ControlPlane
from deploy.elsewhere import ControlConfig, Elsewhere
from deploy.laboratory import Laboratory
from shared_state.document import read
from shared_state.heap import keep_small
from shared_state.lifeline import document, until_the_end


def command(
    config: Annotated[
        str,
        typer.Option("--config", metavar="FILE", help="The document 'control' that 'bellwire export' wrote."),
    ],
) -> None:
    """Conduct a lab whose broker, shared-state server and nodes are started by others, for its operator.

    This is what the container 'control' of an exported lab runs; 'bellwire run teleport -l operator.json' asks it.

    Example: bellwire serve --config secrets/control
    """
    keep_small()
    asyncio.run(_serve(config))


async def _serve(source: str) -> None:
    text, life = await document(source)
    await until_the_end(life, _conduct(read(ControlConfig, text)))


async def _conduct(config: ControlConfig) -> None:
    planned = config.plan()
    with tempfile.TemporaryDirectory(prefix="bellwire-control-") as directory:
        async with (
            Laboratory(planned, Path(directory), caution, premises=Elsewhere(config)) as lab,
            (control := ControlPlane(lab)).serving_operator(config.port, config.tls),
        ):
            say(f"Lab [bold]{planned.lab}[/] is up: {', '.join(planned.nodes)}. Its operator is served.")
            await control.until_down()
