"""Nodes of one's own without a process, a broker or a socket: how two programs agree, whatever they do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nodes.errors import Deadlock, PeerGone, PeerSilent, ProgramInvalid, ProtocolViolation
from nodes.requests import RequestFailed, Terms
from nodes.runtime.conductor import Conductor
from nodes.runtime.connected import ConnectedNode
from nodes.runtime.in_memory import OwnProgram, in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import (
    ClockConfig,
    ClockMode,
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    WorldConfig,
)
from shared_state.oracle import OracleClient


@dataclass(frozen=True)
class Note:
    text: str


@dataclass(frozen=True)
class Other:
    number: int


@pytest.fixture(params=["real-time", "virtual"])
def world(request: pytest.FixtureRequest) -> WorldConfig:
    """alice - charlie - bob, on either clock."""
    mode: ClockMode = request.param
    fibre = FibreConfig(length=1000.0, attenuation_db_per_km=0.0)
    return WorldConfig(
        nodes={name: NodeDevices(MemoryConfig(count=4)) for name in ("alice", "charlie", "bob")},
        links={
            "alice-charlie": LinkDevices(("alice", "charlie"), fibre),
            "charlie-bob": LinkDevices(("charlie", "bob"), fibre),
        },
        clock=ClockConfig(mode),
        seed=7,
    )


Act = Callable[[ConnectedNode], Coroutine[Any, Any, object]]


async def played(
    world: WorldConfig,
    alice: Act,
    bob: Act,
    meanwhile: Callable[[Conductor], Coroutine[Any, Any, None]] | None = None,
) -> tuple[object, object]:
    """Let two programs play to their ends; return what they return. Nothing may be left of them."""
    results: dict[str, asyncio.Future[object]] = {
        name: asyncio.get_running_loop().create_future() for name in ("alice", "bob")
    }

    def program(act: Act, name: str) -> OwnProgram:
        async def run(me: ConnectedNode) -> None:
            try:
                results[name].set_result(await act(me))
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                results[name].set_exception(error)

        return run

    programs = {"alice": program(alice, "alice"), "bob": program(bob, "bob")}
    async with asyncio.timeout(30), in_memory_lab(world, programs=programs) as lab:
        if meanwhile is not None:
            await meanwhile(lab)
        found = await asyncio.gather(*results.values())
        while (await lab.census()).qubits:  # noqa: ASYNC110 - nobody tells when a session has ended
            await asyncio.sleep(0.01)
    return found[0], found[1]


async def test_pairs_are_the_same_at_both_ends_in_the_same_order(world: WorldConfig) -> None:
    async def act(me: ConnectedNode) -> list[tuple[str, int]]:
        halves = [await me.pair(me.others[0]) for _ in range(4)]
        return [(half.pair, await half.qubit.measure("X")) for half in halves]

    alice, bob = await played(world, act, act)
    assert alice == bob
    assert isinstance(alice, list)
    assert len(dict(alice)) == 4


async def test_nobody_waits_in_vain_while_the_lab_is_slow_to_let_them_meet(
    world: WorldConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes second learns of the first before time goes on: else the first would be told of a deadlock."""
    hold = OracleClient.hold

    async def hold_late(oracle: OracleClient) -> float:
        await asyncio.sleep(0.1)
        return await hold(oracle)

    async def act(me: ConnectedNode) -> str:
        return (await me.pair(me.others[0])).pair

    monkeypatch.setattr(OracleClient, "hold", hold_late)
    alice, bob = await played(world, act, act)
    assert alice == bob


@pytest.mark.parametrize("mistaken", ["alice", "bob"])
async def test_who_was_gone_for_a_moment_is_as_before_when_it_is_back(
    world: WorldConfig, monkeypatch: pytest.MonkeyPatch, mistaken: str
) -> None:
    """A node may take another one for gone that control still waits for; its visit goes on."""
    if world.clock.mode == "virtual":
        return  # there nothing but visits tells who is there
    monkeypatch.setattr("nodes.runtime.mail._RETURN_GRACE", 0.02)
    back = asyncio.Event()

    async def act(me: ConnectedNode) -> list[str]:
        (other,) = me.others
        peer = me.peer(other)
        pairs = [(await me.pair(other)).pair]
        await peer.send(Note("one"))
        heard = [(await peer.receive(Note)).text]
        if me.name == mistaken:
            office = me._node._office
            office.note_status(other, "lost")
            while office.process_of(other) is not None:  # noqa: ASYNC110 - a timer tells
                await asyncio.sleep(0.01)
            office.note_status("charlie", "ready")  # whatever others say meanwhile
            office.note_status(other, "ready")
            back.set()
        await back.wait()
        await peer.send(Note("two"))
        heard.append((await peer.receive(Note)).text)
        pairs.append((await me.pair(other)).pair)
        await peer.send(Note("three"))
        return [*pairs, *heard, (await peer.receive(Note)).text]

    alice, bob = await played(world, act, act)
    assert alice == bob
    assert isinstance(alice, list)
    assert alice[2:] == ["one", "two", "three"]


async def test_pairs_that_are_asked_for_side_by_side_are_shared_side_by_side(world: WorldConfig) -> None:
    async def act(me: ConnectedNode) -> set[tuple[str, int]]:
        halves = await asyncio.gather(*(me.pair(me.others[0]) for _ in range(3)))
        return {(half.pair, await half.qubit.measure()) for half in halves}

    alice, bob = await played(world, act, act)
    assert alice == bob


