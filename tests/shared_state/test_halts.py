"""Somebody from outside lets virtual time stand still between two turns, and nothing comes of when he asks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from shared_state.client import NodeClient, Turn
from shared_state.errors import BadRequest
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.turns import Due, Turns, Wake


class Watched:
    """Turns, and what they have told: who got the turn when, whose halt came when."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.turns = Turns(self._grant, lambda: self.told.append(("rest", self.turns.now)), self._halted)

    def _grant(self, node: str, time: float, due: list[Due]) -> None:
        self.told.append((node, time))

    def _halted(self, ticket: object, time: float) -> None:
        self.told.append((str(ticket), time))


def test_a_halt_comes_when_the_turn_is_over_and_all_that_is_due_now_has_happened() -> None:
    lab = Watched()
    lab.turns.join("alice")
    lab.turns.join("bob")
    lab.turns.halt(None, "me", "halt")
    lab.turns.end("alice", 0.0, [])
    assert lab.told == []
    lab.turns.end("bob", 1.0, [])
    assert lab.told == [("alice", 0.0)]  # she wanted one more at the same time
    lab.turns.end("alice", 1.0, [])
    assert lab.told == [("alice", 0.0), ("halt", 0.0)]
    lab.turns.go_on("me")
    assert lab.told[2:] == [("alice", 1.0)]


def test_a_halt_at_a_time_comes_behind_what_is_due_then_and_before_anything_later() -> None:
    lab = Watched()
    lab.turns.join("alice")
    lab.turns.halt(1.0, "me", "at 1")
    lab.turns.halt(0.5, "him", "at 0.5")
    lab.turns.end("alice", 1.0, [])
    assert lab.told == [("at 0.5", 0.5)]
    lab.turns.go_on("him")
    assert lab.told[1:] == [("alice", 1.0)]
    lab.turns.end("alice", 1.5, [])
    assert lab.told[2:] == [("at 1", 1.0)]
    assert lab.turns.now == 1.0
    lab.turns.go_on("me")
    assert lab.told[3:] == [("alice", 1.5)]


def test_halts_of_one_time_come_one_after_the_other_in_the_order_of_asking() -> None:
    lab = Watched()
    lab.turns.halt(2.0, "a", "first")
    assert lab.told == [("first", 2.0)]  # nothing is due: time goes on by itself
    lab.turns.halt(2.0, "b", "second")
    lab.turns.halt(2.0, "c", "third")
    lab.turns.go_on("a")
    lab.turns.go_on("b")
    lab.turns.go_on("c")
    assert [ticket for ticket, _ in lab.told[:3]] == ["first", "second", "third"]


def test_who_waits_for_ever_is_not_told_so_as_long_as_a_halt_is_to_come() -> None:
    lab = Watched()
    lab.turns.join("alice")
    lab.turns.halt(3.0, "me", "halt")
    lab.turns.end("alice", None, ["a message"])
    assert lab.told == [("halt", 3.0)]
    lab.turns.plan(3.0, "alice", Wake())  # he brings about what she waits for
    lab.turns.go_on("me")
    assert lab.told[1:] == [("alice", 3.0)]
    lab.turns.end("alice", None, ["a message"])
    assert lab.told[2:] == [("alice", 3.0)]  # stalled


def test_a_halt_that_was_given_up_holds_nobody_and_nothing_rests_while_one_is_to_come() -> None:
    lab = Watched()
    lab.turns.join("alice")
    lab.turns.halt(3.0, "visitor/1", "halt")
    lab.turns.halt(4.0, "visitor/2", "halt")
    lab.turns.halt(5.0, "visitors/1", "other")
    assert not lab.turns.at_rest
    lab.turns.abandon("visitor")
    lab.turns.end("alice", 6.0, [])
    assert lab.told == [("other", 5.0)]


def test_time_stands_still_from_a_halt_in_the_past_on() -> None:
    lab = Watched()
    lab.turns.halt(2.0, "a", "first")
    with pytest.raises(BadRequest, match="virtual time ends"):
        lab.turns.halt(1e12, "b", "beyond")
    lab.turns.go_on("a")
    lab.turns.halt(1.0, "b", "late")
    assert lab.told[-1] == ("late", 2.0)


async def ends_turn(client: NodeClient, until: float) -> float:
    """End a node's turn; return the time of the next."""
    return Turn.read(await client.end_turn(until, [], [])).time


async def within(work: Coroutine[Any, Any, float]) -> float:
    """Wait for something that comes at once."""
    async with asyncio.timeout(2):
        return await work


async def test_an_oracle_halts_time_between_turns_and_lets_it_go_on(
    alice: NodeClient, oracle: OracleClient
) -> None:
    halted = asyncio.ensure_future(oracle.halt("me", 0.25))
    turn = asyncio.ensure_future(ends_turn(alice, 1.0))
    assert await halted == 0.25
    assert not turn.done()
    await oracle.go_on("me")
    assert await within(asyncio.wait_for(turn, 1)) == 1.0


async def test_who_stops_waiting_for_a_halt_or_leaves_holds_nobody(
    service: Service, alice: NodeClient
) -> None:
    for leaves in (False, True):
        oracle = await OracleClient.local(service, name=f"visitor-{leaves}")
        asked = asyncio.ensure_future(oracle.halt("me", await oracle.now() + 0.25))
        await oracle.census()
        if leaves:
            await oracle.close()
            with pytest.raises(Exception, match="closed"):
                await asked
        else:
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            await oracle.census()
        assert await within(ends_turn(alice, alice.now() + 1.0)) > 0
        await oracle.close()


async def test_nobody_but_an_oracle_halts_time(alice: NodeClient) -> None:
    for word, arguments in (("halt", [None, "me"]), ("go_on", ["me"]), ("intervene", [0.0, "x", "{}"])):
        with pytest.raises(BadRequest, match="is for the role 'oracle'"):
            await alice._line.ask(word, *arguments)
