"""``bellwire ps``: the processes of a lab that is up."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, print_table
from deploy.control import RemoteLab
from deploy.registry import Registry

NAME = "ps"


def command(
    name: Annotated[str | None, typer.Argument(help="The lab; may be left out when one is up.")] = None,
    json: JsonOption = False,
) -> None:
    """Show the processes of a lab that is up, and how they are.

    Example: bellwire ps metro
    """
    directory = Registry().find(name)
    status = asyncio.run(RemoteLab(directory.socket).status())
    if json:
        emit_json("ps", {"lab": directory.name, "processes": status})
        return
    rows = [
        [s["name"], str(s["pid"]), str(s["port"] or "-"), s["state"], str(s["restarts"] or "-")]
        for s in status
    ]
    print_table(f"Lab {directory.name}", ["process", "pid", "port", "state", "restarts"], rows)
