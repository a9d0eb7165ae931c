"""The network service for a program that acts by itself: its requests are made when the other program is connected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from nodes.requests import Pairs, SharedHalf, SharedHalves, SharedOutcomes, Terms
from nodes.runtime.visiting import Acquaintance

ShareT = TypeVar("ShareT")


@dataclass(frozen=True, slots=True)
class OpenNetwork:
    """A ``nodes.requests.Network`` in which the other end is named by its node; ``meet`` waits until it is there."""

    others: tuple[str, ...]
    meet: Callable[[str], Awaitable[Acquaintance]]

    def request(
        self,
        role: str,
        number: int = 1,
        terms: Terms = Terms(),  # noqa: B008
    ) -> AbstractAsyncContextManager[Pairs[SharedHalf]]:
        """Ask for pairs to be kept."""
        return self._with(role, lambda met: met.requests.request(role, number, terms))

    def request_batches(
        self,
        role: str,
        number: int,
        batch: int,
        terms: Terms = Terms(),  # noqa: B008
    ) -> AbstractAsyncContextManager[Pairs[SharedHalves]]:
        """Ask for batches of pairs."""
        return self._with(role, lambda met: met.requests.request_batches(role, number, batch, terms))

    def request_outcomes(
        self,
        role: str,
        number: int,
        bases: str = "ZX",
        batch: int = 1,
        terms: Terms = Terms(),  # noqa: B008
    ) -> AbstractAsyncContextManager[Pairs[SharedOutcomes]]:
        """Ask for pairs that either end measures at once."""
        return self._with(role, lambda met: met.requests.request_outcomes(role, number, bases, batch, terms))

    def accept(self, role: str) -> AbstractAsyncContextManager[Pairs[SharedHalf]]:
        """Accept the next request for pairs."""
        return self._with(role, lambda met: met.acceptances.accept(role))

    def accept_batches(self, role: str) -> AbstractAsyncContextManager[Pairs[SharedHalves]]:
        """Accept the next request for batches."""
        return self._with(role, lambda met: met.acceptances.accept_batches(role))

    def accept_outcomes(
        self, role: str, bases: str = "ZX"
    ) -> AbstractAsyncContextManager[Pairs[SharedOutcomes]]:
        """Accept the next request for outcomes."""
        return self._with(role, lambda met: met.acceptances.accept_outcomes(role, bases))

    @asynccontextmanager
    async def _with(self, other: str, ask: Callable[[Acquaintance], object]) -> AsyncIterator[Pairs[ShareT]]:
        pairs = ask(await self.meet(other))
        async with pairs as shares:  # type: ignore[attr-defined]
            yield shares
