"""A broker, a state server and nodes that nobody has forked make a lab: each is told what it is by a document."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.mqtt import MqttBus
from deploy.credentials import Credentials
from deploy.plan import Plan
from nodes.runtime.attendants import attendants
from nodes.runtime.conductor import Conductor
from nodes.runtime.orders import CONTROL
from nodes.runtime.run_request import RunRequest
from shared_state.document import write
from shared_state.oracle import OracleClient

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[2]


class Alone:
    """A process that is told on its standard input what it is. ``ready`` is the line that it has said."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready

    async def end(self) -> int:
        """End its standard input, and so itself; return how it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(20):
            return await self.process.wait()


@asynccontextmanager
async def started(module: str, document: str, *arguments: str) -> AsyncIterator[Alone]:
    """Start a module as a process of its own and wait until it says that it is ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{document}\n".encode())
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        yield Alone(process, json.loads(line))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_lab_of_processes_that_are_told_by_documents_teleports(
    planned: Callable[..., Plan], tmp_path: Path
) -> None:
    plan = planned("alice-bob")
    credentials = Credentials(plan)
    broker = credentials.broker_config(tmp_path / "broker")
    told = {"lab": plan.lab, "users": broker.users, "directory": str(broker.directory), "program": "embedded"}
    config = ("--config", "-")
    async with (
        started("broker", json.dumps(told)) as bus,
        started("shared_state", write(credentials.server_config(None, None)), *config) as state,
        AsyncExitStack() as nodes,
    ):
        where, port = (bus.ready["host"], bus.ready["port"]), state.ready["port"]
        for node in plan.nodes:
            (tmp_path / node).mkdir()
        ready = [
            await nodes.enter_async_context(
                started(
                    "nodes",
                    write(credentials.node_config(node, where, ("127.0.0.1", port), tmp_path, 0)),
                    *config,
                )
            )
            for node in plan.nodes.values()
        ]
        assert [each.ready for each in ready] == [
            {"lab": "alice-bob", "node": "alice"},
            {"lab": "alice-bob", "node": "bob"},
        ]
        figures = await teleported(plan, credentials, where, port)
        assert figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
        assert [await each.end() for each in [*ready, state, bus]] == [0, 0, 0, 0]


async def teleported(
    plan: Plan, credentials: Credentials, broker: tuple[str, int], state_port: int
) -> dict[str, float | None]:
    """Be the lab's control party for one run."""
    access, oracle = (
        credentials.broker_access(CONTROL, *broker),
        credentials.state_access(CONTROL, "127.0.0.1", state_port),
    )
    async with (
        await OracleClient.connect(
            "127.0.0.1", state_port, lab=plan.lab, name=CONTROL, token=oracle.secret
        ) as view,
        MqttBus(
            CONTROL, plan.lab, access.host, access.port, CONTROL, access.secret, announcements=True
        ) as bus,
        attendants() as attend,
    ):
        conductor = Conductor(bus, plan.lab, view, plan.entanglement_route, list(plan.nodes))
        attend(conductor.serve())
        async with asyncio.timeout(20):
            await conductor.ready(list(plan.nodes))
        return (await conductor.run(RunRequest("teleport", {"alice": "alice", "bob": "bob"}, 5))).figures


@pytest.mark.parametrize(
    ("module", "document", "complaint"),
    [
        ("nodes", "lab: hello", "no JSON document"),
        ("nodes", '{"lab": "hello", "secret": "Top"}', "no NodeConfig"),
        ("shared_state", "lab: hello", "no JSON document"),
        ("shared_state", '{"lab": "hello", "oracle_token": 1}', "no ServerConfig"),
    ],
)
@pytest.mark.parametrize("where", ["standard input", "file"])
async def test_a_process_without_its_document_says_so(
    tmp_path: Path, module: str, document: str, complaint: str, where: str
) -> None:
    file = tmp_path / "config.json"
    file.write_text(document)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "--config", "-" if where == "standard input" else str(file)),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate(f"{document}\n".encode())
    assert process.returncode == 1
    assert complaint in said.decode()
    assert "Traceback" not in said.decode()


async def test_a_node_whose_lab_is_gone_says_so(planned: Callable[..., Plan], tmp_path: Path) -> None:
    plan = planned("alice-bob")
    config = Credentials(plan).node_config(
        plan.nodes["alice"], ("127.0.0.1", 1), ("127.0.0.1", 1), tmp_path, 0
    )
    file = tmp_path / "alice.json"
    file.write_text(write(replace(config, keys=replace(config.keys, store=""))))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nodes", "--config", str(file)), stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert "127.0.0.1:1" in said.decode()
    assert "Traceback" not in said.decode()
    assert config.shared_state.secret not in said.decode()
