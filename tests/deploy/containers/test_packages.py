"""The image has what this program stands on, of the very versions that run here."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.containers import packages
from deploy.containers.packages import gather, requirements
from deploy.errors import LabFailed, UsageError


def test_every_package_that_is_needed_comes_in_the_version_that_runs_here() -> None:
    pinned = dict(line.split("==") for line in requirements())
    for name in ("numpy", "msgpack", "aiomqtt", "cryptography", "paho-mqtt", "cffi"):
        assert pinned[name] == importlib.metadata.version(name)
    assert "bellwire" not in pinned
    assert "pytest" not in pinned
    assert "numba" not in pinned
    assert {"numba", "llvmlite"} <= {line.partition("==")[0] for line in requirements(["compiled"])}


def test_packages_are_chosen_for_the_container_and_extras_by_their_names() -> None:
    assert not [line for line in requirements() if line.startswith("pywin32")]
    with pytest.raises(UsageError, match="compild"):
        requirements(["compild"])


def test_without_the_extra_its_name_is_said() -> None:
    script = "import sys; sys.modules['docker'] = None\nfrom deploy.launching import executor; executor()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'bellwire[docker]'" in done.stderr


def test_a_control_party_needs_no_engine() -> None:
    """It runs in a container, whose image lacks the extra."""
    script = "import sys; sys.modules['docker'] = None\nimport deploy.cli.main, deploy.cli.serve, deploy.exports.bundle"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_package_that_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "requirements", lambda extras: ["./no-such-package.whl"])
    with pytest.raises(LabFailed, match="the packages for the image cannot be had: ERROR"):
        gather(tmp_path / "site", "3.11", "x86_64")
