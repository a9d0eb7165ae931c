"""A party that keeps its turn in virtual time and says nothing is waited for, but not for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared_state.client import NodeClient, Turn
from shared_state.config import ClockConfig, ServerConfig
from shared_state.service import Service

PATIENCE = 60.0


async def turn_of(client: NodeClient, until: float | None) -> Turn:
    return Turn.read(await client.end_turn(until, [], []))


async def test_the_lab_goes_on_without_one_who_keeps_its_turn_and_says_why(
    service: Service, alice: NodeClient, bob: NodeClient, wall: list[float]
) -> None:
    assert (await turn_of(alice, 0.5)).time == 0.5
    waiting = bob.end_turn(1.0, [], [])
    await bob.sync()
    wall[0] = PATIENCE - 1e-3
    service.tick()
    assert not waiting.done()
    assert service.next_deadline() == PATIENCE
    wall[0] = PATIENCE
    service.tick()
    assert Turn.read(await waiting).time == 1.0
    told = "alice has kept its turn at 0.5 s for 60 s of wall time without a word"
    assert told in str(await alice.lost)
    assert service.next_deadline() == 2 * PATIENCE  # bob's


async def test_who_is_at_work_in_its_turn_may_keep_it(
    service: Service, alice: NodeClient, wall: list[float]
) -> None:
    await turn_of(alice, 0.5)
    for _ in range(4):
        wall[0] += PATIENCE - 1.0
        qubit = await alice.qubit(0.5, "run")
        alice.gate(0.5, "h", [qubit])
        await alice.sync()
        service.tick()
    assert (await turn_of(alice, 0.75)).time == 0.75


async def test_a_mark_alone_is_no_work(service: Service, alice: NodeClient, wall: list[float]) -> None:
    await turn_of(alice, 0.5)
    wall[0] += PATIENCE - 1.0
    await alice._line.request("mark")
    wall[0] += 1.0
    service.tick()
    assert "has kept its turn" in str(await alice.lost)


async def test_who_waits_for_its_turn_may_wait_for_ever(
    service: Service, alice: NodeClient, bob: NodeClient, wall: list[float]
) -> None:
    alices, bobs = alice.end_turn(None, [], []), bob.end_turn(None, [], [])
    await alice.sync()
    await bob.sync()
    wall[0] = 1e6
    service.tick()
    assert service.next_deadline() == 1e6 + PATIENCE
    bob.wake(0.0)
    await bobs
    assert not alices.done()


async def test_who_takes_no_turns_is_never_overdue(
    service: Service, alice: NodeClient, wall: list[float]
) -> None:
    await alice.qubit(0.5, "run")
    wall[0] = 1e6
    service.tick()
    await alice.sync()


async def test_the_patience_is_the_labs(config: ServerConfig, wall: list[float]) -> None:
    world = replace(config.world, clock=ClockConfig(patience=3.0))
    service = Service(replace(config, world=world), lambda: wall[0])
    async with await NodeClient.local(service, name="alice") as alice:
        await turn_of(alice, 0.5)
        assert service.next_deadline() == 3.0


@pytest.mark.parametrize("patience", [0.0, -1.0, float("inf"), float("nan")])
def test_a_patience_that_never_begins_or_ends_is_refused(patience: float) -> None:
    with pytest.raises(ValueError, match=r"ClockConfig.patience is .*, and must be more than 0, and finite"):
        ClockConfig(patience=patience)
