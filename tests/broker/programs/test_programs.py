from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from broker.errors import EnvelopeError, InvalidName, PortTaken, ProgramFailed, ProgramMissing
from broker.programs import choose as choosing
from broker.programs.choose import choose, find_mosquitto
from broker.programs.embedded import EmbeddedBroker
from broker.programs.lab_connection import LimitedReader
from broker.programs.mosquitto import MosquittoBroker
from broker.programs.mosquitto_config import access_list, write_files
from broker.programs.program import BrokerConfig, BrokerProgram

NewBroker = Callable[..., BrokerProgram]
NEEDS_MOSQUITTO = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")


def answers(port: int) -> bool:
    """Tell whether somebody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_broker_answers_while_it_is_entered_and_only_then(new_broker: NewBroker) -> None:
    async with new_broker() as broker:
        assert broker.port > 0
        assert answers(broker.port)
    assert not answers(broker.port)


async def test_a_port_that_is_taken_is_named(new_broker: NewBroker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"127.0.0.1:{port}.*another port"):
            await new_broker(port=port).__aenter__()


async def test_garbage_on_the_port_leaves_the_broker_alive(new_broker: NewBroker) -> None:
    async with new_broker() as broker, asyncio.timeout(5):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\x7f" + bytes(100), os.urandom(1000)):
            reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
            with suppress(OSError):  # it may hang up before all is written
                writer.write(garbage)
                writer.write_eof()
                await reader.read()
            writer.close()
        assert answers(broker.port)


async def test_the_embedded_broker_refuses_a_packet_before_it_keeps_any_of_it() -> None:
    with pytest.raises(EnvelopeError, match=f"{1 << 28} bytes"):
        await LimitedReader(asyncio.StreamReader(), lambda: None).read(1 << 28)


@pytest.mark.parametrize("replaced", [{"lab": "a/b"}, {"users": {"#": "x"}}, {"users": {"alice": ""}}])
def test_a_name_that_would_open_the_access_rule_is_refused(
    config: BrokerConfig, replaced: dict[str, object]
) -> None:
    values = {name: getattr(config, name) for name in BrokerConfig.__dataclass_fields__}
    with pytest.raises(InvalidName):
        BrokerConfig(**values | replaced)


def test_passwords_are_not_shown(config: BrokerConfig) -> None:
    assert "the-password-of" not in repr(config)


def test_mosquittos_files_are_its_owners_only_and_hold_no_password(config: BrokerConfig) -> None:
    write_files(config, 1883)
    files = list(config.directory.iterdir())
    assert {file.name for file in files} == {"mosquitto.conf", "acl", "passwd"}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert stat.S_IMODE(config.directory.stat().st_mode) == 0o700
    assert not any("the-password-of" in file.read_text() for file in files)


def test_mosquittos_access_list_is_the_access_rule(config: BrokerConfig) -> None:
    assert access_list(config.access, ["alice", "monitor"]).splitlines() == [
        "user alice",
        "topic write lab/alice/to/#",
        "topic write lab/alice/pub/#",
        "topic read lab/+/to/alice/#",
        "topic read lab/+/pub/#",
        "user monitor",
        "topic write lab/monitor/to/#",
        "topic write lab/monitor/pub/#",
        "topic read lab/+/to/monitor/#",
        "topic read lab/+/pub/#",
        "topic read lab/#",
    ]


def test_auto_takes_mosquitto_where_it_is_and_the_embedded_one_otherwise(
    config: BrokerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "find_mosquitto", lambda: "/usr/sbin/mosquitto")
    assert isinstance(choose(config), MosquittoBroker)
    assert isinstance(choose(config, "embedded"), EmbeddedBroker)
    monkeypatch.setattr(choosing, "find_mosquitto", lambda: None)
    assert isinstance(choose(config), EmbeddedBroker)
    with pytest.raises(ProgramMissing, match="install it, or use the broker 'embedded'"):
        choose(config, "mosquitto")


async def test_a_program_that_is_not_there_is_named(config: BrokerConfig, tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match="no-such-program"):
        await MosquittoBroker(config, str(tmp_path / "no-such-program")).__aenter__()


@pytest.mark.processes
async def test_a_program_that_fails_tells_its_last_words(config: BrokerConfig, tmp_path: Path) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho 'Error: the moon is wrong' >&2\nexit 1\n")
    program.chmod(0o700)
    with pytest.raises(ProgramFailed, match="the moon is wrong"):
        await MosquittoBroker(config, str(program)).__aenter__()


async def serve(config: BrokerConfig, program: str) -> tuple[asyncio.subprocess.Process, dict[str, object]]:
    """Start ``python -m broker`` and return it with what it says when it is ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broker"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    document = {
        "lab": config.lab,
        "users": config.users,
        "directory": str(config.directory),
        "program": program,
    }
    process.stdin.write(json.dumps(document).encode() + b"\n")
    async with asyncio.timeout(10):
        return process, json.loads(await process.stdout.readline())


@pytest.mark.processes
@pytest.mark.parametrize("end", ["standard input", "signal"])
async def test_a_broker_process_says_when_it_is_ready_and_ends_with(config: BrokerConfig, end: str) -> None:
    process, ready = await serve(config, "embedded")
    assert ready["program"] == "embedded"
    port = ready["port"]
    assert isinstance(port, int)
    assert answers(port)
    if end == "signal":
        process.send_signal(signal.SIGTERM)
    else:
        assert process.stdin is not None
        process.stdin.close()
    async with asyncio.timeout(5):
        assert await process.wait() == 0
    assert not answers(port)


@pytest.mark.processes
@pytest.mark.mosquitto
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@NEEDS_MOSQUITTO
async def test_mosquitto_dies_with_its_parent(config: BrokerConfig) -> None:
    process, ready = await serve(config, "mosquitto")
    port = ready["port"]
    assert isinstance(port, int)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    process.kill()
    try:
        async with asyncio.timeout(30):
            assert await reader.read() == b""
            await process.wait()
    finally:
        writer.close()
    await writer.wait_closed()


@pytest.mark.processes
async def test_a_broker_process_without_a_configuration_says_what_it_expects() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broker"), stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate(b"lab: hello\n")
    assert process.returncode == 1
    assert b"as one line of JSON" in complaint
    assert b"Traceback" not in complaint
