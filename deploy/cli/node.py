"""``bellwire node``: a node of a lab that somebody else than the lab runs."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from broker.telemetry import JsonLinesSink
from deploy.cli.options import RunningOption
from deploy.cli.screen import say
from nodes.runtime.config import NodeConfig
from nodes.runtime.connecting import refusing
from nodes.runtime.join_documents import find
from nodes.runtime.process import event_loop, opened

NAME = "node"
HELP = "Be a node of a lab whose file says 'nodes: {NAME: {external: true}}'."


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The node.")],
    running: RunningOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Join by this document, not by the one that the lab left."
        ),
    ] = None,
) -> None:
    """Run a node of a lab that is up, until Ctrl-C: it plays parts in runs, and swaps for others.

    Example: bellwire node run alice -l hello
    """
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(_until_told(find(name, running, config)))
    say(f"Node [bold]{name}[/] has left.")


VERBS: dict[str, Callable[..., None]] = {"run": run}


async def _until_told(config: NodeConfig) -> None:
    """Be the node until Ctrl-C or SIGTERM; raise what ends it otherwise."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_serve(config))
        waiting = group.create_task(told.wait())
        await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        waiting.cancel()


async def _serve(config: NodeConfig) -> None:
    async with AsyncExitStack() as resources:
        with refusing(config):
            node = await resources.enter_async_context(opened(config, JsonLinesSink(sys.stderr)))
        await node.serve(lambda: say(f"Node [bold]{config.name}[/] is in lab {config.lab}. Ctrl-C ends it."))
