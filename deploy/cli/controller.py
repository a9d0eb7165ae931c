"""``bellwire controller``: how a routing controller of one's own gets into a lab."""

from __future__ import annotations

from deploy.cli.options import HereOption, JsonOption
from deploy.cli.screen import emit_json, out
from deploy.controller_access import read_access
from deploy.registry import Registry


def command(running: HereOption = None, json: JsonOption = False) -> None:
    """Show how a routing controller of your own connects to a lab that is up.

    The lab's file says 'network: {controller: external}'. What your program is asked, and what it answers, is in
    broker/README.md.

    Example: bellwire controller -l metro --json
    """
    directory = Registry().here(running)
    access = read_access(directory.path, directory.name)
    if json:
        emit_json("controller", access)
        return
    for name, value in access.items():
        out.print(f"{name:10} {value}", markup=False)
    out.print("\nAsked on     <lab>/<node>/to/controller/routing")
    out.print("Answers on   <lab>/controller/to/<node>/routing")
