"""A program for the tests of a quantum switch: leaves want pairs with each other, all at the same time."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from nodes.ports import several
from nodes.requests import Network, Pairs, SharedHalf, Terms


@dataclass(frozen=True, slots=True)
class Served:
    """What a leaf has got of a request: when each pair came, in emulated seconds, and its bit, measured in Z."""

    partner: str
    times: list[float]
    bits: list[int]


@several
async def leaf(network: Network, everyone: bool = True, number: int = 10, window: int = 1) -> list[Served]:
    """Want ``number`` pairs with each other leaf, or leaf 1 with 2, 3 with 4 and so on; measure each when it comes."""
    numbers = {int(other.removeprefix("leaf")): other for other in network.others}
    own = next(number for number in range(1, len(numbers) + 2) if number not in numbers)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _measured(
                    other,
                    network.request(other, number, Terms(window=window))
                    if own < its
                    else network.accept(other),
                )
            )
            for its, other in numbers.items()
            if everyone or (own - 1) // 2 == (its - 1) // 2
        ]
    return [task.result() for task in tasks]


async def _measured(partner: str, asked: AbstractAsyncContextManager[Pairs[SharedHalf]]) -> Served:
    served = Served(partner, [], [])
    async with asked as pairs:
        async for share in pairs:
            served.times.append(share.delivered_at)
            served.bits.append(await share.qubit.measure())
    return served
