"""Walks along a run of the network, from message to message: at every point something happens, and all must be well.

After every run nothing is left in a memory and no memory is promised, no pair of which both ends have a half is other
than it should be, none is known to one end only unless a request has failed, and each end has all it was to have, or
the reason why not, by its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any

import pytest

from nodes.errors import RunFailed
from nodes.link.service import Failure
from nodes.runtime.programs import Scalar
from nodes.runtime.run_request import RunResult
from shared_state.config import WorldConfig
from tests.nodes.runtime.network_lab import Fault, NetworkLab, Walker, dropped, network_lab, werner

AT_ONCE = 16
"""So many labs run beside each other."""
PATIENCE, REAL_PATIENCE, LONG = 3.0, 8.0, 20.0
"""For so many wall seconds the clock waits for a message that is lost, and in real time each end for the other one; and
for anything where no message is lost."""
SLACK = 2e-4
"""Emulated seconds from a deadline until both ends have left, in virtual time: the last words take some times along the
way."""
REAL_SLACK = 5.0
"""The same in real time, for machines under load: a message that is lost is missed for a second."""
WAYS = [("alice", "r1", "r2", "bob"), ("alice", "s1", "s2", "bob")]
TAKING_PART = 3
"""Before this message a repeater may not yet have said that it takes part; when it dies then, the run ends and says
so."""

Strike = Callable[[NetworkLab], Coroutine[Any, Any, None]]


def check(
    result: RunResult, number: int, within: float, fidelity: float | None, slack: float = SLACK
) -> None:
    """Fail unless both ends tell of the same pairs, and of all, or why not, at most ``slack`` after the deadline.

    ``fidelity`` is that of the pairs; None: better than swapped only.
    """
    returned = result.returned[0]
    for story in returned.values():
        if not story["failure"]:
            assert len(story["halves"]) == number
        else:
            assert story["failure"] in set(Failure)
            assert " " in story["reason"]
        assert story["ended_at"] <= within + slack
    figures = {name.removesuffix("_mean"): value for name, value in result.figures.items()}
    failed = returned["alice"]["failure"] or returned["bob"]["failure"]
    assert failed or figures["only alice"] == figures["only bob"] == 0, figures
    for name, value in figures.items():
        if name.startswith("fidelity of ") and not name.endswith("_stderr"):
            assert value is not None
            assert value == pytest.approx(fidelity, abs=1e-9) if fidelity else value > werner(4)


async def visit(
    world: WorldConfig,
    walker: Walker,
    fidelity: float | None,
    number: int,
    within: float,
    terms: Mapping[str, Scalar],
) -> RunResult:
    """Run the program once, with what happens at one point, and see that all is well after that."""
    async with asyncio.timeout(30), network_lab(world, walker) as lab:
        real = world.clock.mode == "real-time"
        patience = (REAL_PATIENCE if real else PATIENCE) if walker.fault is dropped else LONG
        result = await lab.run({"number": number, "within": within, **terms}, deadline=patience)
        check(result, number, within, fidelity, REAL_SLACK if real else SLACK)
        await walker.done()
        assert await lab.left_behind() == {}
    return result


async def walk(points: Iterable[tuple[str, Callable[[], Awaitable[object]]]]) -> None:
    """Visit all points, some at a time; fail with all that went wrong."""
    places, wrong = asyncio.Semaphore(AT_ONCE), list[str]()

    async def one(label: str, visit: Callable[[], Awaitable[object]]) -> None:
        async with places:
            try:
                await visit()
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - all of them are told together
                wrong.append(f"{label}: {type(error).__name__}: {error}")

    async with asyncio.TaskGroup() as group:
        for label, each in points:
            group.create_task(one(label, each))
    assert not wrong, "\n".join(wrong)


async def walk_messages(
    world: WorldConfig,
    faults: Collection[Fault],
    fidelity: float | None,
    terms: Mapping[str, Scalar],
    number: int = 2,
    within: float = 0.5,
    *,
    in_turn: bool = False,
) -> int:
    """Hit every message of a run with every fault, or with one of them ``in_turn``; return at how many points."""
    whole = Walker()
    result = await visit(world, whole, fidelity, number, within, terms)
    assert not result.returned[0]["alice"]["failure"]

    def point(index: int, fault: Fault) -> tuple[str, Callable[[], Awaitable[object]]]:
        label = f"message {index} ({whole.sent[index]}) {fault.__name__}"
        return label, lambda: visit(world, Walker(index, fault), fidelity, number, within, terms)

    each = [(fault,) for fault in faults] if in_turn else [tuple(faults)]
    points = [point(index, fault) for index in range(len(whole.sent)) for fault in each[index % len(each)]]
    await walk(points)
    return len(points)


async def walk_strikes(world: WorldConfig, strike: Strike, mended: Strike | None = None) -> int:
    """Let something happen to a ``RING`` at every message of a run: what was asked for comes all the same.

    Return how many runs had pairs by both ways.
    """
    both = 0
    whole, number = Walker(), 4
    within = 6.0 if world.clock.mode == "real-time" else 1.0  # of wall time, on a machine under load
    await visit(world, whole, werner(3), number, within, {})

    async def struck(index: int) -> None:
        nonlocal both
        walker = Walker(index, strike=strike)
        async with asyncio.timeout(30), network_lab(world, walker) as lab:
            try:
                result = await lab.run({"number": number, "within": within})
            except RunFailed as failure:
                if index >= TAKING_PART or failure.cause != "PeerGone":
                    raise
            else:
                slack = REAL_SLACK if world.clock.mode == "real-time" else SLACK
                check(result, number, within, werner(3), slack)
                story = result.returned[0]["alice"]
                assert not story["failure"], story["reason"]
                taken = list(dict.fromkeys(map(tuple, story["paths"])))
                assert taken == [way for way in WAYS if way in taken]
                both += len(taken) == 2
            await walker.done()
            assert await lab.left_behind() == {}
            if mended is not None:
                await mended(lab)
            again = await lab.run({"number": 1, "within": within})
            assert not again.returned[0]["alice"]["failure"], again.returned[0]["alice"]["reason"]
            assert await lab.left_behind() == {}

    def point(index: int) -> tuple[str, Callable[[], Awaitable[object]]]:
        return f"at message {index}", lambda: struck(index)

    await walk(point(index) for index in range(len(whole.sent)))
    return both
