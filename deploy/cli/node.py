"""``bellwire node``: a node of a lab that somebody else than the lab runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from broker.errors import BrokerError
from broker.telemetry import JsonLinesSink
from deploy.cli.finishing import finish
from deploy.cli.options import HereOption, JsonOption
from deploy.cli.screen import emit_json, out, say
from deploy.errors import ControlUnreachable, NotFound, UsageError
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab
from nodes.errors import JoinRefused
from nodes.runtime.causes import root_cause
from nodes.runtime.config import NodeConfig
from nodes.runtime.connecting import refusing
from nodes.runtime.join_documents import find
from nodes.runtime.join_token import VARIABLE
from nodes.runtime.joining import told
from nodes.runtime.process import event_loop, opened
from shared_state.errors import AdmissionError, ServerLost

HELP = "Be a node of a lab whose file says 'nodes: {NAME: {external: true}}'."


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The node.")],
    running: HereOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Join by this document, not by the one that the lab left."
        ),
    ] = None,
    join: Annotated[
        str | None,
        typer.Option("--join", metavar="HOST:PORT", help="Join the lab of another host at its door."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            help="The token that the lab has shown for this node; - reads it from standard input. A list of processes "
            f"shows arguments to everybody: where others may look, use - or the variable {VARIABLE}.",
        ),
    ] = None,
) -> None:
    """Run a node of a lab that is up, until Ctrl-C: it plays parts in runs, and swaps for others.

    Example: bellwire node run alice -l hello
    Example: bellwire node run alice --join 10.77.0.1:7085 --token - < token.txt
    """
    if join is None and token is not None:
        raise UsageError("--token goes with --join HOST:PORT, where the lab of another host has its door")
    if join is not None and (running is not None or config is not None):
        raise UsageError("--join takes what the node is from another host; leave -l and --config out")
    shown = _token(name, token) if join else ""
    with _exit_codes(), asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(_until_told(_configured(name, running, config, join, shown)))
    say(f"Node [bold]{name}[/] has left.")


def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The external node.")],
    running: HereOption = None,
    json: JsonOption = False,
) -> None:
    """Show a new token, with which somebody on another host becomes a node of a lab that is up, once.

    The lab has a host: 'bellwire up LAB --host ADDRESS'.

    Example: bellwire node token alice -l hello
    """
    offer = finish(RemoteLab(Registry().find(running).socket).offer(name))
    if json:
        emit_json("token", {"node": offer.node, "join": offer.address, "token": offer.token})
        return
    out.print(offer.command, markup=False, soft_wrap=True)


VERBS: dict[str, Callable[..., None]] = {"run": run, "token": token}


def _token(name: str, given: str | None) -> str:
    """Return the token that was given, or is on standard input or in the environment. Raise ``UsageError``."""
    token = sys.stdin.readline() if given == "-" else given or os.environ.get(VARIABLE, "")
    if not token.strip():
        raise UsageError(
            f"to join takes a token: --token TOKEN, --token - for standard input, or {VARIABLE}; the lab's host shows "
            f"one with 'bellwire node token {name}'"
        )
    return token


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Tell who finds no place in a lab (4) from whom a lab has left behind (8)."""
    try:
        yield
    except (JoinRefused, ServerLost, BrokerError, AdmissionError, BaseExceptionGroup) as error:
        cause = root_cause(error)
        if isinstance(cause, JoinRefused):
            raise NotFound(str(cause)) from error
        if isinstance(cause, ServerLost | BrokerError | AdmissionError):
            raise ControlUnreachable(str(cause)) from error
        raise


@asynccontextmanager
async def _configured(
    name: str, running: str | None, document: Path | None, join: str | None, token: str
) -> AsyncIterator[NodeConfig]:
    """Give the block what the node is told: by a document of this host, or at the door of a lab of another one."""
    if join is None:
        yield find(name, running, document)
        return
    async with told(name, join, token) as config:
        yield config


async def _until_told(configured: AbstractAsyncContextManager[NodeConfig]) -> None:
    """Be the node until Ctrl-C or SIGTERM; raise what ends it otherwise."""
    told_to_end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_serve(configured))
        waiting = group.create_task(told_to_end.wait())
        await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        waiting.cancel()


async def _serve(configured: AbstractAsyncContextManager[NodeConfig]) -> None:
    async with AsyncExitStack() as resources:
        config = await resources.enter_async_context(configured)
        with refusing(config):
            node = await resources.enter_async_context(opened(config, JsonLinesSink(sys.stderr)))
        await node.serve(lambda: say(f"Node [bold]{config.name}[/] is in lab {config.lab}. Ctrl-C ends it."))
