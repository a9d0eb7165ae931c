"""A lab that Compose starts from what was exported does what a lab does, for its operator and for nobody else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.certificates import Authority
from deploy.control_address import OperatorDocument
from shared_state.document import read, write

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire
    from tests.processes.containers.conftest import Engine

pytestmark = [
    pytest.mark.processes,
    pytest.mark.containers,
    pytest.mark.timeout(300),
]


def compose() -> list[str]:
    """Return the command; skip where there is none."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode:
        pytest.skip("neither 'docker compose' nor 'docker-compose' is installed")
    return ["docker", "compose"]


@contextmanager
def started(bellwire: Bellwire, lab: str, directory: Path) -> Iterator[Path]:
    """Export a lab and let Compose start it; give the operator's document."""
    command = [*compose(), "-p", "bwtest", "-f", str(directory / "compose.yaml")]
    assert bellwire("export", "compose", lab, "-o", directory).code == 0
    subprocess.run([*command, "up", "-d"], check=True, capture_output=True, timeout=90)
    try:
        yield directory / "operator.json"
    finally:
        subprocess.run([*command, "down", "--volumes"], check=True, capture_output=True, timeout=90)


def test_compose_starts_a_lab_that_its_operator_uses(
    engine: Engine, bellwire: Bellwire, tmp_path: Path
) -> None:
    with started(bellwire, "alice-charlie-bob", tmp_path / "lab") as operator:
        bellwire.wait_for(lambda: bellwire("ps", operator).code == 0, within=90)
        result = bellwire("run", "swap", "--rounds", "10", "-l", operator, "--json").document
        assert result["fidelity_mean"] > 1 / 2, "it is entangled, however long this machine lets it wait"
        states = {
            row["name"]: row["state"] for row in bellwire("ps", operator, "--json").document["processes"]
        }
        assert states == dict.fromkeys(("alice", "charlie", "bob"), "ready")
        assert bellwire("link", "down", "alice-charlie", "-l", operator).code == 0
        cut = bellwire("run", "swap", "-l", operator)
        assert cut.code != 0
        assert "alice-charlie" in cut.err
        assert bellwire("link", "up", "alice-charlie", "-l", operator).code == 0
        told = bellwire("events", "-l", operator, "--event", "link.set")
        assert [json.loads(line)["up"] for line in told.out.splitlines()] == [False, True]
        following = bellwire.start("events", "-l", operator, "-f", "--event", "tap", "--node", "control")
        assert bellwire("eve", "attach", "charlie-bob", "-l", operator).code == 0
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["event"] == "tap.attached"
        assert "run by others" in bellwire("kill", "alice", "-l", operator).err
        assert "other hosts" in bellwire("logs", "-l", operator).err

        document = read(OperatorDocument, operator.read_text())
        forged = tmp_path / "forged.json"
        stranger = Authority(document.name, datetime.now(UTC)).identify("operator")
        told = json.loads(write(document))
        told["tls"] |= {"certificate": stranger.certificate, "key": stranger.key}
        forged.write_text(json.dumps(told))
        assert bellwire("ps", forged).code == 8
        assert bellwire("events", "-l", forged).code == 8
    assert following.wait(20) in (0, 8)  # told that the lab goes down, or cut off by its end
    assert bellwire("ps", operator).code == 8
