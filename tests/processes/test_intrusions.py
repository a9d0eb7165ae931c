"""Who does not belong in a lab does not get in, and disturbs nobody who does."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest

from broker.envelope import Envelope, encode
from broker.errors import BrokerRefused
from broker.mqtt import MqttBus
from deploy.credentials import MONITOR, Credentials
from deploy.errors import ProcessDied
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from nodes.runtime.config import NodeConfig

if TYPE_CHECKING:
    from tests.processes.conftest import Lab

pytestmark = pytest.mark.processes

REASONS = {"shared_state": "BadCredential|token|credential", "broker": "does not let|refuse|password"}


def port_of(lab: Laboratory, name: str) -> int:
    """Return where a process of a lab listens."""
    return next(status.port for status in lab.status() if status.name == name)


@pytest.mark.parametrize("where", ["shared_state", "broker"])
async def test_a_node_with_a_wrong_credential_is_refused_and_the_launcher_says_where(
    lab: Lab, broker: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rightly = Credentials.node_config

    def wrongly(self: Credentials, *arguments: Any) -> NodeConfig:
        config = rightly(self, *arguments)
        if config.name != "bob":
            return config
        access = replace(getattr(config, where), secret="guessed")
        return replace(config, **{where: access})

    monkeypatch.setattr(Credentials, "node_config", wrongly)
    with pytest.raises(ProcessDied, match=REASONS[where]) as death:
        async with lab("alice-bob", broker):
            pass
    assert death.value.name == "bob"
    assert "guessed" not in str(death.value)


async def test_a_node_cannot_publish_under_anothers_name(lab: Lab, broker: str) -> None:
    async with lab("alice-charlie-bob", broker) as running, asyncio.timeout(20):
        port = port_of(running, "broker")
        access = running.premises.broker_access
        secret, watching = access("charlie").secret, access(MONITOR).secret
        await running.kill("charlie")
        name = running.plan.lab
        async with aiomqtt.Client(
            "127.0.0.1", port, username=MONITOR, password=watching, identifier=MONITOR
        ) as watch:
            await watch.subscribe(f"{name}/#", qos=1)
            for sender in ("alice", "charlie"):
                forged = Envelope(name, sender, "bob", "chat", "run-9", 0, 0.0, 0.0, "Hello", {})
                with suppress(aiomqtt.MqttError):  # mosquitto also throws the forger out
                    async with aiomqtt.Client(
                        "127.0.0.1", port, username="charlie", password=secret, identifier="charlie"
                    ) as charlie:
                        await charlie.publish(str(forged.topic), encode(forged), qos=1)
            async for message in watch.messages:
                if "/to/bob/chat" in str(message.topic):
                    assert str(message.topic) == f"{name}/charlie/to/bob/chat"
                    break
        await running.resume("charlie")
        result = await running.run(Job("qkd"))
        assert not result.returned[0]["bob"]["aborted"]


GARBAGE: dict[str, Callable[[], bytes]] = {
    "noise": lambda: os.urandom(100_000),
    "a web browser": lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "the header of a frame of 1 GiB": lambda: struct.pack(">I", 1 << 30),
    "half a header": lambda: b"\0\0",
    "nested lists": lambda: struct.pack(">I", 4000) + b"\x91" * 4000,
    "nothing": lambda: b"",
}


async def test_nonsense_on_the_ports_of_a_lab_does_not_disturb_a_run(lab: Lab, broker: str) -> None:
    async with lab("alice-bob", broker) as running, asyncio.timeout(30):
        ports = [port_of(running, "state"), port_of(running, "broker")]

        async def intrude(port: int, content: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with suppress(OSError):  # hanging up is an answer
                writer.write(content)
                writer.write_eof()
                await reader.read()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        async with asyncio.TaskGroup() as group:
            run = group.create_task(running.run(Job("teleport", rounds=200)))
            for port in ports:
                for make in GARBAGE.values():
                    group.create_task(intrude(port, make()))
        assert run.result().figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
        assert (await running.census()).qubits == 0


async def test_a_stranger_is_not_let_in(lab: Lab, broker: str) -> None:
    async with lab("alice-bob", broker) as running:
        port = port_of(running, "broker")
        for name in ("mallory", "alice"):
            with pytest.raises(BrokerRefused, match=name):
                async with MqttBus(name, running.plan.lab, "127.0.0.1", port, name, "guessed"):
                    pass
        assert (await running.run(Job("teleport"))).rounds == 1
