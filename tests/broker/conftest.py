"""What the tests of the classical network share: users, brokers, buses, and a cable that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from broker.envelope import Envelope
from broker.mqtt import MqttBus
from broker.programs.choose import choose, find_mosquitto
from broker.programs.program import BrokerConfig, BrokerProgram

USERS = {name: f"the-password-of-{name}" for name in ("alice", "bob", "charlie", "control", "monitor")}


@pytest.fixture
def new_envelope() -> Callable[..., Envelope]:
    """Make an envelope from Alice to Bob; keywords replace fields."""

    def make(sequence: int = 0, **replaced: Any) -> Envelope:
        values: dict[str, Any] = {
            "lab": "lab",
            "sender": "alice",
            "recipient": "bob",
            "protocol": "teleport",
            "session": "run-1",
            "sequence": sequence,
            "sent_at": 0.5,
            "arrives_at": 0.5,
            "kind": "Correction",
            "body": {"x": 1, "z": 0},
        }
        return Envelope(**values | replaced)

    return make


@pytest.fixture
def config(tmp_path: Path) -> BrokerConfig:
    """A broker's configuration with the users of a small lab."""
    return BrokerConfig("lab", USERS, tmp_path / "broker")


@pytest.fixture(
    params=[
        "embedded",
        pytest.param(
            "mosquitto",
            marks=[
                pytest.mark.mosquitto,
                pytest.mark.processes,
                pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed"),
            ],
        ),
    ]
)
def new_broker(request: pytest.FixtureRequest, config: BrokerConfig) -> Callable[..., BrokerProgram]:
    """Make a broker, each kind in turn; keywords replace values of its configuration."""

    def make(**replaced: Any) -> BrokerProgram:
        values = {name: getattr(config, name) for name in BrokerConfig.__dataclass_fields__}
        return choose(BrokerConfig(**values | replaced), request.param)

    return make


@pytest.fixture
def new_bus() -> Callable[..., MqttBus]:
    """Make a party's bus at a broker (or whatever has a port); keywords are those of the bus."""

    def make(name: str, broker: Any, *, lab: str = "lab", **options: Any) -> MqttBus:
        password = options.pop("password", USERS[name])
        return MqttBus(name, lab, "127.0.0.1", broker.port, name, password, **options)

    return make


class Cable:
    """A TCP connection's way to a broker, which can be cut, and is whole again for the next connection."""

    def __init__(self, broker: BrokerProgram) -> None:
        self._broker = broker
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._server = await asyncio.start_server(
            lambda reader, writer: self._group.create_task(self._join(reader, writer)), "127.0.0.1", 0
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.cut()
        await self._group.__aexit__(None, None, None)

    def cut(self) -> None:
        """Abort what is connected, without a word to either end."""
        for writer in self._writers:
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._broker.port)
        self._writers |= {writer, far_writer}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, far_writer))
            group.create_task(self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
def new_cable() -> type[Cable]:
    """Lay a cable to a broker."""
    return Cable


@pytest.fixture
def users() -> dict[str, str]:
    """The lab's users and their passwords."""
    return dict(USERS)
