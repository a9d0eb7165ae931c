"""Two nodes with many requests for pairs in flight, whose pairs they measure in Z: equal bits show that they are
pairs.
"""

from __future__ import annotations

import asyncio

import numpy as np

from nodes.ports import Bits
from nodes.requests import Network, Terms

_Z = 0


async def alice(
    network: Network, requests: int = 8, number: int = 25, batch: int = 1, window: int = 4
) -> list[str]:
    """Make ``requests`` at a time, each for ``number`` units of ``batch`` pairs; return the bits by request."""
    async with asyncio.TaskGroup() as group:
        bits = [
            group.create_task(_singles(network, number, window))
            if batch == 1
            else group.create_task(_batches(network, number, batch, window))
            for _ in range(requests)
        ]
    return [task.result() for task in bits]


async def bob(network: Network, requests: int = 8, batch: int = 1) -> list[str]:
    """Accept all; return the bits by request."""
    async with asyncio.TaskGroup() as group:
        bits = [
            group.create_task(_accepted(network))
            if batch == 1
            else group.create_task(_accepted_batches(network))
            for _ in range(requests)
        ]
    return [task.result() for task in bits]


async def _singles(network: Network, number: int, window: int) -> str:
    async with network.request("bob", number, Terms(window=window)) as pairs:
        return "".join([str(await share.qubit.measure()) async for share in pairs])


async def _accepted(network: Network) -> str:
    async with network.accept("alice") as pairs:
        return "".join([str(await share.qubit.measure()) async for share in pairs])


async def _batches(network: Network, number: int, batch: int, window: int) -> str:
    async with network.request_batches("bob", number, batch, Terms(window=window)) as pairs:
        return "".join([_text(await share.halves.measure(_all_z(batch))) async for share in pairs])


async def _accepted_batches(network: Network) -> str:
    async with network.accept_batches("alice") as pairs:
        return "".join(
            [_text(await share.halves.measure(_all_z(len(share.halves)))) async for share in pairs]
        )


def _all_z(count: int) -> Bits:
    return np.full(count, _Z, dtype=np.uint8)


def _text(bits: Bits) -> str:
    return "".join(map(str, bits.tolist()))
