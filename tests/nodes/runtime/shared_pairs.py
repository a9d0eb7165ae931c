"""A program for the tests of the entanglement network: whoever asks for pairs tells what it got, and how that ended."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from nodes.network.swap import PHI_PLUS
from nodes.ports import Clock, Qubit, Referee
from nodes.requests import Network, Pairs, RequestFailed, SharedHalf, Terms


@dataclass(slots=True)
class Story:
    """What one end has got: its halves by pair id, by what ways, when the last one came and when all was over, in
    emulated seconds; and the ``failure``, empty if all came."""

    halves: dict[str, Qubit] = field(default_factory=dict)
    paths: list[tuple[str, ...]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    failure: str = ""
    reason: str = ""
    delivered: int = 0
    ended_at: float = 0.0


async def alice(
    network: Network,
    clock: Clock,
    number: int = 2,
    within: float = 0.0,
    order: str = "asap",
    purify: str = "",
    window: int = 4,
    cutoff: float = 0.0,
    cost: str = "rate",
) -> Story:
    """Request ``number`` pairs and keep them."""
    terms = Terms(
        within=within or None,
        order=order,
        purify=purify,
        window=window,
        cutoff=cutoff or None,
        cost=cost,  # Terms checks it
    )
    return await _told(network.request("bob", number, terms), clock)


async def bob(network: Network, clock: Clock) -> Story:
    """Accept them."""
    return await _told(network.accept("alice"), clock)


async def referee(oracle: Referee, alice: Any, bob: Any) -> dict[str, float]:
    """Give the fidelity of each pair of which both ends have a half, and count what only one has."""
    mine, its = alice["halves"], bob["halves"]
    both = mine.keys() & its.keys()
    fidelities = {
        f"fidelity of {pair}": await oracle.fidelity([mine[pair], its[pair]], PHI_PLUS)
        for pair in sorted(both)
    }
    return {
        "shared": len(both),
        "only alice": len(mine) - len(both),
        "only bob": len(its) - len(both),
        **fidelities,
    }


async def _told(asked: AbstractAsyncContextManager[Pairs[SharedHalf]], clock: Clock) -> Story:
    story = Story()
    try:
        async with asked as pairs:
            async for share in pairs:
                story.halves[share.pair] = share.qubit
                story.paths.append(share.path)
                story.times.append(share.delivered_at)
    except RequestFailed as failed:
        story.failure, story.reason, story.delivered = failed.failure, failed.reason, failed.delivered
    story.ended_at = clock.now()
    return story
