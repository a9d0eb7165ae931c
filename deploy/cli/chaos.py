"""``bellwire chaos``: faults at random in a lab that is up, each healed; the same seed, the same faults."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import asdict
from pathlib import Path
from secrets import randbits
from typing import Annotated, cast

import typer

from deploy.chaos import Step, Taken, schedule, unleash
from deploy.cli.finishing import finish
from deploy.cli.options import HereOption, JsonOption
from deploy.cli.screen import caution, say
from deploy.errors import UsageError, ValueInvalid
from deploy.plan import plan
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab
from deploy.topology import load
from deploy.units import TIME
from deploy.wording import flow
from shared_state.config import ClockMode


def command(
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Draw the faults from this seed; else from a new one.")
    ] = None,
    duration: Annotated[
        str, typer.Option("--for", metavar="TIME", help="So long, on the lab's clock: '60 s', '5 min'.")
    ] = "60 s",
    intensity: Annotated[
        float, typer.Option("--intensity", metavar="RATE", help="Faults that begin per second, on average.")
    ] = 0.5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the schedule, and do nothing.")] = False,
    running: HereOption = None,
    json: JsonOption = False,
) -> None:
    """Cut, worsen, tap, pause, kill and part what is in a lab that is up, at random; each fault lasts 0.5 to 5 s.

    Each step is printed when it is taken, with --json as JSON Lines. At the end, and after Ctrl-C, everything that was
    broken is healed. Where time is virtual no process is touched.

    Example: bellwire chaos --seed 7 --for 60s --dry-run
    """
    try:
        seconds = TIME.parse(duration)
    except ValueInvalid as error:
        raise UsageError(f"--for: {error.what}; write {error.instead}") from error
    directory = Registry().here(running)
    record = directory.read()
    planned = plan(load(Path(record.file)), mode=cast(ClockMode, record.clock))
    drawn = randbits(32) if seed is None else seed
    steps = schedule(planned, drawn, seconds, intensity)
    say(f"Chaos in lab [bold]{directory.name}[/]: {len(steps) // 2} faults in {seconds:g} s, --seed {drawn}")
    if dry_run:
        for step in steps:
            _print(Taken(step), json)
        return
    finish(unleash(RemoteLab(directory.socket), steps, lambda taken: _print(taken, json)))
    say(f"Everything that was broken in lab [bold]{directory.name}[/] is healed.")


def _print(taken: Taken, json: bool) -> None:
    step = taken.step
    if json:
        told = asdict(step)
        line = {"schema": "bellwire.chaos/1", "at_s": told.pop("at"), **told, "error": taken.error or None}
        sys.stdout.write(json_text.dumps(line) + "\n")
    else:
        sys.stdout.write(_line(step) + "\n")
        if taken.error:
            caution(taken.error)
    sys.stdout.flush()


def _line(step: Step) -> str:
    return f"{step.at:9.3f} s  {step.fault:5d}  {step.what:12} {flow(step.arguments)}"
