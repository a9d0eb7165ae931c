"""``bellwire replay``: run a recorded program again and compare."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.finishing import finish
from deploy.cli.options import JsonOption
from deploy.cli.screen import counting, emit_json, out
from deploy.errors import CheckFailed
from deploy.recording import read_header
from deploy.registry import Registry
from deploy.replay import Replayed, replay


def command(
    record: Annotated[Path, typer.Argument(metavar="FILE", help="A record that 'run --record' has made.")],
    json: JsonOption = False,
) -> None:
    """Run what was recorded again, and say where the first difference is. Exit code 7 when there is one.

    Example: bellwire run teleport --lab alice-bob --record run.jsonl, then: bellwire replay run.jsonl
    """
    replayed = finish(_replay(record))
    if json:
        emit_json("replay", {"identical": replayed.difference is None, **asdict(replayed)})
    elif replayed.difference is None:
        out.print(f"[green]identical[/]: {replayed.events} events")
    if replayed.difference is not None:
        raise CheckFailed(story_of(record, replayed))


async def _replay(record: Path) -> Replayed:
    header = read_header(record)
    with (
        Registry().scratch() as directory,
        counting(f"Replaying {Path(header.program).stem}", header.rounds) as step,
    ):
        return await replay(record, directory, step)


def story_of(record: Path, replayed: Replayed) -> str:
    """Say where the records differ, and what may be why."""
    difference = replayed.difference
    assert difference is not None
    time = "" if difference.at is None else f" (emulated time {difference.at!r} s)"
    lines = [
        f"{record}:{difference.line}: the first difference, after {replayed.events} equal events{time}",
        f"  recorded: {difference.recorded or 'nothing more'}",
        f"  replayed: {difference.replayed or 'nothing more'}",
        *(f"  note: {hint}" for hint in replayed.hints),
    ]
    return "\n".join(lines)
