"""Options that several verbs share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.errors import UsageError
from deploy.lab import LauncherName
from shared_state.config import ClockMode

LabOption = Annotated[
    str | None,
    typer.Option(
        "--lab", metavar="FILE", help="Bring this lab up for the job: a lab file, or the name of a ready lab."
    ),
]
RunningOption = Annotated[
    str | None,
    typer.Option(
        "-l",
        "--running",
        metavar="NAME",
        help="Use a lab that is up (see 'bellwire ls'); one on other hosts by its operator.json.",
    ),
]
HereOption = Annotated[
    str | None,
    typer.Option(
        "-l", "--running", metavar="NAME", help="Use a lab of this host that is up (see 'bellwire ls')."
    ),
]
LabNameArgument = Annotated[str | None, typer.Argument(metavar="NAME", help="The same as -l NAME.")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Seed all dice, in place of the lab file's seed.")
]
ClockOption = Annotated[
    ClockMode | None,
    typer.Option("--clock", help="How emulated time passes, in place of what the lab file says."),
]
LauncherOption = Annotated[
    LauncherName | None,
    typer.Option("--launcher", help="What each party runs as, in place of what the lab file says."),
]
HostOption = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="Let other hosts reach the lab, at this name or address of this one: mutual TLS, with Mosquitto. In place "
        "of runtime.host in the lab file.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
DeadlineOption = Annotated[
    float,
    typer.Option("--deadline", metavar="SECONDS", min=0.1, help="The longest that any single wait may take."),
]
RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE",
        resolve_path=True,
        help="Write every event to this file, for 'bellwire replay'; with --lab.",
    ),
]
TapOption = Annotated[
    str | None,
    typer.Option("--tap", metavar="NAME", help="Switch this eavesdropper of the lab file on for the job."),
]
RoleOption = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="ROLE=NODE", help="Say who plays a role. Repeat for more."),
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="Set a program's parameter. Repeat for more."),
]


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """Read ``name=value`` options; raise ``UsageError`` for one without an equals sign, or given twice."""
    read: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} takes NAME=VALUE, not '{text}'")
        if name in read:
            raise UsageError(f"{option} {name} is given twice")
        read[name] = value
    return read


def absolute_program(app: str) -> str:
    """Make the path of a program's file absolute; leave names as they are."""
    return str(Path(app).resolve()) if app.endswith(".py") else app


def named(name: str | None, running: str | None) -> str | None:
    """Return which lab that is up is meant, by its name alone or by -l. Raise ``UsageError`` for two of them."""
    if name is not None and running is not None:
        raise UsageError(f"{name} or -l {running}: name one lab")
    return name or running
