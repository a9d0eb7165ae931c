"""Events of a lab whose servers are elsewhere come to its operators as they happen, from whichever they ask for."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from deploy.cli.events import _ask
from deploy.control import ControlPlane
from deploy.control_address import OperatorDocument, SocketAddress
from deploy.errors import ControlUnreachable, NotFound, Reported
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.remote_lab import RemoteLab
from deploy.topology import find, load
from shared_state.client import NodeClient
from shared_state.config import FibreConfig, LinkDevices, NodeDevices, ServerConfig, WorldConfig
from shared_state.oracle import OracleClient, Passage, Told
from shared_state.recent_events import OVERHEAD, RecentEvents
from shared_state.service import Service


class ALab:
    """A lab that is nothing but its shared-state server, in this process."""

    def __init__(self, kept: int) -> None:
        nodes = {name: NodeDevices() for name in ("alice", "bob")}
        links = {"ab": LinkDevices(("alice", "bob"), FibreConfig(1000.0))}
        config = ServerConfig("pair", WorldConfig(nodes, links), dict.fromkeys(nodes, "token"), "oracle's")
        self.service = Service(config, lambda: 0.0, record=RecentEvents(kept))

    async def begin(self) -> None:
        """Let Alice and the control party in."""
        self.alice = await NodeClient.local(self.service, name="alice")
        self.oracle = await OracleClient.local(self.service)

    async def tell(self, *numbers: int) -> None:
        """Let something happen."""
        for number in numbers:
            self.alice.note(0.0, "", "key.made", {"number": number})
        await self.alice.sync()

    async def told(self) -> Told:
        """Return how many events there have been."""
        return await self.oracle.told()

    async def events(self, after: int) -> Passage:
        """Return the next ones."""
        return await self.oracle.events(after)


@pytest.fixture
def socket() -> Iterator[Path]:
    """A path short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="bw-") as directory:
        yield Path(directory) / "control.sock"


@asynccontextmanager
async def serving(socket: Path, kept: int = 2**20) -> AsyncIterator[tuple[ALab, RemoteLab]]:
    """Serve a lab and give it, and the operator's view of it."""
    lab = ALab(kept)
    async with asyncio.timeout(10):
        await lab.begin()
        async with ControlPlane(cast(Laboratory, lab)).serving(socket):
            yield lab, RemoteLab(socket)


def numbers(*passages: Passage) -> list[int]:
    return [json.loads(line)["number"] for passage in passages for line in passage.lines]


async def until_seen(remote: RemoteLab, record: str, count: int, after: int = 0) -> list[int]:
    """Follow the events until so many were seen, and leave."""
    seen = list[int]()
    async with aclosing(remote.events(record, after)) as passages:
        async for passage in passages:
            seen += numbers(passage)
            if len(seen) >= count:
                break
    return seen


async def test_events_come_as_they_happen_to_all_who_stay(socket: Path) -> None:
    async with serving(socket) as (lab, remote), asyncio.TaskGroup() as group:
        await lab.tell(0, 1)
        record = (await remote.told()).record
        early = [group.create_task(until_seen(remote, record, 4)) for _ in range(3)]
        late = group.create_task(until_seen(remote, record, 2, after=2))
        for number in (2, 3):
            await lab.tell(number)
        assert [await each for each in early] == [[0, 1, 2, 3]] * 3
        assert await late == [2, 3]


async def test_those_so_far_come_and_that_is_all(socket: Path) -> None:
    async with serving(socket) as (lab, remote):
        assert [each async for each in remote.events((await remote.told()).record, until=0)] == []
        await lab.tell(*range(5))
        told = await remote.told()
        assert told.count == 5
        passages = [each async for each in remote.events(told.record, 1, told.count)]
        assert numbers(*passages) == [1, 2, 3, 4]


async def test_what_is_no_longer_kept_is_skipped(socket: Path) -> None:
    async with serving(socket, kept=3 * (OVERHEAD + 70)) as (lab, remote):
        await lab.tell(*range(100))
        told = await remote.told()
        (passage,) = [each async for each in remote.events(told.record, 0, told.count)]
        assert passage.first > 90
        assert numbers(passage) == list(range(passage.first, 100))


async def test_events_end_with_the_lab(socket: Path) -> None:
    async with serving(socket) as (lab, remote):
        record = (await remote.told()).record
        following = asyncio.create_task(until_seen(remote, record, 1000))
        await lab.tell(0)
        await asyncio.sleep(0.05)  # so that it stays, and does not only come
    assert await following == [0]
    with pytest.raises(ControlUnreachable):
        await remote.told()


async def test_who_leaves_waits_no_more(socket: Path) -> None:
    async with serving(socket) as (lab, remote):
        record = (await remote.told()).record
        for number in range(5):
            await lab.tell(number)
            assert await until_seen(remote, record, 1, after=number) == [number]
        session = lab.service._standing.sessions["oracle", "control"]
        assert len(session.waiting) <= 1


