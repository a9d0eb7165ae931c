"""``bellwire qkd``: a secret key between two nodes."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
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
    TapOption,
)
from deploy.cli.screen import counting, emit_json, out, quantity
from deploy.cli.session import LabChoice, open_lab
from deploy.errors import CheckFailed, UsageError, ValueInvalid
from deploy.jobs import Job
from deploy.units import TIME
from nodes.agreement import LARGEST_BLOCK, PROTOCOLS, RECONCILIATIONS
from nodes.runtime.run_request import RunResult


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="The node that sends photons.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The node that measures them.")],
    blocks: Annotated[
        int, typer.Option("--blocks", min=1, help="How many blocks, each with a key of its own.")
    ] = 1,
    lasting: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="As many blocks as this emulated time brings: 10s."),
    ] = None,
    pulses: Annotated[
        int, typer.Option("--pulses", min=0, help="Pulses, or pairs, per block; 0: as many as fill it.")
    ] = 0,
    block: Annotated[
        int, typer.Option("--block", min=0, max=LARGEST_BLOCK, help="Sifted bits per block; 0: the link's.")
    ] = 0,
    protocol: Annotated[
        str, typer.Option("--protocol", help=f"In place of the link's: {', '.join(PROTOCOLS)}.")
    ] = "",
    reconciliation: Annotated[
        str, typer.Option("--reconciliation", help=f"In place of the link's: {', '.join(RECONCILIATIONS)}.")
    ] = "",
    network: Annotated[
        bool, typer.Option("--network", help="Over repeaters, with pairs of the entanglement network.")
    ] = False,
    lab: LabOption = None,
    running: RunningOption = None,
    seed: SeedOption = None,
    clock: ClockOption = None,
    launcher: LauncherOption = None,
    record: RecordOption = None,
    tap: TapOption = None,
    deadline: DeadlineOption = 30.0,
    json: JsonOption = False,
) -> None:
    """Distil secret keys over the fibre between two neighbours, or over repeaters, into the stores of both nodes.

    Exit code 7 when a key is refused.

    Example: bellwire qkd alice bob --lab alice-bob

    Example: bellwire qkd sender receiver --for 1s --lab metro-decoy

    Example: bellwire qkd alice bob --lab alice-charlie-bob --tap eve

    Example: bellwire qkd node1 node3 --network --protocol e91 --lab chain-3
    """
    choice: dict[str, str | int] = {"protocol": protocol, "reconciliation": reconciliation}
    choice |= {"pairs": pulses} if network else {"pulses": pulses, "block": block}
    job = Job(
        "network-qkd" if network else "qkd",
        {"alice": first, "bob": second},
        blocks,
        {name: str(value) for name, value in choice.items() if value},
        deadline,
        tap,
    )
    seconds = None if lasting is None else _seconds(lasting)
    opened = LabChoice(lab, running, seed, clock, record, launcher)
    document = qkd_document(finish(_distil(job, seconds, opened)))
    if json:
        emit_json("qkd", document)
    else:
        print_qkd(document)
    if document["aborted"]:
        raise CheckFailed(f"the key was refused: {document['reason']}")


async def _distil(job: Job, seconds: float | None, choice: LabChoice) -> list[RunResult]:
    """Do the job; when it is to last, a block tells first how many more there is time for."""
    async with open_lab(job, choice) as handle:
        with counting("Distilling", job.rounds) as step:
            results = [await handle.run(job, step)]
        if seconds is not None and results[0].duration < seconds:
            more = ceil((seconds - results[0].duration) * job.rounds / results[0].duration)
            with counting("Distilling", more) as step:
                results.append(await handle.run(replace(job, rounds=more), step))
    return results


def _seconds(text: str) -> float:
    try:
        return TIME.parse(text)
    except ValueInvalid as error:
        raise UsageError(f"--for {error}") from error


def qkd_document(results: list[RunResult]) -> dict[str, Any]:
    """Add the blocks of runs up; fields as in ``QkdReport``, rates emulated."""
    reports = [returned["bob"] for result in results for returned in result.returned]
    return summed(reports) | {"blocks": len(reports), "wall_s": sum(result.wall for result in results)}


def summed(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum the counts of several reports; the QBER is the mean over revealed bits, the efficiency over blocks."""
    total = {
        name: sum(report[name] for report in reports)
        for name in ("pulses", "sifted_bits", "sampled_bits", "leaked_bits", "secret_bits", "duration_s")
    }
    sampled = [report for report in reports if report["qber"] is not None]
    errors = sum(report["qber"] * report["sampled_bits"] for report in sampled)
    efficiencies = [report["efficiency"] for report in reports if report["efficiency"] is not None]
    values = [report["chsh"] for report in reports if report["chsh"] is not None]
    aborted = [report for report in reports if report["aborted"]]
    duration = total["duration_s"]
    return {
        **total,
        "protocol": reports[0]["protocol"] if reports else None,
        "reconciliation": reports[0]["reconciliation"] if reports else None,
        "qber": errors / total["sampled_bits"] if total["sampled_bits"] else None,
        "efficiency": sum(efficiencies) / len(efficiencies) if efficiencies else None,
        "chsh": sum(values) / len(values) if values else None,
        "secret_rate_bps": total["secret_bits"] / duration if duration > 0 else None,
        # security composes: what several keys fall short of adds up
        "secrecy": sum(report["secrecy"] for report in reports if report["secret_bits"]),
        "correctness": sum(report["correctness"] for report in reports if report["secret_bits"]),
        "aborted": bool(aborted),
        "reason": aborted[0]["reason"] if aborted else "",
    }


def print_qkd(document: dict[str, Any]) -> None:
    """Print the sums."""
    qber = "-" if document["qber"] is None else f"{document['qber']:.4%}"
    efficiency = "" if document["efficiency"] is None else f", f = {document['efficiency']:.3f}"
    photons = "pairs" if document["protocol"] in ("bbm92", "e91") else "pulses"
    out.print(
        f"[bold]{document['protocol']}[/], {document['pulses']} {photons}: "
        f"{quantity(document['duration_s'], 's')} emulated, {document['wall_s']:.2f} s real"
    )
    out.print(f"  sifted     {document['sifted_bits']} bits")
    out.print(f"  QBER       {qber}  (from {document['sampled_bits']} revealed bits)")
    if document["chsh"] is not None:
        out.print(f"  S          {document['chsh']:.3f}  (above 2: no local hidden variables)")
    out.print(
        f"  leaked     {document['leaked_bits']} bits by {document['reconciliation']}{efficiency}, tag included"
    )
    out.print(f"  secret     {document['secret_bits']} bits" + _rate(document))
    if document["secret_bits"]:
        out.print(
            f"  security   secret but for {document['secrecy']:.2g}, equal but for {document['correctness']:.2g}"
        )


def _rate(document: dict[str, Any]) -> str:
    rate = document["secret_rate_bps"]
    return f", {quantity(rate, 'bit/s')} emulated" if rate else ""
