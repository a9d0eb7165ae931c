"""Every file of a verb is a verb, and a verb loads no more than it needs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest
from typer.testing import CliRunner

import deploy.cli
from deploy.cli.app import VERBS, app
from deploy.cli.options import named
from deploy.errors import UsageError


def test_every_file_with_a_command_is_a_verb() -> None:
    modules = {
        info.name: import_module(f"deploy.cli.{info.name}") for info in iter_modules(deploy.cli.__path__)
    }
    files = {
        name for name, module in modules.items() if hasattr(module, "command") or hasattr(module, "VERBS")
    }
    assert files - {"app"} == {name.replace("-", "_") for name in VERBS}
    assert len(set(VERBS)) == len(VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_help_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "Example" in shown.output or "COMMAND [ARGS]" in shown.output


def test_a_verb_that_is_misspelt_is_told_the_right_one() -> None:
    refused = CliRunner().invoke(app, ["entagle"], env={"COLUMNS": "200"})
    assert refused.exit_code == 2
    assert "No such command 'entagle'. Did you mean 'entangle'?" in refused.output


@pytest.mark.parametrize("arguments", [("version",), ("ps", "--help"), ("logs", "--help")])
def test_who_asks_waits_for_no_simulator(arguments: tuple[str, ...]) -> None:
    script = (
        "import sys\nfrom deploy.cli.app import app\n"
        f"app({list(arguments)!r}, standalone_mode=False)\n"
        "heavy = {'deploy.laboratory', 'shared_state.service', 'amqtt', 'networkx'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_lab_is_named_once() -> None:
    assert (named(None, None), named("metro", None), named(None, "lab/operator.json")) == (
        None,
        "metro",
        "lab/operator.json",
    )
    with pytest.raises(UsageError, match="metro or -l tokyo: name one lab"):
        named("metro", "tokyo")
