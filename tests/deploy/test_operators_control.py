"""A control plane over TLS serves the lab's operator, and says in the log who else has come."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from deploy.certificates import Authority
from deploy.control import ControlPlane
from deploy.control_address import OPERATOR, OperatorDocument
from deploy.errors import ControlUnreachable, DeployError
from deploy.laboratory import Laboratory, ProcessStatus
from deploy.remote_lab import RemoteLab
from shared_state.tls import TlsIdentity
from shared_state.tls_door import TlsDoor

HOSTS = ["control", "127.0.0.1"]


class FakeLab:
    """A lab that has one process."""

    def status(self) -> list[ProcessStatus]:
        """Return it."""
        return [ProcessStatus("alice", 7, "ready", 0)]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("lab", datetime.now(UTC))


@asynccontextmanager
async def serving(authority: Authority) -> AsyncIterator[int]:
    """Serve a lab at a port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    control = ControlPlane(cast(Laboratory, FakeLab()))
    async with asyncio.timeout(10), control.serving_operator(port, authority.identify("control", HOSTS)):
        yield port


def lab_at(port: int, tls: TlsIdentity) -> RemoteLab:
    return RemoteLab(OperatorDocument("lab", "127.0.0.1", port, tls))


async def test_the_operator_is_served(authority: Authority) -> None:
    async with serving(authority) as port:
        (process,) = await lab_at(port, authority.identify(OPERATOR)).status()
        assert process["name"] == "alice"


async def test_another_party_is_refused_and_named(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(authority) as port:
        with pytest.raises(ControlUnreachable):
            await lab_at(port, authority.identify("alice")).status()
    assert "refused 'alice' from 127.0.0.1: the control plane is the operator's" in caplog.text


async def test_who_is_not_of_the_lab_is_refused_and_logged(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    own = authority.identify(OPERATOR)
    foreign = replace(Authority("lab", datetime.now(UTC)).identify(OPERATOR), authority=own.authority)
    async with serving(authority) as port:
        with pytest.raises(ControlUnreachable):
            await lab_at(port, foreign).status()
    assert "refused a connection from 127.0.0.1: its certificate is not one of this lab" in caplog.text


async def test_a_port_that_is_taken_is_said(authority: Authority) -> None:
    async with serving(authority) as port:
        second = ControlPlane(cast(Laboratory, FakeLab()))
        with pytest.raises(DeployError, match=f"cannot listen on port {port}"):
            async with second.serving_operator(port, authority.identify("control", HOSTS)):
                pass


class Exhausted:
    """A socket that finds no descriptor the first time."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.asked = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Refuse once, then do what the listener does."""
        self.asked += 1
        if self.asked == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()

    def __getattr__(self, name: str) -> object:
        return getattr(self._listener, name)


async def test_a_door_without_descriptors_rests_and_opens_again(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_state.tls_door._RELIEF", 0.05)
    told, come = list[str](), asyncio.Event()

    class Guest(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            come.set()
            transport.close()

    door = TlsDoor(authority.identify("state", HOSTS).server_context(), Guest, told.append)
    port = await door.listen("127.0.0.1", 0)
    exhausted = door._listener = Exhausted(door._listener)  # type: ignore[assignment]
    try:
        async with asyncio.timeout(5):
            context = authority.identify("alice").client_context()
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            await come.wait()
            writer.close()
    finally:
        door.close()
        await door.wait_closed()
    assert told == ["accepts nobody for 0.05 s: Too many open files"]
    assert exhausted.asked == 2
