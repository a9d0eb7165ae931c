"""Where turns are taken a cut has its emulated time: a herald before it comes, one behind it is taken back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared_state.client import NodeClient, Turn
from shared_state.config import (
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PhotonPairSource,
    ServerConfig,
    SourceConfig,
    WernerSource,
)
from shared_state.errors import BadRequest, LinkDown, NoSuchQubit, NotYours
from shared_state.oracle import OracleClient
from shared_state.record_file import RecordFile
from shared_state.service import Service

LINK = "alice-charlie"
CUT = 1e-3
LATE = WernerSource(rate=1.0)
Request = Callable[[NodeClient, float], Coroutine[Any, Any, object]]
REQUESTS: dict[str, Request] = {
    "pair": lambda node, at: node.pair(at, "run", LINK),
    "pairs": lambda node, at: node.pairs(at, "run", LINK, 3),
    "measure_directly": lambda node, at: node.measure_directly(at, "run", LINK, 3),
}


class Player:
    """A node that takes turns: ``answers`` are what it was told, each with the time of the turn that came with it."""

    def __init__(self, client: NodeClient) -> None:
        self.client = client
        self.asked: asyncio.Task[object] | None = None
        self.next: asyncio.Future[Any] | None = None

    def ask(self, request: Request, at: float) -> None:
        """Ask, and go on."""
        self.asked = asyncio.create_task(request(self.client, at))

    async def end(self, until: float | None = None) -> None:
        """End the turn."""
        await self.client.sync()
        self.next = self.client.end_turn(until, [], ["something"] if until is None else [])

    async def turn(self) -> float:
        """Wait for the next turn; return its time."""
        assert self.next is not None
        return Turn.read(await self.next).time


class Table:
    """Alice and Charlie at time 0, both in turns, and the oracle. Charlie looks up again at the time of the cut."""

    async def open(
        self,
        config: ServerConfig,
        source: SourceConfig,
        record: RecordFile | None = None,
        memories: int = 4,
    ) -> Table:
        ends = ("alice", "charlie")
        links = {LINK: LinkDevices(ends, FibreConfig(1e5, 0.0), source)}
        nodes = dict.fromkeys(config.world.nodes, NodeDevices(MemoryConfig(count=memories)))
        world = replace(config.world, nodes=nodes, links=links, taps={})
        self.service = Service(replace(config, world=world), lambda: 0.0, None, record)
        self.oracle = await OracleClient.local(self.service)
        self.alice, self.charlie = [Player(await NodeClient.local(self.service, name=name)) for name in ends]
        await self.oracle.hold()
        for player in (self.alice, self.charlie):
            await player.end(0.0)
        await self.oracle.release()
        assert await self.alice.turn() == 0.0
        return self

    async def both_ask(self, request: Request, until: float = CUT) -> None:
        """Let both ask at time 0; return in Charlie's turn at ``until``."""
        self.alice.ask(request, 0.0)
        await self.alice.end()
        assert await self.charlie.turn() == 0.0
        self.charlie.ask(request, 0.0)
        await self.charlie.end(until)
        assert await self.charlie.turn() == until

    async def close(self) -> None:
        """End the run; nothing may be left of it."""
        for player in (self.alice, self.charlie):
            await player.client.close_run("run")
        census = await self.oracle.census()
        assert (census.qubits, census.clusters, census.reserved, census.waiting) == (0, 0, 0, 0)
        assert set(census.held.values()) == {0}
        for party in (self.alice.client, self.charlie.client, self.oracle):
            await party.close()


Open = Callable[..., Coroutine[Any, Any, Table]]


@pytest.fixture
async def sit_down(config: ServerConfig) -> AsyncIterator[Open]:
    """Open a table; it is closed in the end."""
    tables: list[Table] = []

    async def open_table(
        source: SourceConfig = LATE, record: RecordFile | None = None, memories: int = 4
    ) -> Table:
        tables.append(await Table().open(config, source, record, memories))
        return tables[-1]

    yield open_table
    for table in tables:
        await table.close()


async def refused(player: Player) -> str:
    """Return with what a player's request was refused."""
    assert player.asked is not None
    with pytest.raises(LinkDown) as error:
        await player.asked
    return str(error.value)


