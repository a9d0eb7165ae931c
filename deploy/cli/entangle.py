"""``bellwire entangle``: pairs between two nodes."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.cli.options import (
    ClockOption,
    DeadlineOption,
    JsonOption,
    LabOption,
    RecordOption,
    RunningOption,
    SeedOption,
)
from deploy.cli.run import run_job
from deploy.cli.screen import emit_json, figure, out, quantity
from deploy.cli.session import finish
from deploy.jobs import Job

NAME = "entangle"


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="One node.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other node.")],
    pairs: Annotated[int, typer.Option("-n", "--pairs", min=1, help="How many pairs.")] = 10,
    lab: LabOption = None,
    running: RunningOption = None,
    seed: SeedOption = None,
    clock: ClockOption = None,
    record: RecordOption = None,
    deadline: DeadlineOption = 30.0,
    json: JsonOption = False,
) -> None:
    """Make entangled pairs between two nodes, swapped along the shortest path, and judge them.

    Example: bellwire entangle alice bob -n 100 --lab alice-charlie-bob
    """
    job = Job("entangle", {"alice": first, "bob": second}, pairs, deadline=deadline)
    result = finish(run_job(job, lab, running, seed, clock, record))
    interval = result.duration / pairs
    document = {
        "pairs": pairs,
        **result.figures,
        "rate_hz": 1 / interval if interval > 0 else None,
        "interval_mean_s": interval,
        "path": result.paths[0],
        "duration_s": result.duration,
        "wall_s": result.wall,
    }
    if json:
        emit_json("entangle", document)
        return
    fidelity = figure(result.figures["fidelity_mean"], result.figures["fidelity_stderr"])
    out.print(f"[bold]{pairs}[/] {'pair' if pairs == 1 else 'pairs'} along {' - '.join(result.paths[0])}")
    out.print(f"  fidelity  {fidelity}  (oracle)")
    if interval > 0:
        out.print(f"  rate      {quantity(1 / interval, 'Hz')} emulated, one every {quantity(interval, 's')}")
