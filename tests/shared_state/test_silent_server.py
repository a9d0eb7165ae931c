"""A server that is connected and does not answer is as good as gone."""

from __future__ import annotations

import asyncio

import pytest

from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.dialling import LocalDialler, Wire
from shared_state.errors import ServerLost
from shared_state.line import Line
from shared_state.service import Service


class StoppableDialler:
    """Reaches a service that can be stopped: what is written then stays unread."""

    def __init__(self, service: Service) -> None:
        self._inner = LocalDialler(service)
        self.stopped = False
        self.writes: asyncio.Queue[bytes] = asyncio.Queue()

    async def dial(self, protocol: asyncio.Protocol) -> Wire:
        return _StoppableWire(self, await self._inner.dial(protocol))

    def __str__(self) -> str:
        return "the stopped server"


class _StoppableWire:
    def __init__(self, dialler: StoppableDialler, wire: Wire) -> None:
        self._dialler = dialler
        self._wire = wire

    def write(self, data: bytes) -> None:
        if not self._dialler.stopped:
            self._wire.write(data)
        self._dialler.writes.put_nowait(data)

    def close(self) -> None:
        self._wire.close()


async def test_a_server_that_stops_answering_is_lost_and_one_that_has_nothing_to_say_is_not(
    service: Service, config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_state.line.CHECK_EVERY", 0.01)
    dialler = StoppableDialler(service)
    line = Line(dialler, lab="lab", name="alice", token=config.credentials["alice"], role="node")
    await line.open()
    async with NodeClient(line) as alice, asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_error_of(alice))
        while b"alice-charlie" not in await dialler.writes.get():
            pass
        for _ in range(3):  # it is asked again and again, answers, and may take its time with the qubit
            assert b"mark" in await dialler.writes.get()
        monkeypatch.setattr("shared_state.line.PATIENCE", -1.95)  # with the lease of 2 s, 50 ms
        dialler.stopped = True
        assert "the stopped server is silent" in str(await alice.lost)
        assert isinstance(await waiting, ServerLost)
        with pytest.raises(ServerLost):
            await alice.sync()


async def _error_of(alice: NodeClient) -> ServerLost | None:
    try:
        await alice.receive(0.0, "run", "alice-charlie")
    except ServerLost as error:
        return error
    return None
