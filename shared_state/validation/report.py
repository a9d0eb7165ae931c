"""The report: a table and the plots of each section, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared_state.validation.comparison import EXACT, FALSE_ALARM, LEVEL
from shared_state.validation.findings import Findings
from shared_state.validation.plots import draw
from shared_state.validation.summary import Summary, summaries


def write(found: Mapping[str, Findings], seed: int, directory: Path) -> Path:
    """Write ``report.md`` and its plots into ``directory``, which is made if need be; return the report."""
    directory.mkdir(parents=True, exist_ok=True)
    for findings in found.values():
        for plot in findings.plots:
            draw(plot, directory / f"{plot.name}.svg")
    file = directory / "report.md"
    file.write_text(markdown(found, seed), encoding="utf-8")
    return file


def markdown(found: Mapping[str, Findings], seed: int) -> str:
    """Return the report of these sections."""
    parts = [_opening(found, seed)]
    for section, findings in found.items():
        lines = [
            f"## {section.capitalize().replace('-', ' ')}",
            "",
            "| formula | source | points | furthest off | where | |",
        ]
        lines.append("|---|---|---|---|---|---|")
        lines += [_row(summary) for summary in summaries(findings.comparisons)]
        for plot in findings.plots:
            lines += ["", f"![{plot.title}: {plot.y_label} over {plot.x_label}]({plot.name}.svg)"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _opening(found: Mapping[str, Findings], seed: int) -> str:
    comparisons = [comparison for findings in found.values() for comparison in findings.comparisons]
    agree = sum(comparison.passed for comparison in comparisons)
    sampled = sum(comparison.kind == "sampled" for comparison in comparisons)
    return f"""# The quantum world beside the textbooks

{agree} of {len(comparisons)} numbers agree, {sampled} of them sampled. Made by

    bellwire validate-physics --seed {seed} --report docs/physics

which any change of the physics should be followed by. The command exits with 7 where anything disagrees.

*Measured* comes out of the quantum world itself: the server's core with a client for every node, and its oracle where
a state is looked at. The *reference* is a closed form, written down for this comparison and independent of the
server's code. In the plots lines are theory and points are measured. Among the published rates it is the other way
round: *measured* is what the key rates of `nodes/qkd` come to, *reference* what the paper prints, its points
included.

A calculated number must agree to {EXACT:.0e}, or to the tolerance that is given where the formula is an expansion. A
sampled one fails if a deviation like its own has a probability below {LEVEL:.0e}: for shares by Chernoff's bound, for
means by the normal law (some 5.8 sigma). So chance alone fails the whole report with a probability below
{FALSE_ALARM:.0e}. The tables show how many points of a grid were compared with each formula, and the worst."""


def _row(summary: Summary) -> str:
    furthest = summary.furthest
    cells = [
        furthest.name,
        furthest.source,
        str(len(summary.comparisons)),
        summary.distance,
        f"{summary.parameters}: {furthest.measured:.9g} for {furthest.reference:.9g}",
        "agrees" if summary.passed else "**disagrees**",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
