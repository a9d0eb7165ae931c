"""``bellwire heal``: end the partition of a lab that is up."""

from __future__ import annotations

import asyncio

from deploy.cli.options import JsonOption, RunningOption
from deploy.cli.screen import emit_json, say
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab


def command(running: RunningOption = None, json: JsonOption = False) -> None:
    """End the partition: its links are mended, and the messages that have waited set off.

    Links that were cut by 'bellwire link down' stay so.

    Example: bellwire heal
    """
    directory = Registry().find(running)
    asyncio.run(RemoteLab(directory.socket).heal())
    if json:
        emit_json("heal", {"lab": directory.name})
        return
    say(f"Lab [bold]{directory.name}[/] is whole.")
