"""A program for the tests of the network's physics: every pair that it delivers, with its state and its times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from nodes.ports import Clock, Qubit, Referee, Rounds
from nodes.requests import Network, Terms


@dataclass(frozen=True, slots=True)
class Given:
    """One end's part of a pair, and the times of its request, of its oldest herald and of its delivery here."""

    pair: str
    half: Qubit
    asked_at: float
    heralded_at: float
    delivered_at: float
    path: tuple[str, ...]


async def alice(
    network: Network,
    clock: Clock,
    rounds: Rounds,
    number: int = 0,
    min_fidelity: float = 0.0,
    order: str = "asap",
    purify: str = "",
    window: int = 4,
    cutoff: float = 0.0,
) -> AsyncIterator[Given]:
    """Request ``rounds`` pairs, ``number`` at a time or all at once, and give each up as soon as it is there."""
    terms = Terms(min_fidelity=min_fidelity, order=order, purify=purify, window=window, cutoff=cutoff or None)
    for _ in range(rounds // (number or rounds)):
        asked_at = clock.now()
        async with network.request("bob", number or rounds, terms) as pairs:
            async for share in pairs:
                yield Given(
                    share.pair, share.qubit, asked_at, share.heralded_at, share.delivered_at, share.path
                )


async def bob(network: Network, clock: Clock, rounds: Rounds, number: int = 0) -> AsyncIterator[Given]:
    """Accept them."""
    for _ in range(rounds // (number or rounds)):
        asked_at = clock.now()
        async with network.accept("alice") as pairs:
            async for share in pairs:
                yield Given(
                    share.pair, share.qubit, asked_at, share.heralded_at, share.delivered_at, share.path
                )


async def referee(oracle: Referee, alice: Any, bob: Any) -> dict[str, float]:
    """Tell the density matrix: real and imaginary part of each of its 16 elements."""
    assert alice["pair"] == bob["pair"]
    rho = await oracle.density_matrix([alice["half"], bob["half"]])
    parts = [part for element in rho.ravel() for part in (element.real, element.imag)]
    return {str(index): part for index, part in enumerate(parts)}


def summarise(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Tell all of all pairs."""
    return {f"{number}/{index}": part for number, parts in enumerate(rounds) for index, part in parts.items()}
