"""As ``shared_demands``, with two parties more: Carol asks Dave."""

from __future__ import annotations

from nodes.ports import Clock
from nodes.requests import Network, Terms
from tests.nodes.runtime.shared_demands import Tale, _all, alice, bob

__all__ = ["alice", "bob", "carol", "dave"]


async def carol(
    network: Network, clock: Clock, late: float = 0.0, further: int = 10, further_within: float = 0.0
) -> list[Tale]:
    """Ask Dave for pairs after a while."""
    await clock.sleep(late)
    asked = network.request("dave", further, Terms(within=further_within or None))
    return await _all([asked], clock)


async def dave(network: Network, clock: Clock) -> list[Tale]:
    """Accept what Carol asks for."""
    return await _all([network.accept("carol")], clock)
