"""``bellwire qkd``: a secret key between two nodes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deploy.cli.options import (
    ClockOption,
    DeadlineOption,
    JsonOption,
    LabOption,
    RecordOption,
    RunningOption,
    SeedOption,
    TapOption,
)
from deploy.cli.run import run_job
from deploy.cli.screen import emit_json, out, quantity
from deploy.cli.session import finish
from deploy.errors import CheckFailed
from deploy.jobs import Job
from nodes.qkd.pipeline import MOST_PULSES
from nodes.runtime.conductor import RunResult

NAME = "qkd"


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="The node that sends photons.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The node that measures them.")],
    blocks: Annotated[
        int, typer.Option("--blocks", min=1, help="How many blocks, each with a key of its own.")
    ] = 1,
    pulses: Annotated[
        int, typer.Option("--pulses", min=1, max=MOST_PULSES, help="Photons per block.")
    ] = 100_000,
    lab: LabOption = None,
    running: RunningOption = None,
    seed: SeedOption = None,
    clock: ClockOption = None,
    record: RecordOption = None,
    tap: TapOption = None,
    deadline: DeadlineOption = 30.0,
    json: JsonOption = False,
) -> None:
    """Distil secret keys by BB84 over the fibre between two neighbours. Exit code 7 when a key is refused.

    Example: bellwire qkd alice bob --lab alice-bob

    Example: bellwire qkd alice bob --lab alice-charlie-bob --tap eve
    """
    job = Job("qkd", {"alice": first, "bob": second}, blocks, {"pulses": str(pulses)}, deadline, tap)
    document = qkd_document(finish(run_job(job, lab, running, seed, clock, record)))
    if json:
        emit_json("qkd", document)
    else:
        print_qkd(document)
    if document["aborted"]:
        raise CheckFailed(f"the key was refused: {document['reason']}")


def qkd_document(result: RunResult) -> dict[str, Any]:
    """Add the blocks of a run up; fields as in ``QkdReport``, rates emulated."""
    reports = [returned["bob"] for returned in result.returned]
    return summed(reports) | {"blocks": len(reports), "wall_s": result.wall}


def summed(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum the counts of several reports; the QBER is the mean over sampled bits, the efficiency over parities."""
    total = {
        name: sum(report[name] for report in reports)
        for name in ("pulses", "sifted_bits", "sampled_bits", "leaked_bits", "secret_bits", "duration_s")
    }
    sampled = [report for report in reports if report["qber"] is not None]
    errors = sum(report["qber"] * report["sampled_bits"] for report in sampled)
    efficiencies = [report["efficiency"] for report in reports if report["efficiency"] is not None]
    aborted = [report for report in reports if report["aborted"]]
    duration = total["duration_s"]
    return {
        **total,
        "qber": errors / total["sampled_bits"] if total["sampled_bits"] else None,
        "efficiency": sum(efficiencies) / len(efficiencies) if efficiencies else None,
        "secret_rate_bps": total["secret_bits"] / duration if duration > 0 else None,
        "aborted": bool(aborted),
        "reason": aborted[0]["reason"] if aborted else "",
    }


def print_qkd(document: dict[str, Any]) -> None:
    """Print the sums."""
    qber = "-" if document["qber"] is None else f"{document['qber']:.4%}"
    out.print(
        f"[bold]BB84[/], {document['pulses']} photons: "
        f"{quantity(document['duration_s'], 's')} emulated, {document['wall_s']:.2f} s real"
    )
    out.print(f"  sifted     {document['sifted_bits']} bits")
    out.print(f"  QBER       {qber}  (from {document['sampled_bits']} sampled bits)")
    out.print(f"  leaked     {document['leaked_bits']} bits in error correction")
    out.print(f"  secret     {document['secret_bits']} bits" + _rate(document))


def _rate(document: dict[str, Any]) -> str:
    rate = document["secret_rate_bps"]
    return f", {quantity(rate, 'bit/s')} emulated" if rate else ""
