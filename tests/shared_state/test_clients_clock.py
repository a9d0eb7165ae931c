"""How a client knows the lab's emulated time when its server, or the machine, is slow to answer."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared_state import line
from shared_state.client import NodeClient
from shared_state.config import ClockConfig, NodeDevices, ServerConfig, WorldConfig
from shared_state.dialling import LocalDialler, Wire
from shared_state.line import Line
from shared_state.service import Service

LATE = 0.4
"""Wall seconds that the first words take on their way to the server; its answer comes at once."""


class _SlowAtFirst:
    """Carries what a client writes first so late."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._first = True

    def write(self, data: bytes) -> None:
        if self._first:
            self._first = False
            asyncio.get_running_loop().call_later(LATE, self._wire.write, data)
        else:
            self._wire.write(data)

    def close(self) -> None:
        self._wire.close()


class _Dialler(LocalDialler):
    async def dial(self, protocol: asyncio.Protocol) -> Wire:
        return _SlowAtFirst(await super().dial(protocol))


async def opened(service: Service) -> NodeClient:
    own = Line(_Dialler(service), lab="lab", name="alice", token="a", role="node")
    await own.open()
    return NodeClient(own)


@pytest.mark.parametrize("scale", [1.0, 10.0])
async def test_the_time_is_asked_for_again_when_the_first_answer_took_long(scale: float) -> None:
    world = WorldConfig({"alice": NodeDevices()}, {}, clock=ClockConfig("real-time", scale))
    service = Service(ServerConfig("lab", world, {"alice": "a"}, "o"), time.monotonic)
    client = await opened(service)
    assert abs(client.now() - service._standing.nature.clock.now()) < scale * LATE / 8
    await client.close()


async def test_it_is_asked_for_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "QUICK", 0.0)
    world = WorldConfig({"alice": NodeDevices()}, {}, clock=ClockConfig("real-time"))
    service = Service(ServerConfig("lab", world, {"alice": "a"}, "o"), time.monotonic)
    client = await NodeClient.local(service, name="alice")
    assert service._standing.sessions["node", "alice"].applied == line.READINGS
    await client.close()


async def test_in_virtual_time_nobody_asks() -> None:
    world = WorldConfig({"alice": NodeDevices()}, {}, clock=ClockConfig("virtual"))
    service = Service(ServerConfig("lab", world, {"alice": "a"}, "o"), time.monotonic)
    client = await opened(service)
    assert client.now() == 0.0
    assert service._standing.sessions["node", "alice"].applied == 0
    await client.close()
