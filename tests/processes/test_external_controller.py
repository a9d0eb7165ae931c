"""A routing controller of somebody else's: a program that speaks the documented topics, over a plain MQTT client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import msgpack
import pytest

from deploy.controller_access import read_access
from deploy.errors import NotFound, RunUnsuccessful
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.topology import find, load

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes

AROUND = ("n1", "n6", "n5", "n4")
"""The other way round ring-6 than the built-in controller takes first."""


@asynccontextmanager
async def lab_without_controller(directory: Path, mode: Any = "virtual") -> AsyncIterator[Laboratory]:
    planned = replace(plan(load(find("ring-6")), mode=mode), controller="external", broker="embedded")
    async with Laboratory(planned, directory) as lab:
        yield lab


async def answer(access: dict[str, Any], asked: list[dict[str, Any]], listens: asyncio.Event) -> None:
    """Be a controller that always says the same way, in nothing but MQTT and MessagePack."""
    lab = access["lab"]
    async with aiomqtt.Client(
        access["host"],
        access["port"],
        username=access["username"],
        password=access["password"],
        identifier=access["username"],
    ) as client:
        await client.subscribe(f"{lab}/+/to/controller/routing", qos=1)
        listens.set()
        sent: dict[str, int] = {}
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            envelope = msgpack.unpackb(message.payload)
            asked.append(envelope["body"])
            node, session = envelope["sender"], envelope["session"]
            sequence = sent.get(node + session, 0)
            sent[node + session] = sequence + 1
            way = {
                "nodes": list(AROUND),
                "links": [f"{a}-{b}" for a, b in (("n6", "n1"), ("n5", "n6"), ("n4", "n5"))],
                "rate": 1000.0,
                "fidelity": 0.9,
                "delay": 3e-4,
                "alphas": [],
            }
            reply = envelope | {
                "sender": "controller",
                "recipient": node,
                "sequence": sequence,
                "kind": "Routes",
                "body": {"number": envelope["body"]["number"], "ways": [way]},
            }
            await client.publish(f"{lab}/controller/to/{node}/routing", msgpack.packb(reply), qos=1)


@pytest.mark.parametrize("mode", ["virtual", "real-time"])
async def test_a_foreign_controller_decides_which_way_pairs_take(tmp_path: Path, mode: str) -> None:
    asked, listens = list[dict[str, Any]](), asyncio.Event()
    async with lab_without_controller(tmp_path, mode) as lab:
        controller = asyncio.create_task(answer(read_access(tmp_path, "ring-6"), asked, listens))
        try:
            await listens.wait()
            parameters = {"min_fidelity": "0.5", "cost": "length"}
            result = await lab.run(Job("entangle", {"alice": "n1", "bob": "n4"}, 5, parameters))
        finally:
            controller.cancel()
    assert {tuple(each["alice"]["path"]) for each in result.returned} == {AROUND}
    (question,) = asked
    assert question["source"] == "n1"
    assert question["destination"] == "n4"
    assert question["cost"] == "length"
    assert question["min_fidelity"] == 0.5


async def test_without_a_controller_a_request_fails_and_says_so(tmp_path: Path) -> None:
    async with lab_without_controller(tmp_path) as lab:
        with pytest.raises(RunUnsuccessful, match="routing controller did not answer within"):
            await lab.run(Job("entangle", {"alice": "n1", "bob": "n4"}, 2, deadline=0.5))
        assert (await lab.census()).qubits == 0


def test_the_access_is_the_users_alone_and_the_command_tells_it(bellwire: Bellwire, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nnetwork: {controller: external}\nnodes: {a: , b: }\nlinks: [{endpoints: [a, b], length: 1 km}]\n"
    )
    assert bellwire("up", file, "-d").code == 0
    try:
        access = bellwire("controller", "-l", "mine", "--json").document
        assert access["username"] == "controller"
        (written,) = bellwire.home.rglob("controller.json")
        assert written.stat().st_mode & 0o077 == 0
        assert json.loads(written.read_text())["password"] == access["password"]
    finally:
        assert bellwire("down", "mine").code == 0


def test_a_lab_that_routes_by_itself_has_no_access_to_tell(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"network: \{controller: external\}"):
        read_access(tmp_path, "plain")
