"""Whatever arrives on the port, it costs its own connection and nothing else."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.connection import Connection
from shared_state.errors import (
    BadCredential,
    ServerLost,
    SessionExpired,
    SharedStateError,
    WireError,
    WrongLab,
    from_wire,
)
from shared_state.oracle import OracleClient
from shared_state.server import Server, serve
from shared_state.service import HELLO_WITHIN, Service
from shared_state.wire import MAX_HELLO, MAX_REQUEST, VERSION, Decoder, encode

LINK = "alice-charlie"
HELLO = {
    "version": VERSION, "lab": "lab", "name": "alice", "token": "alice's token", "role": "node", "resume": "",
    "received": 0,
}  # fmt: skip


@pytest.fixture
async def server(config: ServerConfig) -> AsyncIterator[Server]:
    async with await serve(config) as running:
        yield running


async def join(server: Server, name: str) -> NodeClient:
    return await NodeClient.connect("127.0.0.1", server.port, lab="lab", name=name, token=f"{name}'s token")


async def answer_to(server: Server, data: bytes, *, hang_up: bool = False) -> list[object]:
    """Return all that the server says to ``data`` until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(data)
        if hang_up:
            writer.write_eof()
        return list(Decoder().messages(await reader.read()))
    finally:
        writer.close()
        await writer.wait_closed()


def refusal(messages: list[object]) -> SharedStateError:
    assert isinstance(messages[-1], dict)
    return from_wire(messages[-1]["refused"])


GARBAGE = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "one gibibyte announced": (2**30).to_bytes(4, "big") + b"x" * 1000,
    "no MessagePack": (4).to_bytes(4, "big") + b"\xc1\xc1\xc1\xc1",
    "no hello": encode([1, 0, "qubit", [0.0, "run"]]),
    "an incomplete hello": encode({"version": VERSION, "name": "alice"}),
    "a hello that is too long": encode({**HELLO, "token": "x" * 5000}),
    "requests with a gap": encode(HELLO) + encode([2, 0, "sync", []]),
    "a request that is none": encode(HELLO) + encode("sync"),
    "nested beyond reason": encode(HELLO) + (10**5).to_bytes(4, "big") + b"\x91" * 10**5,
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_is_answered_with_an_error_and_costs_its_connection_only(
    data: bytes, server: Server
) -> None:
    bob = await join(server, "bob")
    qubit = await bob.qubit(0.0, "run")
    assert isinstance(refusal(await answer_to(server, data)), WireError)
    assert await bob.measure(0.0, qubit, "Z") == 0
    await bob.close()


@pytest.mark.parametrize("cut", range(0, len(encode(HELLO)), 7))
async def test_a_truncated_frame_costs_its_connection_only(cut: int, server: Server) -> None:
    bob = await join(server, "bob")
    assert await answer_to(server, encode(HELLO)[:cut], hang_up=True) == []
    await bob.sync()
    await bob.close()


async def test_announcing_a_gibibyte_costs_no_memory(service: Service) -> None:
    tracemalloc.start()
    try:
        for _ in range(100):
            service.receive(service.open(lambda _: None), (2**30).to_bytes(4, "big") + b"x" * 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


async def test_who_does_not_say_hello_is_shown_out(service: Service, wall: list[float]) -> None:
    closed: list[bytes] = []

    def ready(connection: Connection) -> None:
        if connection.closing:
            closed.append(connection.take_output())

    dawdler = service.open(ready)
    service.receive(dawdler, encode(HELLO)[:3])
    assert service.next_deadline() == HELLO_WITHIN
    wall[0] = HELLO_WITHIN - 0.01
    service.tick()
    assert closed == []
    wall[0] = HELLO_WITHIN
    service.tick()
    assert "hello" in str(refusal(list(Decoder().messages(closed[0]))))
    service.closed(dawdler)
    assert service.next_deadline() is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"token": "guessed"}, "bad-credential"),
        ({"token": ""}, "bad-credential"),
        ({"token": "bob's token"}, "bad-credential"),
        ({"name": "eve"}, "bad-credential"),
        ({"name": "eve", "token": ""}, "bad-credential"),
        ({"role": "oracle"}, "bad-credential"),
        ({"lab": "another"}, "wrong-lab"),
        ({"version": VERSION + 1}, "wrong-version"),
        ({"resume": "alice/0"}, "session-expired"),
        ({"role": "god"}, "malformed-frame"),
        ({"version": None}, "malformed-frame"),
    ],
)
async def test_a_wrong_hello_is_refused_for_its_reason(
    change: dict[str, object], code: str, server: Server
) -> None:
    assert refusal(await answer_to(server, encode({**HELLO, **change}))).code == code


async def test_clients_raise_the_reason(server: Server) -> None:
    with pytest.raises(BadCredential, match="alice"):
        await NodeClient.connect("127.0.0.1", server.port, lab="lab", name="alice", token="guessed")
    with pytest.raises(WrongLab):
        await OracleClient.connect("127.0.0.1", server.port, lab="l", name="control", token="guessed")
    port = server.port
    server.close()
    await server.wait_closed()
    with pytest.raises(ServerLost, match=f"127.0.0.1:{port}"):
        await NodeClient.connect("127.0.0.1", port, lab="lab", name="alice", token="alice's token")


