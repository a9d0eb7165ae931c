"""How a client knows the lab's emulated time when its server, or the machine, is slow to answer."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared_state import heard_time
from shared_state.client import NodeClient
from shared_state.config import ClockConfig, NodeDevices, ServerConfig, WorldConfig
from shared_state.dialling import LocalDialler, Wire
from shared_state.line import Line
from shared_state.service import Service

LATE = 0.4
"""Wall seconds that the first words take on their way to the server; its answer comes at once."""


class _Slow:
    """Carries what a client writes so late, or what it writes first."""

    def __init__(self, wire: Wire, *, always: bool) -> None:
        self._wire = wire
        self._always = always
        self._first = True

    def write(self, data: bytes) -> None:
        if self._first or self._always:
            self._first = False
            asyncio.get_running_loop().call_later(LATE, self._wire.write, data)
        else:
            self._wire.write(data)

    def close(self) -> None:
        self._wire.close()


class _Dialler(LocalDialler):
    always = False

    async def dial(self, protocol: asyncio.Protocol) -> Wire:
        return _Slow(await super().dial(protocol), always=self.always)


async def opened(service: Service, *, always: bool = False) -> NodeClient:
    dialler = _Dialler(service)
    dialler.always = always
    own = Line(dialler, lab="lab", name="alice", token="a", role="node")
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
    monkeypatch.setattr(heard_time, "QUICK", 0.0)
    world = WorldConfig({"alice": NodeDevices()}, {}, clock=ClockConfig("real-time"))
    service = Service(ServerConfig("lab", world, {"alice": "a"}, "o"), time.monotonic)
    client = await NodeClient.local(service, name="alice")
    assert service._standing.sessions["node", "alice"].applied == heard_time.READINGS
    await client.close()


async def test_a_server_that_is_always_slow_is_asked_for_a_second_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heard_time, "READ_WITHIN", LATE / 4)
    world = WorldConfig({"alice": NodeDevices()}, {}, clock=ClockConfig("real-time"))
    service = Service(ServerConfig("lab", world, {"alice": "a"}, "o"), time.monotonic)
    began = time.monotonic()
    client = await opened(service, always=True)
    assert LATE < time.monotonic() - began < 2 * LATE
    await client.close()


async def test_who_gives_up_while_the_time_is_asked_for_leaves_no_connection() -> None:
    world = WorldConfig({"alice": NodeDevices()}, {}, clock=ClockConfig("real-time"))
    service = Service(ServerConfig("lab", world, {"alice": "a"}, "o"), time.monotonic)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5 * LATE):
            await opened(service, always=True)
    session = service._standing.sessions["node", "alice"]
    async with asyncio.timeout(5):
        while session.connection is not None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    again = await NodeClient.local(service, name="alice")
    await again.close()


async def test_in_virtual_time_nobody_asks() -> None:
    world = WorldConfig({"alice": NodeDevices()}, {}, clock=ClockConfig("virtual"))
    service = Service(ServerConfig("lab", world, {"alice": "a"}, "o"), time.monotonic)
    client = await opened(service)
    assert client.now() == 0.0
    assert service._standing.sessions["node", "alice"].applied == 0
    await client.close()
