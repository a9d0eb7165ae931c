"""Whoever takes turns cannot state a time that has passed: a clear error, and time goes on afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared_state.arguments import Despatch
from shared_state.client import NodeClient, Turn
from shared_state.config import ClockConfig
from shared_state.errors import BadRequest, TimeReversed
from shared_state.service import Service

if TYPE_CHECKING:
    from shared_state.config import ServerConfig


async def _turn_at(client: NodeClient, time: float) -> float:
    return Turn.read(await client.end_turn(time, [], [])).time


async def test_a_timer_in_the_past_is_refused_and_time_goes_on(alice: NodeClient) -> None:
    assert await _turn_at(alice, 5.0) == 5.0
    with pytest.raises(TimeReversed, match=r"a timer is stated for 4\.0 s, and the lab is at 5\.0 s already"):
        await alice.end_turn(4.0, [], [])
    assert await _turn_at(alice, 6.0) == 6.0


async def test_a_timer_for_now_is_not_in_the_past(alice: NodeClient) -> None:
    assert await _turn_at(alice, 5.0) == 5.0
    assert await _turn_at(alice, 5.0) == 5.0


async def test_no_message_arrives_in_the_past(alice: NodeClient, bob: NodeClient) -> None:
    waiting = bob.end_turn(None, [], [])
    assert await _turn_at(alice, 5.0) == 5.0
    with pytest.raises(TimeReversed, match=r"what is due is stated for 4\.0 s, and the lab is at 5\.0 s"):
        await alice.end_turn(9.0, [_letter(4.0)], [])
    assert not waiting.done()
    late = alice.end_turn(9.0, [_letter(5.5)], [])
    assert Turn.read(await waiting) == Turn(5.5, [("alice", "run-1:0", 0)], "", 2)
    bob.end_turn(None, [], [])
    assert Turn.read(await late).time == 9.0


async def test_a_turn_that_is_ended_before_all_was_heard_goes_on_under_its_number(alice: NodeClient) -> None:
    first = Turn.read(await alice.end_turn(1.0, [], []))
    unheard = alice._line.request("sync")
    same = Turn.read(await alice.end_turn(2.0, [], []))
    await unheard
    assert (same.time, same.number) == (1.0, first.number)
    second = Turn.read(await alice.end_turn(2.0, [], []))
    assert (second.time, second.number > first.number) == (2.0, True)


async def test_no_time_is_negative(alice: NodeClient) -> None:
    for until, despatched in ((-1.0, []), (1.0, [_letter(-1.0)])):
        with pytest.raises(BadRequest):
            await alice.end_turn(until, despatched, [])
    assert await _turn_at(alice, 1.0) == 1.0


async def test_nothing_is_done_before_the_beginning_of_the_turn(alice: NodeClient) -> None:
    qubit = await alice.qubit(0.0, "run")
    assert await _turn_at(alice, 5.0) == 5.0
    with pytest.raises(TimeReversed, match=r"alice states 4\.0 s, and its turn began at 5\.0 s"):
        await alice.measure(4.0, qubit, "Z")
    assert await alice.measure(5.0, qubit, "Z") == 0


async def test_in_real_time_nobody_takes_turns(config: ServerConfig) -> None:
    world = replace(config.world, clock=ClockConfig("real-time"))
    client = await NodeClient.local(Service(replace(config, world=world), lambda: 0.0), name="alice")
    with pytest.raises(BadRequest, match="nobody takes turns in real time"):
        await client.end_turn(1.0, [], [])
    await client.close()


def _letter(arrives_at: float) -> Despatch:
    return Despatch("bob", arrives_at, "run-1:0", 0)
