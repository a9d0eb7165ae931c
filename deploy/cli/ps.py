"""``bellwire ps``: the processes of a lab that is up."""

from __future__ import annotations

import asyncio

from deploy.cli.options import JsonOption, LabNameArgument, RunningOption, named
from deploy.cli.screen import emit_json, print_table, quantity
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab
from nodes.runtime.lag import LagFigures


def command(
    name: LabNameArgument = None,
    running: RunningOption = None,
    json: JsonOption = False,
) -> None:
    """Show the processes of a lab that is up, and how they are.

    Example: bellwire ps metro
    Example: bellwire ps -l lab/operator.json
    """
    directory = Registry().find(named(name, running))
    status = asyncio.run(RemoteLab(directory.socket).status())
    lags = [process["lag"] and LagFigures(**process["lag"]) for process in status]
    if json:
        processes = [s | {"lag": lag and lag.document()} for s, lag in zip(status, lags, strict=True)]
        emit_json("ps", {"lab": directory.name, "processes": processes})
        return
    rows = [
        [
            s["name"],
            str(s["pid"] or "-"),
            str(s["port"] or "-"),
            s["state"],
            str(s["restarts"] or "-"),
            _lag(lag),
        ]
        for s, lag in zip(status, lags, strict=True)
    ]
    print_table(f"Lab {directory.name}", ["process", "pid", "port", "state", "restarts", "lag"], rows)


def _lag(figures: LagFigures | None) -> str:
    """Show how late things are for a node in real time: 99 of 100, and what was worst."""
    if figures is None:
        return "-"
    shown = f"{quantity(figures.p99, 's')}, worst {quantity(figures.worst, 's')}"
    return f"{shown}, behind" if figures.behind else shown