@pytest.mark.parametrize("word", REQUESTS)
async def test_a_herald_behind_the_cut_is_taken_back_at_both_ends_at_the_time_of_the_cut(
    sit_down: Open, word: str
) -> None:
    table = await sit_down()
    await table.both_ask(REQUESTS[word])
    await table.oracle.set_link(LINK, False)
    census = await table.oracle.census()
    assert (census.qubits, set(census.held.values())) == (0, {0})
    await table.charlie.end()
    assert await table.alice.turn() == CUT
    said = f"{word}: link '{LINK}' is down: no pair comes over it before it is up again."
    assert await refused(table.alice) == said
    await table.alice.end()
    assert await table.charlie.turn() == CUT
    assert await refused(table.charlie) == said


@pytest.mark.parametrize("word", REQUESTS)
async def test_who_asks_when_the_link_is_down_is_told_in_its_next_turn(sit_down: Open, word: str) -> None:
    """It waits for what time brings, and may do something else in the turn that it has: which is first is decided."""
    table = await sit_down()
    await table.oracle.set_link(LINK, False)
    table.alice.ask(REQUESTS[word], 0.0)
    await table.alice.client.sync()
    assert table.alice.asked is not None
    assert not table.alice.asked.done()
    await table.alice.end()
    assert await table.alice.turn() == 0.0
    assert (
        await refused(table.alice)
        == f"{word}: link '{LINK}' is down: no pair comes over it before it is up again."
    )


@pytest.mark.parametrize("word", REQUESTS)
async def test_what_failed_before_is_told_of_in_the_next_turn_of_who_asks_for_more(
    sit_down: Open, word: str
) -> None:
    table = await sit_down()
    table.alice.client.gate(0.0, "x", [12])
    table.alice.ask(REQUESTS[word], 0.0)
    await asyncio.sleep(0)  # it is said before what follows
    await table.alice.client.sync()
    assert table.alice.asked is not None
    assert not table.alice.asked.done()
    await table.alice.end()
    assert await table.alice.turn() == 0.0
    with pytest.raises(NotYours, match="gate x: "):
        await table.alice.asked


async def test_what_failed_before_is_told_of_by_the_next_answer_when_who_asked_for_more_gives_up(
    sit_down: Open,
) -> None:
    table = await sit_down()
    table.alice.client.gate(0.0, "x", [12])
    table.alice.ask(REQUESTS["pair"], 0.0)
    await asyncio.sleep(0)
    assert table.alice.asked is not None
    table.alice.asked.cancel()
    await asyncio.wait([table.alice.asked])
    with pytest.raises(NotYours, match="gate x: "):
        await table.alice.client.sync()


@pytest.mark.parametrize("word", ["pairs", "measure_directly"])
async def test_what_would_come_after_the_end_of_time_is_refused_at_both_ends(
    sit_down: Open, word: str
) -> None:
    def many(node: NodeClient, at: float) -> Coroutine[Any, Any, object]:
        return getattr(node, word)(at, "run", LINK, 2000)  # type: ignore[no-any-return]

    table = await sit_down(WernerSource(rate=1.5e-6), memories=2000)
    table.alice.ask(many, 0.0)
    await table.alice.end()
    assert await table.charlie.turn() == 0.0
    table.charlie.ask(many, 0.0)
    await table.charlie.end()
    for player in (table.alice, table.charlie):
        assert await player.turn() == 0.0
        assert player.asked is not None
        with pytest.raises(BadRequest, match=f"{word}: .* virtual time ends at 1e\\+09 s"):
            await player.asked
        await player.end(1.0)
    census = await table.oracle.census()
    assert (census.qubits, census.reserved, census.waiting) == (0, 0, 0)
    assert await table.oracle.now() <= 1.0
    await table.oracle.set_link(LINK, False)  # time goes on, and so does the control party
    await table.oracle.set_link(LINK, True)
    assert await table.alice.turn() == 1.0
    table.alice.ask(REQUESTS["measure_directly"], 1.0)
    await table.alice.end()
    assert await table.charlie.turn() == 1.0
    table.charlie.ask(REQUESTS["measure_directly"], 1.0)
    await table.charlie.end()
    for player in (table.alice, table.charlie):
        await player.turn()
        assert player.asked is not None
        await player.asked
        await player.end(1e9)


@pytest.mark.parametrize("word", REQUESTS)
async def test_who_waits_for_the_other_end_is_told_in_a_turn_at_the_time_of_the_cut(
    sit_down: Open, word: str
) -> None:
    table = await sit_down()
    table.alice.ask(REQUESTS[word], 0.0)
    await table.alice.end()
    await table.charlie.turn()
    await table.charlie.end(CUT)
    await table.charlie.turn()
    await table.oracle.set_link(LINK, False)
    await table.charlie.end()
    assert await table.alice.turn() == CUT
    await refused(table.alice)


