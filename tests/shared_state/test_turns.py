"""One node that asks without end does not keep the others waiting."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.server import Server, serve
from shared_state.service import TURN, Service
from shared_state.wire import VERSION, Decoder, encode

GATES = 2001  # an odd number of X


def hello(name: str, token: str, role: str) -> bytes:
    identity = {"lab": "lab", "name": name, "token": token, "role": role}
    return encode({"version": VERSION, **identity, "resume": "", "received": 0})


def busy_alice() -> bytes:
    """Say all that alice has to say, without waiting for an answer."""
    gates = [[number, 0, "gate", [0.0, "x", [0], []]] for number in range(2, GATES + 2)]
    requests = [[1, 0, "qubit", [0.0, "run"]], *gates, [GATES + 2, 0, "measure", [0.0, 0, "Z"]]]
    return hello("alice", "alice's token", "node") + b"".join(map(encode, requests))


def test_a_turn_ends_after_its_time_and_the_next_continues_in_order(config: ServerConfig) -> None:
    ticks = count()
    service = Service(config, lambda: next(ticks) * TURN / 10)
    written: list[bytes] = []
    alice = service.open(lambda connection: written.append(connection.take_output()))
    unfinished, turns = service.receive(alice, busy_alice()), 1
    while unfinished:
        unfinished, turns = service.receive(alice, b""), turns + 1
    assert GATES / 12 < turns < GATES / 4  # the clock goes on by a tenth of a turn whenever it is read
    welcome, qubit, outcome = Decoder().messages(b"".join(written))
    assert isinstance(welcome, dict)
    assert (qubit, outcome) == ([1, 1, [0]], [2, GATES + 2, 1])


async def test_a_short_question_is_answered_before_the_end_of_a_long_speech(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_state.service.TURN", -1.0)  # one request a turn
    async with await serve(config) as server, await join(server, "bob") as bob:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(busy_alice())
        speech = asyncio.ensure_future(_messages(reader, 3))
        await bob.sync()
        assert not speech.done()
        assert (await speech)[-1] == [2, GATES + 2, 1]
        writer.close()
        await writer.wait_closed()


async def test_who_does_not_read_gets_all_answers_later(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_state.service.TURN", -1.0)
    states = 100  # of a quarter of a mebibyte each: more than the operating system keeps
    async with await serve(config) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        async with await join(server, "alice") as alice, await join(server, "bob") as bob:
            qubits = [await node.qubit(0.0, "run") for node in (alice, alice, alice, alice, bob, bob, bob)]
            requests = [[number, 0, "density_matrix", [qubits]] for number in range(1, states + 1)]
            writer.write(hello("control", config.oracle_token, "oracle") + b"".join(map(encode, requests)))
            for _ in range(2 * states):
                await alice.sync()
            control = server._service._standing.sessions["oracle", "control"]
            assert control.applied < states  # nor is it asked on
            _, *answers = await _messages(reader, states + 1)
            assert [answer[1] for answer in answers if isinstance(answer, list)] == list(range(1, states + 1))
        writer.close()
        await writer.wait_closed()


async def join(server: Server, name: str) -> NodeClient:
    return await NodeClient.connect("127.0.0.1", server.port, lab="lab", name=name, token=f"{name}'s token")


async def _messages(reader: asyncio.StreamReader, number: int) -> list[object]:
    decoder, heard = Decoder(), list[object]()
    while len(heard) < number:
        heard += decoder.messages(await reader.read(2**16))
    return heard
