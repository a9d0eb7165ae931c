"""What the READMEs show works as shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.app import VERBS
from deploy.plan import plan
from deploy.topology import load
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import FibreConfig, LinkDevices, NodeDevices, WorldConfig

ROOT = Path(__file__).parent.parent
PACKAGES = ("shared_state", "broker", "nodes", "deploy")


async def test_the_worked_example_of_nodes_teleports(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "nodes/README.md").read_text(), re.DOTALL)
    program = tmp_path / "my_protocol.py"
    program.write_text(blocks[0])
    world = WorldConfig(
        nodes={"alice": NodeDevices(), "bob": NodeDevices()},
        links={"alice-bob": LinkDevices(("alice", "bob"), FibreConfig(20e3))},
    )
    async with in_memory_lab(world) as lab:
        result = await lab.run(RunRequest(str(program), {"alice": "alice", "bob": "bob"}, rounds=30))
    assert result.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_of_a_package_names_every_file_of_it(package: str) -> None:
    readme = (ROOT / package / "README.md").read_text()
    files = [path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"]
    assert [path.name for path in files if path.name not in readme and path.stem not in readme] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_of_a_package_names_no_file_that_is_not_there(package: str) -> None:
    readme = (ROOT / package / "README.md").read_text()
    there = {path.name for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts}
    named = set(re.findall(r"`(?:[\w/]*/)?(\w+\.(?:py|json|yaml))`", readme))
    assert sorted(named - there - {"my_protocol.py"}) == []


def test_the_first_screen_says_both_commands_and_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 150
    first_screen = "\n".join(lines[:40])
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_the_lab_file_of_the_readme_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "metro.yaml"
    file.write_text(block)
    assert plan(load(file)).entanglement_route("north", "campus") == ("north", "hub", "campus")


@pytest.mark.parametrize("readme", ["README.md", "nodes/README.md", "deploy/README.md"])
def test_every_command_that_a_readme_names_exists(readme: str) -> None:
    named = set(re.findall(r"(?m)^\s*(?:.*; )?bellwire (\w+)", (ROOT / readme).read_text()))
    assert named <= set(VERBS)


def _make(target: str, python: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-s", target, f"PYTHON={python}", "VENV=does-not-exist"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ("sys.version_info", "Bellwire needs Python 3.11 or newer"),
        (
            "import venv",
            "This Python lacks the venv module. On Debian or Ubuntu: sudo apt install python3-venv",
        ),
    ],
)
def test_make_says_what_is_missing_from_the_interpreter(tmp_path: Path, lacks: str, message: str) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in *"{lacks}"*) exit 1;; esac\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    done = _make("demo", str(python))
    assert done.returncode != 0
    assert message in done.stderr
    assert not (ROOT / "does-not-exist").exists()
