"""When a program that acts by itself holds the lab's clock, and what it is told when it waits in vain."""

from __future__ import annotations

import asyncio

import pytest

from nodes.errors import Deadlock, TurnKept
from nodes.runtime.ensemble import Ensemble
from nodes.runtime.guest import Guest


async def test_a_program_holds_the_clock_unless_one_of_its_tasks_waits() -> None:
    looked: list[None] = []
    ensemble = Ensemble(lambda: looked.append(None))
    assert ensemble.held_by() == ""
    ensemble.guest = Guest("alice", lambda: looked.append(None))
    assert ensemble.held_by() == "the program that is 'alice'"
    with ensemble.waiting("a Note from bob"):
        assert ensemble.held_by() == ""
        assert len(looked) == 1
        with ensemble.waiting("3 s", timed=True):
            assert ensemble.stories() == ["a Note from bob"]
    assert ensemble.held_by() == "the program that is 'alice'"
    assert ensemble.stories() == []


async def test_a_deadlock_is_raised_where_the_program_waits_for_somebody_and_nowhere_else() -> None:
    ensemble = Ensemble(lambda: None)
    ensemble.guest = Guest("alice", lambda: None)
    woken = asyncio.Event()

    async def for_bob() -> str:
        with pytest.raises(Deadlock), ensemble.waiting("a Note from bob"):
            await asyncio.Event().wait()
        return "told"

    async def for_a_time() -> str:
        with ensemble.waiting("3 s", timed=True):
            await woken.wait()
        return "woken"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(for_bob()), group.create_task(for_a_time())]
        await asyncio.sleep(0)
        assert ensemble.stories() == ["a Note from bob"]
        ensemble.fail(Deadlock("everybody waits"))
        ensemble.fail(Deadlock("everybody waits"))
        woken.set()
    assert [task.result() for task in tasks] == ["told", "woken"]


async def test_somebody_elses_cancellation_comes_first() -> None:
    guest = Guest("alice", lambda: None)

    async def waits() -> None:
        with guest.waiting("a Note from bob", timed=False):
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    assert guest.stories() == ["a Note from bob"]
    guest.fail(Deadlock("everybody waits"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert guest.stories() == []


async def test_a_program_that_holds_the_clock_too_long_is_reproached_once_and_one_that_waits_is_not() -> None:
    guest = Guest("alice", lambda: None)
    with guest.waiting("3 s", timed=True):
        guest.fail_held(TurnKept)
        assert not guest.reproached.done()
    guest.fail_held(TurnKept)
    guest.fail_held(TurnKept)
    assert str(guest.reproached.result()) == "the program that is 'alice'"