async def test_answers_that_are_never_acknowledged_end_the_connection(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_state.session.MAX_KEPT", 1000)
    async with await serve(config) as server:
        requests = b"".join(encode([number, 0, "sync", []]) for number in range(1, 500))
        assert "acknowledged" in str(refusal(await answer_to(server, encode(HELLO) + requests)))


async def test_pipelined_requests_of_one_read_are_answered_in_one_write(service: Service) -> None:
    writes: list[bytes] = []
    connection = service.open(lambda connection: writes.append(connection.take_output()))
    service.receive(connection, encode(HELLO))
    service.receive(connection, b"".join(encode([n, n - 1, "sync", []]) for n in range(1, 101)))
    assert len(writes) == 2
    assert len(list(Decoder().messages(writes[1]))) == 100


async def test_a_killed_client_departs_after_its_lease(config: ServerConfig) -> None:
    async with await serve(replace(config, lease=0.05)) as server:
        charlie = await join(server, "charlie")
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(encode(HELLO) + encode([1, 0, "qubit", [0.0, "run"]]))
        await writer.drain()
        writer.transport.abort()
        with pytest.raises(SharedStateError, match="alice has departed"):
            await charlie.receive(0.0, "run", "alice-charlie")
        await charlie.close()


async def test_clients_reconnect_over_tcp(config: ServerConfig) -> None:
    async with await serve(config) as server, await join(server, "alice") as alice:
        qubit = await alice.qubit(0.0, "run")
        alice.gate(0.0, "x", [qubit])
        wire = alice._line._wire
        assert wire is not None
        wire.close()
        assert await alice.measure(0.0, qubit, "Z") == 1


async def test_a_server_that_closes_loses_its_clients(config: ServerConfig) -> None:
    async with await serve(replace(config, lease=0.1)) as server, await join(server, "alice") as alice:
        server.close()
        assert "is gone" in str(await alice.lost)


def test_a_dead_connection_keeps_nothing_when_its_client_resumes(service: Service) -> None:
    lines: list[Connection] = []
    heard: list[object] = []

    def deaf(connection: Connection) -> None:
        """Leave what is written where it is."""

    def reader(connection: Connection) -> None:
        heard.extend(Decoder().messages(connection.take_output()))

    for _ in range(3):
        resumed = str(heard[0]["session"]) if heard else ""  # type: ignore[index]
        line = service.open(reader if not heard else deaf)
        service.receive(line, encode({**HELLO, "resume": resumed}))
        if not lines:
            requests = b"".join(encode([number, 0, "sync", []]) for number in range(1, 100))
            service.receive(line, requests)
        lines.append(line)
    assert [line.severed for line in lines] == [True, True, False]
    assert lines[1].take_output() == b""


def test_whose_answers_grow_too_many_in_its_absence_has_departed_and_is_told_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_state.session.MAX_KEPT", 10_000)
    heard: list[object] = []
    line = service.open(lambda line: heard.extend(Decoder().messages(line.take_output())))
    service.receive(line, encode(HELLO))
    asks = [encode([number, 0, "pair", [0.0, f"run{number}", LINK, None]]) for number in range(1, 7)]
    service.receive(line, b"".join(asks))
    service.closed(line)
    charlie = service.open(lambda line: None)
    service.receive(charlie, encode({**HELLO, "name": "charlie", "token": "charlie's token"}))
    for number in range(1, 7):
        service.receive(charlie, encode([number, 0, "close_run", [f"run{number}"]]))
    monkeypatch.setattr("shared_state.session.MAX_KEPT", 6 * 300)  # small answers count for what they hold
    service.receive(charlie, encode([7, 6, "sync", []]))
    line = service.open(lambda line: heard.extend(Decoder().messages(line.take_output())))
    service.receive(line, encode({**HELLO, "resume": heard[0]["session"]}))  # type: ignore[index]
    error = refusal(heard)
    assert isinstance(error, SessionExpired)
    assert "acknowledged" in error.message


def test_who_does_not_read_the_last_words_is_cut_off(service: Service, wall: list[float]) -> None:
    line = service.open(lambda line: None)
    service.receive(line, encode("no hello"))
    assert (line.closing, line.severed) == (True, False)
    wall[0] = service.next_deadline() or 0.0
    service.tick()
    assert line.severed
    assert line.take_output() == b""


@pytest.mark.parametrize("admitted", [False, True])
def test_a_frame_longer_than_the_limit_is_refused_before_it_is_kept(service: Service, admitted: bool) -> None:
    line = service.open(lambda line: None)
    if admitted:
        service.receive(line, encode(HELLO))
    limit = MAX_REQUEST if admitted else MAX_HELLO
    service.receive(line, (limit + 1).to_bytes(4, "big"))
    assert line.closing
    service.receive(line, bytes(1000))
    assert not service.receive(line, b"")
