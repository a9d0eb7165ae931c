"""The dialogue of two doctors, on the loopback address; between hosts it is tested with real ones."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from deploy.doctor.ways import answering, ask
from deploy.errors import UsageError

HERE = "127.0.0.1"


def free_port() -> int:
    with socket.create_server((HERE, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def say(port: int, *questions: object) -> list[object]:
    """Ask one connection; return the answers that come until it is ended."""
    reader, writer = await asyncio.open_connection(HERE, port)
    for question in questions:
        writer.write((question if isinstance(question, bytes) else json.dumps(question).encode()) + b"\n")
    answers = []
    async with asyncio.timeout(10):
        for _ in questions:
            if line := await reader.readline():
                answers.append(json.loads(line))
    writer.close()
    return answers


async def test_the_way_there_is_measured_and_a_port_that_is_taken_here_is_told_of_the_way_back() -> None:
    port = free_port()
    async with answering(HERE, [port]):
        there, back = await ask(HERE, [port])
    assert there.round_trip is not None
    assert there.trouble is None
    assert back.trouble is not None
    assert "cannot listen on" in back.trouble.reason


async def test_nobody_there_is_refused_and_nobody_can_be_asked() -> None:
    there, back = await ask(HERE, [free_port()])
    assert there.trouble is not None
    assert there.trouble.reason.startswith("refused")
    assert back.trouble is not None
    assert back.trouble.reason.startswith("not tested")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\n", b'{"echo": 7}\n'])
async def test_something_else_that_listens_is_no_doctor(answer: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, HERE, 0)
    async with server:
        there, _ = await ask(HERE, [server.sockets[0].getsockname()[1]])
    assert there.trouble is not None
    assert "is no 'bellwire doctor --listen'" in there.trouble.reason


async def test_who_answers_goes_back_to_nobody_but_who_asked_at_no_port_but_those_it_tests() -> None:
    port, other = free_port(), free_port()
    async with answering(HERE, [port]):
        (answer,) = await say(port, {"back": other})
        assert isinstance(answer, dict)
        assert "not one that is tested there" in answer["reason"]
        assert await say(port, {"back": port, "host": "198.51.100.1"}) != []  # to this host, whatever it says


@pytest.mark.parametrize("question", [b"", b"GET / HTTP/1.1", {"echo": "x"}, [1], b"x" * 9000])
async def test_nonsense_is_hung_up_on_and_others_are_answered(question: object) -> None:
    port = free_port()
    async with answering(HERE, [port]):
        assert await say(port, question) == []
        assert await say(port, {"echo": 3}, {"echo": 4}) == [{"echo": 3}, {"echo": 4}]


async def test_a_port_that_is_taken_cannot_be_listened_on() -> None:
    port = free_port()
    async with answering(HERE, [port]):
        with pytest.raises(UsageError, match="end what listens there"):
            await answering(HERE, [port]).__aenter__()


async def test_who_stays_when_the_listening_ends_is_hung_up_on() -> None:
    port = free_port()
    async with answering(HERE, [port]):
        reader, writer = await asyncio.open_connection(HERE, port)
        writer.write(b'{"echo": 1}\n')
        assert await reader.readline() == b'{"echo": 1}\n'
    assert await reader.read() == b""
    writer.close()
