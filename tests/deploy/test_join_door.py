"""The door at which nodes of other hosts join, on the loopback address."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.certificates import Authority
from deploy.credentials import Credentials
from deploy.errors import LabFailed
from deploy.join_door import JoinDoor
from deploy.plan import plan
from deploy.topology import Lab
from nodes.errors import JoinRefused
from nodes.runtime.config import NodeConfig
from nodes.runtime.join_token import parse
from nodes.runtime.joining import told

ReadLab = Callable[[str], Lab]
HERE = "127.0.0.1"
LAB = (
    "nodes: {alice: {external: true, services: {etsi014: {sae: [vpn]}}}, bob: }\n"
    "links: [{endpoints: [alice, bob], length: 20 km}]\n"
)


@pytest.fixture
def config(read: ReadLab, tmp_path: Path) -> NodeConfig:
    planned = plan(read(LAB))
    credentials = Credentials(planned)
    credentials.issue_certificates(tmp_path)
    return credentials.node_config(planned.nodes["alice"], (HERE, 1), (HERE, 2), tmp_path, 0)


@asynccontextmanager
async def opened(
    config: NodeConfig, log: Path, heard: list[str] | None = None, lab: str = "far"
) -> AsyncIterator[JoinDoor]:
    identity = Authority(lab, datetime.now(UTC)).identify(HERE, [HERE])
    door = JoinDoor(identity, HERE, 0, lambda name: config, log, (heard if heard is not None else []).append)
    async with door.open():
        yield door


async def logged(log: Path, what: str) -> None:
    """Wait until something is in the log: of that no event tells."""
    async with asyncio.timeout(10):
        while not (log.is_file() and what in log.read_text()):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)


async def test_a_node_is_told_what_it_is_with_its_kmes_files_and_no_place_of_the_labs_host(
    config: NodeConfig, tmp_path: Path
) -> None:
    async with opened(config, tmp_path / "join.log") as door:
        offer = door.offer("alice")
        async with told("alice", offer.address, offer.token) as handed:
            assert handed.keys.store == ""
            assert replace(handed, keys=config.keys) == config
            kme, own = handed.keys.kme, config.keys.kme
            assert kme is not None
            assert own is not None
            for there, here in ((kme.key, own.key), (kme.authority, own.authority)):
                assert there.read_text() == here.read_text()
                assert there.stat().st_mode & 0o077 == 0
            assert tmp_path not in kme.key.parents
        assert not kme.key.exists()
    assert offer.token not in (tmp_path / "join.log").read_text()


async def test_a_used_token_and_one_for_another_node_are_refused_and_told(
    config: NodeConfig, tmp_path: Path
) -> None:
    heard: list[str] = []
    async with opened(config, tmp_path / "join.log", heard) as door:
        offer = door.offer("alice")
        with pytest.raises(JoinRefused, match="the token is for another node"):
            await told("bob", offer.address, offer.token).__aenter__()
        async with told("alice", offer.address, offer.token):
            pass
        with pytest.raises(
            JoinRefused, match=r"the token has been used already; .*'bellwire node token alice'"
        ):
            await told("alice", offer.address, offer.token).__aenter__()
    assert len(heard) == 2
    assert all(f"refused {HERE}, which wants to be node" in each for each in heard)


async def test_who_is_wrong_again_is_answered_later(config: NodeConfig, tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    async with opened(config, tmp_path / "join.log") as door:
        offer = door.offer("alice")
        token = parse(offer.token)
        wrong = str(replace(token, secret=bytes(16)))
        took = []
        for _ in range(2):
            begun = clock()
            with pytest.raises(JoinRefused, match="none of this lab's"):
                await told("alice", offer.address, wrong).__aenter__()
            took.append(clock() - begun)
        assert took[0] >= 0.5
        assert took[1] >= 1.0
        async with told("alice", offer.address, offer.token):
            pass


async def test_nothing_is_said_to_a_door_of_another_lab(config: NodeConfig, tmp_path: Path) -> None:
    async with (
        opened(config, tmp_path / "a.log") as mine,
        opened(config, tmp_path / "b.log", lab="b") as other,
    ):
        with pytest.raises(JoinRefused, match="is not the lab of this token"):
            await told("alice", other.offer("alice").address, mine.offer("alice").token).__aenter__()
        await logged(tmp_path / "b.log", f"refused {HERE}: it has not said which node it is")


@pytest.mark.parametrize(
    "hello",
    [b"\n", b"GET / HTTP/1.1\r\n", b'{"node": "alice"}\n', b'{"node": 1, "secret": "00"}\n', b"x" * 9000],
)
async def test_nonsense_is_hung_up_on_and_logged(config: NodeConfig, tmp_path: Path, hello: bytes) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with opened(config, tmp_path / "join.log") as door:
        host, _, port = door.offer("alice").address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.write(hello)
        assert await reader.read() == b""
        writer.close()
    assert "it has not said which node it is" in (tmp_path / "join.log").read_text()


async def test_who_speaks_no_tls_is_named(config: NodeConfig, tmp_path: Path) -> None:
    async with opened(config, tmp_path / "join.log") as door:
        host, _, port = door.offer("alice").address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(json.dumps({"node": "alice", "secret": ""}).encode() + b"\n")
        await reader.read()
        writer.close()
    assert f"refused a connection from {HERE}: no handshake" in (tmp_path / "join.log").read_text()


async def test_a_door_that_has_no_place_is_told_with_the_key(config: NodeConfig, tmp_path: Path) -> None:
    async with opened(config, tmp_path / "join.log") as door:
        port = int(door.offer("alice").address.rpartition(":")[2])
        identity = Authority("far", datetime.now(UTC)).identify(HERE, [HERE])
        second = JoinDoor(identity, HERE, port, lambda name: config, tmp_path / "log", lambda event: None)
        with pytest.raises(LabFailed, match=r"write runtime: \{ports: \{join: PORT\}\}"):
            await second.open().__aenter__()