async def test_a_program_may_ask_and_accept_in_both_directions(world: WorldConfig) -> None:
    async def act(me: ConnectedNode) -> tuple[list[int], list[int]]:
        (other,) = me.others

        async def asked() -> list[int]:
            async with me.network.request(other, 3, Terms(order="nested")) as pairs:
                return [await half.qubit.measure() async for half in pairs]

        async def accepted() -> list[int]:
            async with me.network.accept(other) as pairs:
                return [await half.qubit.measure() async for half in pairs]

        return await asked(), await accepted()

    async def other_way(me: ConnectedNode) -> tuple[list[int], list[int]]:
        (other,) = me.others
        async with me.network.accept(other) as pairs:
            accepted = [await half.qubit.measure() async for half in pairs]
        async with me.network.request(other, 3) as pairs:
            return [await half.qubit.measure() async for half in pairs], accepted

    alice, bob = await played(world, act, other_way)
    assert isinstance(bob, tuple)
    assert alice == bob[::-1]


async def test_messages_are_typed_and_a_wrong_one_is_told(world: WorldConfig) -> None:
    async def alice(me: ConnectedNode) -> str:
        bob = me.peer("bob")
        await bob.send(Other(1))
        return (await bob.receive(Note)).text

    async def bob(me: ConnectedNode) -> str:
        alice = me.peer("alice")
        try:
            await alice.receive(Note)
        except ProtocolViolation as violation:
            await alice.send(Note("not that"))
            return str(violation)
        return ""

    heard, told = await played(world, alice, bob)
    assert heard == "not that"
    assert "sent Other where Note was expected" in str(told)


async def test_who_is_left_alone_is_told(world: WorldConfig) -> None:
    async def alice(me: ConnectedNode) -> str:
        # in virtual time it may be known first that nothing is on its way any more
        with pytest.raises((PeerGone, Deadlock)) as gone:
            await me.peer("bob").receive(Note)
        return str(gone.value)

    async def bob(me: ConnectedNode) -> None:
        await me.peer("alice").conversation("aside").send(Note("hello"))

    told, _ = await played(world, alice, bob)
    assert "node 'bob' left" in str(told) or "everybody waits: alice for Note from bob" in str(told)


async def test_a_pair_that_the_other_one_gave_up_waiting_for_is_no_pair(world: WorldConfig) -> None:
    if world.clock.mode == "virtual":
        return  # there nobody gives up: who waits in vain is told so at once

    async def alice(me: ConnectedNode) -> tuple[str, int]:
        await me.peer("bob").receive(Note)
        half = await me.pair("bob")
        return half.pair, await half.qubit.measure()

    async def bob(me: ConnectedNode) -> tuple[str, int]:
        for _ in range(3):
            with pytest.raises(PeerSilent, match=r"'alice' has not asked for a pair with 'bob' within 0.1 s"):
                await me.pair("alice", deadline=0.1)
        await me.peer("alice").send(Note("now"))
        half = await me.pair("alice")
        return half.pair, await half.qubit.measure()

    alices, bobs = await played(world, alice, bob)
    assert alices == bobs


async def test_where_no_pair_can_be_had_both_are_told_why(world: WorldConfig) -> None:
    links = {name: replace(link, source=None) for name, link in world.links.items()}

    async def act(me: ConnectedNode) -> str:
        (other,) = me.others
        with pytest.raises(RequestFailed) as failed:
            await me.pair(other)
        await me.peer(other).send(Note("who leaves before may be gone before its last word is heard"))
        await me.peer(other).receive(Note)
        return failed.value.failure

    assert await played(replace(world, links=links), act, act) == ("no-route", "no-route")


async def test_the_lab_runs_programs_on_nodes_that_act_by_themselves(world: WorldConfig) -> None:
    async def alice(me: ConnectedNode) -> str:
        return (await me.peer("bob").receive(Note)).text

    async def bob(me: ConnectedNode) -> None:
        await me.clock.sleep(0.5)
        await me.peer("alice").send(Note("done"))

    async def meanwhile(lab: Conductor) -> None:
        await lab.ready(["alice", "bob", "charlie"])
        result = await lab.run(RunRequest("teleport", {"alice": "charlie", "bob": "alice"}, 2))
        assert result.figures["fidelity_mean"] == pytest.approx(1.0)

    assert await played(world, alice, bob, meanwhile) == ("done", None)


async def test_what_cannot_be_is_refused(world: WorldConfig) -> None:
    async def alice(me: ConnectedNode) -> None:
        assert repr(me) == "<node alice of lab in-memory>"
        for wrong in ("alice", "charlie", "dave"):
            with pytest.raises(ProgramInvalid):
                await me.pair(wrong)
            with pytest.raises(ProgramInvalid):
                me.peer(wrong)
        with pytest.raises(ProgramInvalid):
            me.keys("dave")
        assert await me.keys("charlie").stored_bits() == 0
        assert len(me.coin.bits(8)) == 8
        assert me.identity.node == "alice"
        qubit = await me.qubit()
        assert await qubit.measure() == 0

    async def bob(me: ConnectedNode) -> None:
        await me.qubit()  # and leaves it behind

    await played(world, alice, bob)
