"""A lab on a broker of one's own; addresses at which there is nobody, or somebody else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.programs.choose import find_mosquitto
from broker.programs.program import BrokerConfig
from deploy.children import BrokerPart, StatePart
from deploy.errors import ProcessDied
from deploy.jobs import Job
from deploy.supervisor import Supervisor
from shared_state.config import ServerConfig

if TYPE_CHECKING:
    from deploy.plan import Plan
    from tests.processes.conftest import Bellwire, Lab

pytestmark = pytest.mark.processes


@asynccontextmanager
async def open_broker(directory: Path) -> AsyncIterator[int]:
    """Run a mosquitto that lets everybody do everything, as users have it at home; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    configuration = directory / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest stderr\n")
    process = await asyncio.create_subprocess_exec(
        str(find_mosquitto()), "-c", str(configuration), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(10):
            while not (line := await process.stderr.readline()).rstrip().endswith(b" running"):
                assert line, "mosquitto did not start"
        yield port
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.mosquitto
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
async def test_a_lab_uses_the_broker_that_is_there(
    lab: Lab, planned: Callable[..., Plan], tmp_path: Path
) -> None:
    async with open_broker(tmp_path) as port:
        for _ in range(2):  # what the first lab leaves at the broker does not confuse the second
            async with lab(planned("alice-bob", f"mqtt://127.0.0.1:{port}")) as running:
                assert "broker" not in {status.name for status in running.status()}
                result = await running.run(Job("teleport", rounds=5))
                assert result.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)


def test_a_broker_that_is_not_there_is_named(bellwire: Bellwire, lab_on: Callable[[str], str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    refused = bellwire("run", "teleport", "--lab", lab_on(f"mqtt://{address}"))
    assert (refused.code, refused.out) == (1, "")
    assert address in refused.err
    assert "Traceback" not in refused.err


async def test_a_port_that_is_taken_is_named_by_the_server(
    planned: Callable[..., Plan], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]
        async with Supervisor(tmp_path) as supervisor:
            config = ServerConfig("lab", planned("alice-bob").world, {}, "token", port=port)
            with pytest.raises(ProcessDied, match=f"process 'state' failed: .*{port}"):
                await supervisor.started(supervisor.start("state", StatePart(config)))


async def test_a_port_that_is_taken_is_named_by_the_broker(broker: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]
        async with Supervisor(tmp_path) as supervisor:
            config = BrokerConfig("lab", {"alice": "secret"}, tmp_path / "broker", port=port)
            with pytest.raises(ProcessDied, match=f"process 'broker' failed: .*{port}.*another port"):
                await supervisor.started(supervisor.start("broker", BrokerPart(config, broker)))
