"""``bellwire validate-physics``: does the quantum world agree with the textbooks?"""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

from deploy import field_systems
from deploy.cli.finishing import finish
from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, print_table, say
from deploy.errors import CheckFailed, UsageError
from nodes.validation.sections import KEY_SECTIONS
from shared_state.validation.comparison import Comparison
from shared_state.validation.findings import Findings
from shared_state.validation.sections import SECTIONS as WORLD_SECTIONS
from shared_state.validation.summary import Summary, summaries

SECTIONS = {**WORLD_SECTIONS, **KEY_SECTIONS, field_systems.NAME: field_systems.compare}


def command(
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed all dice.")] = 1,
    section: Annotated[
        list[str] | None,
        typer.Option("--section", metavar="NAME", help=f"One of {', '.join(SECTIONS)}. Repeat for more."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Write the report with its plots there.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare the quantum world with closed forms, device by device. Exit code 7 says that something disagrees.

    Example: bellwire validate-physics --section memory
    """
    if unknown := sorted(set(section or ()) - set(SECTIONS)):
        raise UsageError(f"there is no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    if report and section:
        raise UsageError("--report writes the whole report; leave --section out")
    if report:
        _check_plots()
    found = {name: _run(name, seed) for name in SECTIONS if not section or name in section}
    comparisons = [comparison for findings in found.values() for comparison in findings.comparisons]
    _show(comparisons, seed, json=json)
    if report:
        from shared_state.validation.report import write

        say(f"The report is {write(found, seed, report)}.")
    failed = [summary for summary in summaries(comparisons) if not summary.passed]
    if failed:
        raise CheckFailed("\n".join(map(_sentence, failed)))


def _run(name: str, seed: int) -> Findings:
    began = monotonic()
    findings = finish(SECTIONS[name](seed))
    agree = sum(comparison.passed for comparison in findings.comparisons)
    say(f"{name}: {agree} of {len(findings.comparisons)} agree ({monotonic() - began:.1f} s)")
    return findings


def _check_plots() -> None:
    if find_spec("matplotlib") is None:
        raise UsageError(
            "--report draws its plots with matplotlib, which is missing; run pip install 'bellwire[plots]'"
        )


def _show(comparisons: list[Comparison], seed: int, *, json: bool) -> None:
    if json:
        document = {
            "seed": seed,
            "passed": all(comparison.passed for comparison in comparisons),
            "comparisons": [_document(comparison) for comparison in comparisons],
        }
        emit_json("validate-physics", document)
        return
    rows = [
        [s.furthest.section, s.furthest.name, str(len(s.comparisons)), s.distance, "✓" if s.passed else "✗"]
        for s in summaries(comparisons)
    ]
    print_table(f"Physics, seed {seed}", ["section", "formula", "points", "furthest off", ""], rows)


def _document(comparison: Comparison) -> dict[str, Any]:
    sampled = comparison.kind == "sampled"
    return {
        **asdict(comparison),
        "tolerance": None if sampled else comparison.tolerance,
        "deviation": comparison.deviation,
        "z": comparison.z if sampled else None,
        "passed": comparison.passed,
    }


def _sentence(summary: Summary) -> str:
    furthest = summary.furthest
    return (
        f"{furthest.section}: {furthest.name} disagrees, {furthest.measured:.9g} for {furthest.reference:.9g} "
        f"({summary.distance}) at {summary.parameters}"
    )