async def test_a_herald_before_the_cut_stays(sit_down: Open) -> None:
    table = await sit_down(WernerSource(rate=1e9))
    await table.both_ask(REQUESTS["pair"], until=1.0e-12)  # before it
    await table.charlie.end(CUT)
    heralded = await table.alice.turn()
    assert heralded < CUT
    await table.alice.end()
    assert await table.charlie.turn() == heralded
    await table.charlie.end(CUT)
    assert await table.charlie.turn() == CUT
    await table.oracle.set_link(LINK, False)
    outcomes = []
    for player in (table.alice, table.charlie):
        assert player.asked is not None
        half: Any = await player.asked
        outcomes.append(await player.client.measure(CUT, half.qubit, "Z"))
    assert outcomes[0] == outcomes[1]


async def test_an_end_that_has_its_herald_keeps_its_half_and_the_other_is_refused(sit_down: Open) -> None:
    # at alice's end: her acknowledgement takes one way through the fibre, the other end's photon and its own two
    table = await sit_down(PhotonPairSource(midpoint=1e5, attempt_rate=1e6))
    way = 1e5 / 2e8
    await table.both_ask(REQUESTS["pair"], until=way / 2)
    await table.charlie.end(1.5 * way)
    assert await table.alice.turn() == pytest.approx(way)
    assert table.alice.asked is not None
    half: Any = await table.alice.asked
    await table.alice.end()
    assert await table.charlie.turn() == 1.5 * way
    await table.oracle.set_link(LINK, False)
    await table.charlie.end()
    assert await table.charlie.turn() == 1.5 * way
    await refused(table.charlie)
    assert (await table.oracle.census()).held == {"alice": 1, "charlie": 0, "bob": 0}
    assert await table.alice.client.measure(2 * way, half.qubit, "Z") in (0, 1)


async def test_what_was_taken_back_is_no_qubit_of_its_asker(sit_down: Open) -> None:
    table = await sit_down()
    await table.both_ask(REQUESTS["pair"])
    await table.oracle.set_link(LINK, False)
    with pytest.raises(NoSuchQubit):
        await table.charlie.client.measure(CUT, 1, "Z")
    await table.charlie.end()
    await refused(table.alice)


async def test_with_the_link_up_again_the_source_begins_anew(sit_down: Open) -> None:
    table = await sit_down()
    await table.both_ask(REQUESTS["pair"])
    for up in (False, True):
        await table.oracle.set_link(LINK, up)
    await table.charlie.end()
    assert await table.alice.turn() == CUT
    await refused(table.alice)
    table.alice.ask(REQUESTS["pair"], CUT)
    await table.alice.end()
    assert await table.charlie.turn() == CUT
    await refused(table.charlie)
    table.charlie.ask(REQUESTS["pair"], CUT)
    await table.charlie.end()
    assert await table.alice.turn() > CUT
    assert table.alice.asked is not None
    assert (await table.alice.asked).pair == f"{LINK}/2"  # type: ignore[attr-defined]  # a pair's delivery


async def test_who_cancels_after_the_cut_what_was_refused_by_it_leaves_nothing(sit_down: Open) -> None:
    table = await sit_down()
    await table.both_ask(REQUESTS["pair"])
    await table.oracle.set_link(LINK, False)
    assert table.charlie.asked is not None
    table.charlie.asked.cancel()
    await asyncio.wait([table.charlie.asked])
    await table.charlie.end()
    await refused(table.alice)


async def test_a_cut_and_whom_it_refuses_are_told_to_the_record_with_its_time(
    sit_down: Open, tmp_path: Path
) -> None:
    file = tmp_path / "record"
    file.write_text("head\n")
    table = await sit_down(record=RecordFile(file))
    await table.both_ask(REQUESTS["pair"])
    await table.oracle.set_link(LINK, False)
    await table.charlie.end()
    await table.alice.turn()
    await table.alice.end()
    await table.charlie.turn()
    await refused(table.alice)
    await refused(table.charlie)
    await table.oracle.set_link(LINK, True)
    told = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    refusal = {"event": "operation.refused", "operation": "pair", "code": "link-down"}
    assert told == [
        {"at": CUT, "node": "control", "session": "", "event": "link.set", "link": LINK, "up": False},
        {"at": CUT, "node": "alice", "session": "run", **refusal},
        {"at": CUT, "node": "charlie", "session": "run", **refusal},
        {"at": CUT, "node": "control", "session": "", "event": "link.set", "link": LINK, "up": True},
    ]
