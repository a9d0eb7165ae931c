"""``bellwire run``: run a program on a lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.finishing import finish
from deploy.cli.options import (
    ClockOption,
    DeadlineOption,
    JsonOption,
    LabOption,
    LauncherOption,
    ParameterOption,
    RecordOption,
    RoleOption,
    RunningOption,
    SeedOption,
    TapOption,
    absolute_program,
    pairs,
)
from deploy.cli.screen import counting, emit_json, figure, out, quantity
from deploy.cli.session import LabChoice, open_lab
from deploy.jobs import Job
from nodes.runtime.run_request import RunResult

_SHOWN = 20


def command(
    app: Annotated[
        str,
        typer.Argument(
            metavar="APP", help="teleport, swap, entangle, chsh, witness, tomography, qkd, or ./a_file.py"
        ),
    ],
    lab: LabOption = None,
    running: RunningOption = None,
    rounds: Annotated[int, typer.Option("--rounds", "-n", min=1, help="How often to run it.")] = 1,
    seed: SeedOption = None,
    clock: ClockOption = None,
    launcher: LauncherOption = None,
    record: RecordOption = None,
    role: RoleOption = None,
    param: ParameterOption = None,
    tap: TapOption = None,
    deadline: DeadlineOption = 30.0,
    json: JsonOption = False,
) -> None:
    """Run a program on a lab: one of Bellwire's by name, or a file with one coroutine per role.

    Example: bellwire run teleport --lab alice-bob --rounds 100 --seed 7

    Example: bellwire run ./my_protocol.py --lab metro.yaml --role alice=north --role bob=dc
    """
    job = Job(absolute_program(app), pairs(role, "--role"), rounds, pairs(param, "--param"), deadline, tap)
    result = finish(run_job(job, LabChoice(lab, running, seed, clock, record, launcher)))
    document = document_of(result) | ({} if seed is None else {"seed": seed})
    if json:
        emit_json("run", document)
    else:
        print_result(result)


async def run_job(job: Job, choice: LabChoice) -> RunResult:
    """Do one job, with progress on the terminal."""
    async with open_lab(job, choice) as handle:
        with counting(f"Running {Path(job.app).stem}", job.rounds) as step:
            return await handle.run(job, step)


def document_of(result: RunResult) -> dict[str, Any]:
    """Return the JSON fields that every run has."""
    rate = result.rounds / result.duration if result.duration > 0 else None
    return {
        "program": result.program,
        "roles": result.roles,
        "rounds": result.rounds,
        **result.figures,
        "paths": result.paths,
        "duration_s": result.duration,
        "rate_hz": rate,
        "wall_s": result.wall,
        **({} if result.figures else {"results": result.returned}),
    }


def print_result(result: RunResult) -> None:
    """Print a run's figures, one a line; what the roles returned where the program has no referee."""
    rounds = "1 round" if result.rounds == 1 else f"{result.rounds} rounds"
    times = f"{quantity(result.duration, 's')} emulated, {result.wall:.2f} s real"
    out.print(f"[bold]{result.program}[/], {rounds}: {times}")
    for name, value in result.figures.items():
        if not name.endswith("_stderr"):
            error = result.figures.get(f"{name.removesuffix('_mean')}_stderr")
            out.print(f"  {name:18} {figure(value, error)}")
    if not result.figures:
        for number, returned in enumerate(result.returned[:_SHOWN]):
            out.print(f"  round {number}: {returned}", markup=False, soft_wrap=True)
        if len(result.returned) > _SHOWN:
            out.print(f"  ... and {len(result.returned) - _SHOWN} more; --json has them all")
