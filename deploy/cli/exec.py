"""``bellwire exec``: run a command inside a container of a lab that is up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, BinaryIO

import typer

from deploy.cli.options import HereOption
from deploy.launching import executor
from deploy.registry import Registry


def command(
    node: Annotated[str, typer.Argument(help="A node, or broker, or state.")],
    words: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What to run, after '--'.")],
    running: HereOption = None,
) -> None:
    """Run a command in the container of a node, beside its process; its exit code is this command's.

    Example: bellwire exec alice -- cat /proc/net/dev
    """
    directory = Registry().here(running)
    code = executor()(directory.path, node, words, _to(sys.stdout.buffer), _to(sys.stderr.buffer))
    raise typer.Exit(code)


def _to(stream: BinaryIO) -> Callable[[bytes], None]:
    def write(said: bytes) -> None:
        stream.write(said)
        stream.flush()

    return write
