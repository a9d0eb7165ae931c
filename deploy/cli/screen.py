"""What the user sees: data on stdout, everything else on stderr; live on a terminal, a line per change elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import floor, isfinite, log10
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Step = Callable[[int], None]


def complain(message: str) -> None:
    """Say what went wrong."""
    err.print("[bold red]error:[/] ", end="")
    err.print(message, markup=False, soft_wrap=True)


def caution(message: str) -> None:
    """Warn of something that does not stop the command."""
    err.print("[bold yellow]warning:[/] ", end="")
    err.print(message, markup=False, soft_wrap=True)


def say(message: str) -> None:
    """Tell the user what is going on."""
    err.print(message, soft_wrap=True)


def emit_json(schema: str, document: Mapping[str, Any]) -> None:
    """Print the command's one JSON document; a number that JSON does not have becomes null."""
    finite = _finite({"schema": f"bellwire.{schema}/1", **document})
    print(json.dumps(finite, allow_nan=False), file=sys.stdout)  # noqa: T201


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; tab-separated lines where stdout is no terminal."""
    if not out.is_terminal:
        sys.stdout.writelines("\t".join(row) + "\n" for row in [columns, *rows])
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    out.print(table)


def figure(value: float | None, error: float | None = None) -> str:
    """Write a figure with its standard error, to the second digit of that; '-' for one that there is not."""
    if value is None:
        return "-"
    if error is None or error < 1e-12:
        return f"{value:.9g}"
    decimals = min(12, max(0, 1 - floor(log10(error))))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def quantity(value: float, unit: str) -> str:
    """Write a quantity with the prefix of its unit that suits it: 295 µs, 10 kHz."""
    if value == 0 or not isfinite(value):
        return f"{value:g} {unit}"
    power = max(-4, min(4, floor(log10(abs(value)) / 3)))
    return f"{value / 1000**power:.4g} {'pnµm kMGT'[power + 4].strip()}{unit}"


@contextmanager
def counting(what: str, total: int) -> Iterator[Step]:
    """Show how many of ``total`` are done while the block works; the block calls what it is given with the number."""
    if not err.is_terminal or os.environ.get("TERM") == "dumb":
        say(f"{what} ...")
        yield lambda done: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if isfinite(value) else None
        case dict():
            return {key: _finite(element) for key, element in value.items()}
        case list() | tuple():
            return [_finite(element) for element in value]
    return value
