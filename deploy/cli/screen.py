"""What the user sees: data on stdout, everything else on stderr; live on a terminal, a line per change elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
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
        for row in [columns, *rows]:
            out.out("\t".join(row))
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    out.print(table)


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
