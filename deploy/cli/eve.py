"""``bellwire eve``: the eavesdroppers of a lab that is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Final

import typer

from deploy.cli.options import JsonOption, RunningOption
from deploy.cli.screen import emit_json, print_table, quantity, say
from deploy.errors import UsageError, ValueInvalid
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab
from deploy.units import FRACTION

HELP: Final = "The eavesdroppers of a lab that is up: list, attach and detach them."


def ls(running: RunningOption = None, json: JsonOption = False) -> None:
    """List the eavesdroppers, those of the lab file among them, and what each has had so far.

    Example: bellwire eve ls --json
    """
    directory = Registry().find(running)
    eves = asyncio.run(RemoteLab(directory.socket).eves())
    if json:
        told = [{**asdict(eve), "at_m": eve.at} for eve in eves]
        for eve in told:
            del eve["at"]
        emit_json("eves", {"lab": directory.name, "eves": told})
        return
    rows = [
        [
            eve.name,
            eve.link,
            quantity(eve.at, "m"),
            eve.strategy,
            f"{eve.fraction:.4g}",
            "attached" if eve.enabled else "detached",
            *(str(eve.report[column]) for column in ("pulses", "kept", "resent")),
        ]
        for eve in eves
    ]
    columns = ["eve", "link", "at", "strategy", "fraction", "state", "pulses", "kept", "resent"]
    print_table(f"Lab {directory.name}", columns, rows)


def attach(
    link: Annotated[
        str, typer.Argument(metavar="LINK", help="The link, or an eavesdropper of the lab file by name.")
    ],
    strategy: Annotated[
        str,
        typer.Option("--strategy", help="intercept-resend, photon-number-splitting or beam-splitting."),
    ] = "intercept-resend",
    fraction: Annotated[
        str,
        typer.Option("--fraction", metavar="SHARE", help="Of the light that is attacked: '25 %' or 0.25."),
    ] = "1",
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="LENGTH", help="Distance from the link's first endpoint. Default 0 km."),
    ] = None,
    running: RunningOption = None,
    json: JsonOption = False,
) -> None:
    """Let an eavesdropper in; she acts on what is sent and asked for from now on.

    Example: bellwire eve attach ex-dc --fraction "25 %" --at "9 km"
    """
    directory = Registry().find(running)
    try:
        share = FRACTION.parse(fraction)
    except ValueInvalid as error:
        raise UsageError(f"--fraction: {error.what}; write {error.instead}") from error
    attaching = RemoteLab(directory.socket).attach_eve(link, strategy=strategy, fraction=share, at=at)
    name = asyncio.run(attaching)
    if json:
        emit_json("eve", {"lab": directory.name, "eve": name, "link": link, "attached": True})
        return
    say(f"Eavesdropper [bold]{name}[/] listens in lab [bold]{directory.name}[/].")


def detach(
    name: Annotated[
        str, typer.Argument(metavar="EVE", help="The eavesdropper; 'bellwire eve ls' lists them.")
    ],
    running: RunningOption = None,
    json: JsonOption = False,
) -> None:
    """Let an eavesdropper go. A run that has asked for her with --tap keeps her until it is over.

    Example: bellwire eve detach eve
    """
    directory = Registry().find(running)
    lab = RemoteLab(directory.socket)

    async def detached() -> bool:
        await lab.detach_eve(name)
        return not any(eve.enabled for eve in await lab.eves() if eve.name == name)

    gone = asyncio.run(detached())
    if json:
        emit_json("eve", {"lab": directory.name, "eve": name, "attached": not gone})
    elif gone:
        say(f"Eavesdropper [bold]{name}[/] has left lab [bold]{directory.name}[/].")
    else:
        say(
            f"Eavesdropper [bold]{name}[/] leaves lab [bold]{directory.name}[/] when the run with --tap is over."
        )


VERBS: Final[dict[str, Callable[..., None]]] = {"ls": ls, "attach": attach, "detach": detach}
