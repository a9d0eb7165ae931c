"""``bellwire partition``: part the nodes of a lab that is up into groups that cannot reach each other."""

from __future__ import annotations

import asyncio
from typing import Annotated, cast

import typer

from deploy.cli.options import JsonOption, RunningOption
from deploy.cli.screen import emit_json, say
from deploy.errors import UsageError
from deploy.partition import PLANES, Planes
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab
from deploy.wording import unknown


def command(
    groups: Annotated[
        list[str],
        typer.Argument(
            metavar="NODE,... '|' NODE,...", help="The groups, nodes joined by commas, '|' between them."
        ),
    ],
    plane: Annotated[
        str, typer.Option("--plane", help="classical: messages; quantum: pairs and photons; both.")
    ] = "both",
    running: RunningOption = None,
    json: JsonOption = False,
) -> None:
    """Part groups of nodes, or one group from all others, until 'bellwire heal'; a former partition ends.

    Messages across it wait for its end, as with MQTT; links across it are cut. Nodes in no group keep all connections.

    Example: bellwire partition north,exchange '|' dc --plane classical
    """
    if plane not in PLANES:
        raise UsageError(unknown("plane", plane, PLANES))
    parted = read_groups(groups)
    directory = Registry().find(running)
    asyncio.run(RemoteLab(directory.socket).partition(*parted, planes=cast(Planes, plane)))
    if json:
        emit_json("partition", {"lab": directory.name, "groups": parted, "plane": plane})
        return
    shown = " | ".join(", ".join(group) for group in parted)
    others = "" if len(parted) > 1 else " | all others"
    say(f"Lab [bold]{directory.name}[/] is parted: {shown}{others}.")


def read_groups(words: list[str]) -> list[list[str]]:
    """Read groups from the words of a command line, however they are quoted and spaced. Raise ``UsageError``."""
    parts = " ".join(words).split("|")
    groups = [part.replace(",", " ").split() for part in parts]
    if not all(groups):
        raise UsageError("a group has no node in it; write groups like north,exchange '|' dc")
    return groups
