"""``bellwire entangle``: pairs between two nodes, whatever lies between them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deploy.cli.finishing import finish
from deploy.cli.options import (
    ClockOption,
    DeadlineOption,
    JsonOption,
    LabOption,
    LauncherOption,
    RecordOption,
    RunningOption,
    SeedOption,
)
from deploy.cli.run import run_job
from deploy.cli.screen import emit_json, figure, out, quantity
from deploy.cli.session import LabChoice
from deploy.errors import UsageError, ValueInvalid
from deploy.jobs import Job
from deploy.units import TIME
from nodes.apps.entangle import paths
from nodes.errors import ProgramInvalid
from nodes.requests import Terms
from nodes.runtime.desk import distillations
from nodes.runtime.run_request import RunResult


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="The node that asks for the pairs.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The node with which it shares them.")],
    pairs: Annotated[int, typer.Option("-n", "--pairs", min=1, help="How many pairs.")] = 10,
    min_fidelity: Annotated[
        float,
        typer.Option(
            "--min-fidelity", min=0.0, max=1.0, help="Take ways only whose pairs are predicted to be as good."
        ),
    ] = 0.0,
    within: Annotated[
        str | None, typer.Option("--within", metavar="TIME", help='Emulated time until then, such as "5 s".')
    ] = None,
    cost: Annotated[
        str, typer.Option("--cost", help="What the way is best in: rate, fidelity, length, hops or weight.")
    ] = "rate",
    order: Annotated[
        str,
        typer.Option("--order", help="Who swaps when: asap, nested, or nodes one after the other, r2,r1,r3."),
    ] = "asap",
    purify: Annotated[
        str,
        typer.Option(
            "--purify",
            help="Purify the links' pairs: bbpssw, dejmps or epl, several separated by commas; "
            "1:dejmps those of the first level of swapping, and so on.",
        ),
    ] = "",
    cutoff: Annotated[
        str | None,
        typer.Option(
            "--cutoff", metavar="TIME", help="A node between discards what it cannot swap for so long."
        ),
    ] = None,
    window: Annotated[int, typer.Option("--window", min=1, help="Pairs under way at a time, at most.")] = 4,
    tests: Annotated[
        int | None,
        typer.Option(
            "--tests", min=0, help="Pairs that are measured for the estimate. Default: half as many."
        ),
    ] = None,
    lab: LabOption = None,
    running: RunningOption = None,
    seed: SeedOption = None,
    clock: ClockOption = None,
    launcher: LauncherOption = None,
    record: RecordOption = None,
    deadline: DeadlineOption = 30.0,
    json: JsonOption = False,
) -> None:
    """Get entangled pairs with a node over any number of repeaters, and judge them.

    The network finds a way, installs a circuit along it, swaps, purifies where that is asked for, and finds another way
    when a link or a node fails. Besides the pairs that are kept, and judged by the oracle, some are measured at both
    ends, which gives an estimate of the fidelity without an oracle.

    Example: bellwire entangle alice bob -n 100 --lab alice-charlie-bob

    Example: bellwire entangle nu argonne2 -n 50 --min-fidelity 0.8 --within "10 s" --purify dejmps --lab starlight9
    """
    try:
        Terms(cost=cost)
        distillations(purify)
    except ProgramInvalid as error:
        raise UsageError(str(error)) from error
    terms: dict[str, Any] = {
        "min_fidelity": min_fidelity,
        "within": _seconds(within, "--within"),
        "cost": cost,
        "order": order,
        "purify": purify,
        "window": window,
        "cutoff": _seconds(cutoff, "--cutoff"),
        "tests": -1 if tests is None else tests,
    }
    parameters = {name: str(value) for name, value in terms.items()}
    job = Job("entangle", {"alice": first, "bob": second}, pairs, parameters, deadline)
    result = finish(run_job(job, LabChoice(lab, running, seed, clock, record, launcher)))
    if json:
        emit_json("entangle", _document(result))
    else:
        _print(result)


def _document(result: RunResult) -> dict[str, Any]:
    kept = [returned["alice"] for returned in result.returned]
    interval = result.duration / result.rounds
    ways = paths(result.returned)
    return {
        "pairs": result.rounds,
        "fidelity_mean": result.figures["fidelity_mean"],
        "fidelity_stderr": result.figures["fidelity_stderr"],
        "estimate": result.figures["estimate"],
        "estimate_stderr": result.figures["estimate_stderr"],
        "tested": result.figures["tested"],
        "age_mean_s": result.figures["age_mean"],
        "rate_hz": 1 / interval if interval > 0 else None,
        "interval_mean_s": interval,
        "path": ways[0],
        "paths": ways,
        "kept": [
            {
                "pair": pair["pair"],
                "heralded_at_s": pair["heralded_at"],
                "delivered_at_s": pair["delivered_at"],
                "path": pair["path"],
            }
            for pair in kept
        ],
        "duration_s": result.duration,
        "wall_s": result.wall,
    }


def _print(result: RunResult) -> None:
    figures, interval = result.figures, result.duration / result.rounds
    ways = [" - ".join(way) for way in paths(result.returned)]
    out.print(
        f"[bold]{result.rounds}[/] {'pair' if result.rounds == 1 else 'pairs'} along {', then '.join(ways)}"
    )
    out.print(f"  fidelity  {figure(figures['fidelity_mean'], figures['fidelity_stderr'])}  (oracle)")
    if figures["estimate"] is not None:
        tested = f"({figures['tested']:.0f} pairs measured)"
        out.print(f"  estimate  {figure(figures['estimate'], figures['estimate_stderr'])}  {tested}")
    if figures["age_mean"]:
        out.print(f"  age       {quantity(figures['age_mean'], 's')} from its first herald to its delivery")
    if interval > 0:
        out.print(f"  rate      {quantity(1 / interval, 'Hz')} emulated, one every {quantity(interval, 's')}")


def _seconds(text: str | None, option: str) -> float:
    if text is None:
        return 0.0
    try:
        seconds = TIME.parse(text)
    except ValueInvalid as error:
        raise UsageError(f"{option}: {error}") from error
    if seconds <= 0:
        raise UsageError(f"{option} is a time above 0 s, not '{text}'")
    return seconds
