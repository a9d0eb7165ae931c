"""The command ``bellwire``: one verb per file.

A file is imported when its verb is asked for, so that ``bellwire ps`` need not wait for all that ``bellwire up`` needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any, Final, TypeAlias

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from deploy.cli.reporting import reporting

VERBS: Final = (
    "demo",
    "doctor",
    "up",
    "ps",
    "logs",
    "events",
    "exec",
    "kill",
    "pause",
    "resume",
    "partition",
    "heal",
    "chaos",
    "down",
    "ls",
    "validate",
    "inspect",
    "run",
    "entangle",
    "qkd",
    "send",
    "replay",
    "controller",
    "serve",
    "bench",
    "validate-physics",
    "version",
    "keys",
    "link",
    "eve",
    "image",
    "export",
    "node",
)
"""In the order in which the help lists them. The file of ``validate-physics`` is ``validate_physics.py``."""


Verb: TypeAlias = Any
"""A command, or a group of commands, of the click that typer has in it."""


class Verbs(Mapping[str, Verb]):
    """The verbs by their names. A file has a ``command``, or ``VERBS`` of its own with a ``HELP`` for all of them."""

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)

    def __getitem__(self, name: str) -> Verb:
        if name not in VERBS:
            raise KeyError(name)
        module = import_module(f"deploy.cli.{name.replace('-', '_')}")
        return _group(name, module) if hasattr(module, "VERBS") else _single(name, module)


class Bellwire(TyperGroup):
    """The command above all verbs."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Verbs()  # type: ignore[assignment]  # which is only read

    def list_commands(self, ctx: object) -> list[str]:
        """Return the names of all verbs."""
        return list(self.commands)


def _single(name: str, module: ModuleType) -> Verb:
    alone = typer.Typer(add_completion=False)
    alone.command(name)(reporting(module.command))
    return get_command(alone)


def _group(name: str, module: ModuleType) -> Verb:
    group = typer.Typer(name=name, help=module.HELP, no_args_is_help=True, add_completion=False)
    for each, command in module.VERBS.items():
        group.command(each)(reporting(command))
    return get_group(group)


app = typer.Typer(
    name="bellwire",
    cls=Bellwire,
    help="A quantum internet you can run: every node a process, real MQTT between them, one density matrix underneath.",
    epilog="First: bellwire demo. Then: bellwire run teleport --lab alice-bob --rounds 100",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    shown: Annotated[
        bool, typer.Option("--version", help="Print the versions and exit.", is_eager=True)
    ] = False,
) -> None:
    if shown:
        from deploy.cli import version

        version.command()
        raise typer.Exit