async def test_who_reads_nothing_does_not_keep_the_lab_from_going_down(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.control._LAST_WORDS_WITHIN", 0.1)
    async with serving(socket, kept=2**26) as (lab, remote):
        record = (await remote.told()).record
        assert isinstance(lab.service._record, RecentEvents)
        lab.service._record.write(["x" * 1000] * 20_000)
        reader, writer = await asyncio.open_unix_connection(socket, limit=2**10)
        request = {"do": "events", "record": record, "after": 0, "until": None}
        writer.write(json.dumps(request).encode() + b"\n")
        await reader.read(1)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 3
    writer.close()


async def test_another_servers_events_are_not_taken_for_those_that_were_asked_for(socket: Path) -> None:
    async with serving(socket) as (lab, remote):
        await lab.tell(0)
        with pytest.raises(Reported, match="was started anew") as refused:
            await until_seen(remote, "another", 1)
    assert refused.value.exit_code == NotFound.exit_code


async def test_a_lab_that_keeps_none_says_so(tmp_path: Path) -> None:
    planned = plan(load(find("alice-bob")))
    silent = Laboratory(replace(planned, record=False), tmp_path)
    with pytest.raises(NotFound, match="keeps no record: 'record: off' stands in its file"):
        await silent.told()
    local = Laboratory(planned, tmp_path, record=tmp_path / "record.jsonl")
    with pytest.raises(NotFound, match=r"in a file on its host: .*record\.jsonl"):
        await local.told()


async def test_the_command_prints_them_as_json_lines_and_says_what_is_missing(
    socket: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = cast(OperatorDocument, SocketAddress(socket))
    shown = asyncio.Queue[int]()

    def show(line: str) -> None:
        shown.put_nowait(json.loads(line)["number"])

    async with serving(socket, kept=3 * (OVERHEAD + 70)) as (lab, _):
        await lab.tell(*range(10))
        await _ask(place, False, show)
        assert [shown.get_nowait() for _ in range(shown.qsize())] == [7, 8, 9]
        assert "7 older events are no longer kept" in capsys.readouterr().err
        following = asyncio.create_task(_ask(place, True, show))
        assert [await shown.get() for _ in range(3)] == [7, 8, 9]
        await lab.tell(10)
        assert await shown.get() == 10
    await following


async def test_no_event_comes_that_is_later_than_was_asked_for(socket: Path) -> None:
    async with serving(socket) as (lab, remote):
        await lab.tell(*range(5))
        told = await remote.told()
        async with aclosing(remote.events(told.record, 0, 3)) as passages:
            found = [passage async for passage in passages]
        assert [line for passage in found for line in passage.lines] == (await lab.events(0)).lines[:3]


async def test_half_a_line_of_a_lab_that_dies_is_none(socket: Path) -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"result": {"record": "long", "cou')
        writer.close()

    async with asyncio.timeout(5), await asyncio.start_unix_server(die, socket):
        with pytest.raises(ControlUnreachable, match="went down meanwhile"):
            await RemoteLab(socket).told()


async def test_the_command_goes_on_where_it_was_cut_off(socket: Path) -> None:
    shown, cut = list[str](), asyncio.Event()
    opened = list[asyncio.StreamWriter]()

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await SocketAddress(socket).dial()
        opened.append(writer)
        return reader, writer

    place = cast(OperatorDocument, SimpleNamespace(dial=dial))
    async with serving(socket) as (lab, _):
        await lab.tell(0, 1)

        def show(line: str) -> None:
            shown.append(line)
            if len(shown) == len_at_cut:
                opened[-1].transport.abort()
                cut.set()

        len_at_cut = (await lab.told()).count
        following = asyncio.create_task(_ask(place, True, show))
        await cut.wait()
        await lab.tell(2, 3)
        while len(shown) < len_at_cut + 2:  # noqa: ASYNC110 - what is printed tells nobody
            await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.wait([following])
        assert shown == (await lab.events(0)).lines
    assert len(opened) == 4  # asked how many there are, followed, asked again, followed on


async def test_the_command_ends_when_the_lab_does_not_answer_any_more(socket: Path) -> None:
    lab = ALab(2**20)
    await lab.begin()
    await lab.tell(0)
    seen, connections = asyncio.Event(), list[asyncio.StreamWriter]()

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if len(connections) == 2:
            raise ConnectionRefusedError("nobody is there")
        reader, writer = await SocketAddress(socket).dial()
        connections.append(writer)
        return reader, writer

    place = cast(OperatorDocument, SimpleNamespace(dial=dial))
    async with asyncio.timeout(10), ControlPlane(cast(Laboratory, lab)).serving(socket):
        following = asyncio.create_task(_ask(place, True, lambda line: seen.set()))
        await seen.wait()
        connections[-1].transport.abort()
        with pytest.raises(ControlUnreachable, match="nobody is there"):
            await following
