"""The image has what this program stands on, of the very versions that run here."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.containers import packages
from deploy.containers.image import FINGERPRINT_LABEL, is_current
from deploy.containers.packages import fingerprint, gather, requirements
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


def test_an_image_is_current_until_a_file_or_a_package_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("shared_state", "broker", "nodes", "deploy"):
        (tmp_path / package).mkdir()
    file = tmp_path / "nodes" / "ports.py"
    file.write_text("a")
    monkeypatch.setattr(packages, "_HOME", tmp_path)
    built = {"Config": {"Labels": {FINGERPRINT_LABEL: fingerprint()}}}
    assert is_current(built)
    (tmp_path / "nodes" / "__pycache__").mkdir()
    (tmp_path / "nodes" / "__pycache__" / "ports.pyc").write_text("compiled")
    assert is_current(built)
    file.write_text("b")
    assert not is_current(built)
    file.write_text("a")
    file.rename(file.with_name("port.py"))
    assert not is_current(built)
    file.with_name("port.py").rename(file)
    assert is_current(built)
    monkeypatch.setattr(packages, "requirements", lambda extras: ["numpy==1.0"])
    assert not is_current(built)


@pytest.mark.parametrize("labels", [None, {}, {"maintainer": "nobody"}])
def test_an_image_that_does_not_say_what_it_is_made_of_is_taken_as_it_is(
    labels: dict[str, str] | None,
) -> None:
    assert is_current({"Config": {"Labels": labels}})
