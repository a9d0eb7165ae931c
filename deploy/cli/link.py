"""``bellwire link``: the links of a lab that is up as they are now, and faults of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from deploy.cli.finishing import finish
from deploy.cli.options import JsonOption, RunningOption, pairs
from deploy.cli.screen import emit_json, print_table, say
from deploy.link_state import LinkState
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab
from deploy.wording import flow

HELP: Final = "The links of a lab that is up: what they are now; cut, mend, change, reset and flap them."

LinkArgument = Annotated[str, typer.Argument(metavar="LINK", help="The link, as the lab file names it.")]


def ls(running: RunningOption = None, json: JsonOption = False) -> None:
    """List the links of a lab that is up: ends, whether up, and which keys say something else than the lab file.

    Example: bellwire link ls -l metro --json
    """
    directory = Registry().find(running)
    links = asyncio.run(RemoteLab(directory.socket).links())
    if json:
        emit_json("links", {"lab": directory.name, "links": [asdict(link) for link in links]})
        return
    rows = [
        [
            link.name,
            " - ".join(link.endpoints),
            _condition(link),
            str(link.settings["length"]),
            _changes(link),
        ]
        for link in links
    ]
    print_table(f"Lab {directory.name}", ["link", "ends", "state", "length", "changed"], rows)


def show(link: LinkArgument, running: RunningOption = None, json: JsonOption = False) -> None:
    """Show a link of a lab that is up as the lab file would say it; what was changed is marked.

    Example: bellwire link show hub-campus
    """
    directory = Registry().find(running)
    state = asyncio.run(RemoteLab(directory.socket).link(link))
    if json:
        emit_json("link", {"lab": directory.name, **asdict(state)})
        return
    rows = [["state", _condition(state)]]
    rows += [[key, f"{value}{' (changed)' * (key in state.changed)}"] for key, value in _keys(state.settings)]
    print_table(f"Link {state.name} of lab {directory.name}", ["key", "value"], rows)


def change(
    link: LinkArgument,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...", help="Keys and values as in the lab file; quote what has blanks."
        ),
    ],
    running: RunningOption = None,
    json: JsonOption = False,
) -> None:
    """Change a link of a lab that is up. What is not named stays; 'bellwire link reset' returns to the lab file.

    Length, attenuation, fibre, insertion_loss and velocity; classical.extra_delay, .jitter and .loss; the figures of
    source and qkd.detectors; qkd.misalignment and .visibility. It holds for what is asked for and sent from now on.

    Example: bellwire link set ex-dc length="40 km" classical.loss="5 %"
    """
    _break(running, link, json, lambda lab: lab.change_link(link, pairs(changes, "set")), "changed")


def reset(link: LinkArgument, running: RunningOption = None, json: JsonOption = False) -> None:
    """Let a link be as the lab file says again, and up.

    Example: bellwire link reset ex-dc
    """
    _break(running, link, json, lambda lab: lab.reset_link(link), "as the lab file says")


def down(link: LinkArgument, running: RunningOption = None, json: JsonOption = False) -> None:
    """Cut a link: no pair comes over it and light that enters its fibre is lost; messages still go their way.

    Example: bellwire link down hub-campus
    """
    _break(running, link, json, lambda lab: lab.set_link(link, False), "down")


def up(link: LinkArgument, running: RunningOption = None, json: JsonOption = False) -> None:
    """Mend a link that was cut.

    Example: bellwire link up hub-campus
    """
    _break(running, link, json, lambda lab: lab.set_link(link, True), "up")


def flap(
    link: LinkArgument,
    down: Annotated[float, typer.Option("--down", metavar="SECONDS", min=0, help="So long it is cut.")] = 1.0,
    up: Annotated[float, typer.Option("--up", metavar="SECONDS", min=0, help="So long it is up.")] = 1.0,
    times: Annotated[int, typer.Option("-n", "--times", min=1, help="So often.")] = 5,
    running: RunningOption = None,
    json: JsonOption = False,
) -> None:
    """Cut and mend a link again and again, in seconds of the lab's clock; Ctrl-C leaves it up.

    Example: bellwire link flap hub-campus --down 0.2 --up 1 -n 10
    """
    _break(running, link, json, lambda lab: lab.flap_link(link, down, up, times), f"up, after {times} cuts")


VERBS: Final[dict[str, Callable[..., None]]] = {
    "ls": ls,
    "show": show,
    "set": change,
    "reset": reset,
    "down": down,
    "up": up,
    "flap": flap,
}


def _break(
    running: str | None, link: str, json: bool, work: Callable[[RemoteLab], Any], outcome: str
) -> None:
    """Do something to a link, and tell how it is then."""
    directory = Registry().find(running)
    lab = RemoteLab(directory.socket)

    async def done() -> LinkState:
        await work(lab)
        return await lab.link(link)

    state = finish(done())
    if json:
        emit_json("link", {"lab": directory.name, "link": link, **_facts(state)})
        return
    say(f"Link [bold]{link}[/] of lab [bold]{directory.name}[/] is {outcome}.")
    if not state.up and outcome != "down":
        say("It is cut all the same, by the partition ('bellwire heal') or by 'bellwire link down'.")


def _facts(state: LinkState) -> dict[str, Any]:
    return {"up": state.up, "changed": {key: _value(state, key) for key in state.changed}}


def _value(state: LinkState, key: str) -> Any:
    return dict(_keys(state.settings)).get(key)


def _keys(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """List settings, those of a section under its name and a dot."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        rows += _keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, flow(value))]
    return rows


def _condition(state: LinkState) -> str:
    return "up" if state.up else "down"


def _changes(state: LinkState) -> str:
    return ", ".join(f"{key}={_value(state, key) or '(default)'}" for key in state.changed) or "-"
