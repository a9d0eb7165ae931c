"""Events that are kept in memory: the last ones, numbered, for whoever asks, and without a trace in the world."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared_state.client import NodeClient, Turn
from shared_state.config import ServerConfig
from shared_state.errors import BadRequest, LimitExceeded, ServerLost
from shared_state.journal import Journal
from shared_state.line import Line
from shared_state.oracle import OracleClient, Passage
from shared_state.recent_events import AT_ONCE, OVERHEAD, RecentEvents
from shared_state.record_file import RecordFile
from shared_state.server import serve
from shared_state.service import Service
from shared_state.session import MAX_KEPT, MAX_WAITING
from tests.shared_state.test_broken_connections import FaultyDialler

PLENTY = 2**20


@pytest.fixture
def kept() -> RecentEvents:
    """The events that the server keeps."""
    return RecentEvents(PLENTY)


@pytest.fixture
def service(config: ServerConfig, wall: list[float], kept: RecentEvents) -> Service:
    """A server that keeps events in memory."""
    return Service(config, lambda: wall[0], record=kept)


def names(passage: Passage) -> list[str]:
    return [json.loads(line)["event"] for line in passage.lines]


async def eventually(done: asyncio.Task[Any]) -> Any:
    return await asyncio.wait_for(done, 2)


async def turns_of_the_loop() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def test_the_oldest_go_first_and_the_count_goes_on() -> None:
    room_for_three = 3 * (len("event 0\n") + OVERHEAD)
    events = RecentEvents(room_for_three)
    for number in range(10):
        events.write([f"event {number}"])
        assert (events.lines, events.first) == (number + 1, max(0, number - 2))
    assert events.since(0) == (7, b"event 7\nevent 8\nevent 9\n")
    assert events.since(8) == (8, b"event 8\nevent 9\n")
    assert events.since(10) == events.since(99) == (10, b"")


def test_many_at_a_time_are_given_in_parts_and_a_long_one_alone() -> None:
    events = RecentEvents(64 * AT_ONCE)
    lines = ["x" * 1000] * 1000 + ["y" * (AT_ONCE + 1)] + ["z"]
    events.write(lines)
    given, number, parts = list[str](), 0, list[int]()
    while number < events.lines:
        first, text = events.since(number)
        assert first == number
        parts.append(len(text))
        given += text.decode().split("\n")[:-1]
        number = len(given)
    assert given == lines
    assert sorted(parts)[-2] <= AT_ONCE < sorted(parts)[-1]


def test_what_is_larger_than_all_room_is_lost_alone() -> None:
    events = RecentEvents(200)
    events.write(["a", "x" * 500, "b"])
    assert events.since(0) == (2, b"b\n")


async def test_events_come_at_once_when_there_are_some_and_else_as_soon_as_there_are(
    oracle: OracleClient, alice: NodeClient
) -> None:
    assert (await oracle.told()).count == 0
    asking = asyncio.create_task(oracle.events(0))
    await turns_of_the_loop()
    assert not asking.done()
    qubit = await alice.qubit(0.1, "run")
    first = await eventually(asking)
    assert (first.first, names(first)) == (0, ["qubit.initialised"])
    await alice.discard(0.2, qubit)
    whole = await oracle.events(0)
    assert names(whole) == ["qubit.initialised", "qubit.discarded"]
    assert whole.end == (await oracle.told()).count == 2
    assert names(await oracle.events(1)) == ["qubit.discarded"]


async def test_what_was_asked_before_is_in_the_count(oracle: OracleClient) -> None:
    cut = asyncio.create_task(oracle.set_link("alice-charlie", False))
    await turns_of_the_loop()
    told = await oracle.told()
    await cut
    assert names(await oracle.events(0)) == ["link.set"]
    assert told.count == 1


async def test_who_asks_too_late_is_told_from_where_on(
    oracle: OracleClient, kept: RecentEvents, alice: NodeClient
) -> None:
    kept._most = 2 * (OVERHEAD + 200)
    for _ in range(10):
        await alice.discard(0.1, await alice.qubit(0.1, "run"))
    late = await oracle.events(0)
    assert late.first == kept.first > 0
    assert late.end == 20


async def test_several_ask_at_a_time_each_from_a_place_of_its_own(
    service: Service, oracle: OracleClient, alice: NodeClient
) -> None:
    other = await OracleClient.local(service, name="experiment")
    await alice.qubit(0.1, "run")
    asking = [asyncio.create_task(each.events(after)) for each in (oracle, oracle, other) for after in (0, 1)]
    await turns_of_the_loop()
    assert [task.done() for task in asking] == [True, False] * 3
    assert list(service._standing.sessions["oracle", "control"].waiting.values()) == ["told"]
    await alice.qubit(0.1, "run")
    passages = [await eventually(task) for task in asking]
    assert [(passage.first, len(passage.lines)) for passage in passages] == [(0, 1), (1, 1)] * 3
    await other.close()


async def test_many_who_have_much_to_catch_up_with_do_not_cost_the_session(
    oracle: OracleClient, kept: RecentEvents
) -> None:
    kept._most = 2 * AT_ONCE
    kept.write(["x" * 1000] * (AT_ONCE // 1001))
    askers = 10 + MAX_KEPT // AT_ONCE
    passages = await asyncio.gather(*(oracle.events(0) for _ in range(askers)))
    assert {(passage.first, passage.end) for passage in passages} == {(0, kept.lines)}
    assert (await oracle.told()).count == kept.lines


async def test_who_gives_up_leaves_nothing_behind_and_others_get_theirs(
    service: Service, oracle: OracleClient, alice: NodeClient
) -> None:
    session = service._standing.sessions["oracle", "control"]
    for _ in range(5):
        given_up = asyncio.create_task(oracle.events(0))
        await turns_of_the_loop()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert len(session.waiting) == 1
    asking = asyncio.create_task(oracle.events(0))
    await alice.qubit(0.1, "run")
    assert names(await eventually(asking)) == ["qubit.initialised"]


async def test_waiting_ends_with_the_session(service: Service, oracle: OracleClient) -> None:
    asker = await OracleClient.local(service, name="experiment")
    asking = asyncio.create_task(asker.events(0))
    await turns_of_the_loop()
    assert service._audience is not None
    assert len(service._audience._asked) == 1
    await asker.close()
    with pytest.raises(ServerLost):
        await asking
    await oracle.now()
    assert service._audience._asked == []


async def test_a_session_waits_with_so_many_requests_and_no_more(oracle: OracleClient) -> None:
    waiting = [oracle._line.request("told", 0) for _ in range(MAX_WAITING)]
    with pytest.raises(LimitExceeded, match=r"told: .* requests waiting"):
        await oracle._line.ask("told", 0)
    assert not any(request.done() for request in waiting)
    for request in waiting:
        request.cancel()


async def test_a_connection_that_breaks_loses_no_event_and_doubles_none(
    service: Service, config: ServerConfig, alice: NodeClient
) -> None:
    dialler = FaultyDialler(service)
    line = Line(dialler, lab=config.lab, name="control", token=config.oracle_token, role="oracle")
    await line.open()
    seen = list[str]()
    async with OracleClient(line) as oracle:
        for _ in range(20):
            asking = asyncio.create_task(oracle.events(len(seen)))
            await turns_of_the_loop()
            dialler.cut()
            alice.note(0.1, "run", "part.started", {"number": len(seen)})
            await alice.sync()
            passage = await eventually(asking)
            assert passage.first == len(seen)
            seen += passage.lines
    assert dialler.dials > 15
    assert [json.loads(line)["number"] for line in seen] == list(range(20))


async def test_in_virtual_time_who_asks_holds_no_turn_and_changes_nothing(
    config: ServerConfig, tmp_path: Path
) -> None:
    async def play(service: Service) -> list[float]:
        alice = await NodeClient.local(service, name="alice")
        times, until = list[float](), 0.0
        for _ in range(5):
            until += 1.0
            times.append(Turn.read(await asyncio.wait_for(alice.end_turn(until, [], []), 2)).time)
            await alice.discard(until, await alice.qubit(until, "run"))
        return times

    async def listen(oracle: OracleClient) -> None:
        while True:
            seen.extend((await oracle.events(len(seen))).lines)

    seen = list[str]()
    (tmp_path / "record").write_text("head\n")
    alone = await play(Service(config, lambda: 0.0, record=RecordFile(tmp_path / "record")))
    service = Service(config, lambda: 0.0, record=RecentEvents(PLENTY))
    async with await OracleClient.local(service) as oracle:
        listening = asyncio.create_task(listen(oracle))
        assert await play(service) == alone == [1.0, 2.0, 3.0, 4.0, 5.0]
        await turns_of_the_loop()
        listening.cancel()
    assert seen == (tmp_path / "record").read_text().splitlines()[1:]


@pytest.mark.parametrize("arguments", [("events", "x"), ("told", None), ("told",), ("events", 1, 2)])
async def test_a_wrong_request_is_refused(oracle: OracleClient, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(BadRequest, match=arguments[0]):
        await oracle._line.ask(*arguments)
    assert (await oracle.told()).count == 0


async def test_a_node_does_not_hear_what_others_do(alice: NodeClient) -> None:
    for word in ("events", "told"):
        with pytest.raises(BadRequest, match="is for the role 'oracle'"):
            await alice._line.ask(word, 0)


async def test_a_server_that_keeps_none_says_so_with_a_journal_too(
    config: ServerConfig, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "journal", config, 0.0)
    for service in (Service(config, lambda: 0.0), Service(config, lambda: 0.0, journal)):
        async with await OracleClient.local(service) as oracle:
            with pytest.raises(BadRequest, match="keeps no events for who asks"):
                await oracle.told()
            with pytest.raises(BadRequest, match="keeps no events for who asks"):
                await oracle.events(0)
        service.close()
    again = Journal(tmp_path / "journal", config, 0.0)
    async with await OracleClient.local(Service(config, lambda: 0.0, again)) as oracle:
        assert (await oracle.census()).sessions == 1
    again.close()


@pytest.mark.parametrize("file", ["record", "journal"])
def test_events_are_kept_in_memory_or_in_files(config: ServerConfig, file: str) -> None:
    somewhere: dict[str, Any] = {file: "somewhere"}
    with pytest.raises(ValueError, match=f"for a server without a {file}"):
        replace(config, events_kept=PLENTY, **somewhere)


async def test_two_servers_after_one_another_are_told_apart(config: ServerConfig) -> None:
    keeping = replace(config, events_kept=PLENTY)
    records = set[str]()
    for _ in range(2):
        async with (
            await serve(keeping) as server,
            await OracleClient.connect(
                "127.0.0.1", server.port, lab=config.lab, name="control", token=config.oracle_token
            ) as oracle,
            await NodeClient.connect(
                "127.0.0.1", server.port, lab=config.lab, name="alice", token=config.credentials["alice"]
            ) as alice,
        ):
            assert alice.recorded
            await alice.qubit(0.1, "run")
            told = await oracle.told()
            records.add(told.record)
            assert told.count == 1
    assert len(records) == 2
