"""A program for the tests of the entanglement network: many requests at once, of one kind or another.

Alice and Bob ask each other; each tells of every request what came and how it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from nodes.ports import Clock
from nodes.requests import (
    Network,
    Pairs,
    RequestFailed,
    SharedHalf,
    SharedHalves,
    SharedOutcomes,
    Terms,
)


@dataclass(slots=True)
class Tale:
    """One end of one request: the units' ids, when they came, by what ways, outcomes if there are any; and the end."""

    pairs: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    paths: list[tuple[str, ...]] = field(default_factory=list)
    outcomes: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    failure: str = ""
    reason: str = ""
    ended_at: float = 0.0


Asked = AbstractAsyncContextManager[Pairs[Any]]


async def alice(
    network: Network,
    clock: Clock,
    kind: str = "keep",
    number: int = 10,
    requests: int = 1,
    backwards: int = 0,
    within: float = 0.0,
    window: int = 4,
    batch: int = 4,
    enough: int = -1,
    pause: float = 0.0,
    order: str = "asap",
    hold: int = 0,
) -> list[Tale]:
    """Make ``requests`` at once of Bob, and accept as many ``backwards``; leave each after ``enough`` units.

    She keeps ``hold`` pairs of each before she gives any up, and waits for ``pause`` seconds between two.
    """
    terms = Terms(within=within or None, window=window, order=order)
    asked = [_request(network, "bob", kind, number, batch, terms) for _ in range(requests)]
    accepted = [_accept(network, "bob", kind) for _ in range(backwards)]
    return await _all(asked + accepted, clock, enough, pause, hold)


async def bob(
    network: Network,
    clock: Clock,
    kind: str = "keep",
    accepts: str = "",
    number: int = 10,
    requests: int = 1,
    backwards: int = 0,
    within: float = 0.0,
    window: int = 4,
    batch: int = 4,
    satisfied: int = -1,
    pause: float = 0.0,
    hold: int = 0,
    after: float = 0.0,
) -> list[Tale]:
    """Accept what Alice asks for after a while, and ask as she does; leave each request after ``satisfied`` units."""
    if after:
        await clock.sleep(after)
    if accepts == "nothing":
        return []
    terms = Terms(within=within or None, window=window)
    accepted = [_accept(network, "alice", accepts or kind) for _ in range(requests)]
    asked = [_request(network, "alice", kind, number, batch, terms) for _ in range(backwards)]
    return await _all(accepted + asked, clock, satisfied, pause, hold)


def _request(network: Network, of: str, kind: str, number: int, batch: int, terms: Terms) -> Asked:
    if kind == "outcomes":
        return network.request_outcomes(of, number, "XYZ", batch, terms)
    if kind == "batches":
        return network.request_batches(of, number, batch, terms)
    return network.request(of, number, terms)


def _accept(network: Network, of: str, kind: str) -> Asked:
    accepts: dict[str, Callable[[], Asked]] = {
        "outcomes": lambda: network.accept_outcomes(of, "XYZ"),
        "batches": lambda: network.accept_batches(of),
        "keep": lambda: network.accept(of),
    }
    return accepts[kind]()


async def _all(
    asked: list[Asked], clock: Clock, enough: int = -1, pause: float = 0.0, hold: int = 0
) -> list[Tale]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_told(each, clock, enough, pause, hold)) for each in asked]
    return [task.result() for task in tasks]


async def _told(asked: Asked, clock: Clock, enough: int, pause: float, hold: int) -> Tale:
    tale, held = Tale(), list[SharedHalf | SharedHalves]()
    try:
        async with asked as pairs:
            while len(tale.pairs) != enough:
                share = await anext(pairs, None)  # type: ignore[call-overload]
                if share is None:
                    break
                tale.pairs.append(share.pair)
                tale.times.append(share.delivered_at)
                if share.path not in tale.paths:
                    tale.paths.append(share.path)
                if isinstance(share, SharedOutcomes):
                    tale.outcomes.append((share.basis, tuple(map(int, share.bits))))
                else:
                    held.append(share)
                if len(held) > hold:
                    await _give_up(held.pop(0))
                if pause:
                    await clock.sleep(pause)
    except RequestFailed as failed:
        tale.failure, tale.reason = failed.failure, failed.reason
    tale.ended_at = clock.now()
    return tale


async def _give_up(share: SharedHalf | SharedHalves) -> None:
    await (share.qubit if isinstance(share, SharedHalf) else share.halves).discard()
