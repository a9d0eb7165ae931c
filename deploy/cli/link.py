"""``bellwire link``: cut a link of a lab that is up, and mend it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, say
from deploy.control import RemoteLab
from deploy.registry import Registry

NAME = "link"


def command(
    action: Annotated[Literal["down", "up"], typer.Argument(help="Cut the link, or mend it.")],
    link: Annotated[str, typer.Argument(metavar="NAME", help="The link, as the lab file names it.")],
    running: Annotated[str | None, typer.Option("-l", "--running", metavar="LAB", help="The lab.")] = None,
    json: JsonOption = False,
) -> None:
    """Cut a link of a lab that is up, or mend it.

    While it is down no pair comes over it and light that enters its fibre is lost; messages still go their way.

    Example: bellwire link down hub-campus, then: bellwire link up hub-campus
    """
    directory = Registry().find(running)
    asyncio.run(RemoteLab(directory.socket).set_link(link, action == "up"))
    if json:
        emit_json("link", {"lab": directory.name, "link": link, "up": action == "up"})
        return
    say(f"Link [bold]{link}[/] of lab [bold]{directory.name}[/] is {action}.")
