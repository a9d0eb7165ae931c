"""Calls for keys that come at the same time are answered at the price of one.

A key is handed out when its deletion is on the disks of both ends, so a call costs a write to each and a message each
way. Calls of one application for the same partners and size differ in their number only: who comes while one of them
is being served waits, and those that have waited are served together.

    1. call  ─┐  served at once
    2. call  ─┼─────────┐
    3. call  ─┼─────────┤  served together when 1 is done; one by one where there are not enough keys for all of them
    4. call  ─┘ ────────┘

Who has just been answered asks again in a moment, so as many as came together last time are waited for: half as long
as it took to serve them, and 5 ms at most. A lonely caller waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, Protocol, TypeVar

from nodes.keys.errors import KeyManagementError, KeysExhausted, NotEntitled, UnknownKeyIds
from nodes.keys.service import DeliveredKey, KeyStatus, Limits

WantT = TypeVar("WantT")

_MOST_QUEUES: Final = 256
_LONGEST_PATIENCE: Final = 0.005


class Keys(Protocol):
    """What delivers keys: a ``nodes.keys.manager.KeyManager``, or ``BatchedKeys`` around one."""

    limits: Limits

    async def get_key(
        self, master_sae: str, slave_saes: Sequence[str], number: int, size: int
    ) -> list[DeliveredKey]:
        """Deliver keys to the master."""

    async def get_key_with_ids(
        self, slave_sae: str, master_sae: str, key_ids: Sequence[str]
    ) -> list[DeliveredKey]:
        """Deliver the same keys to a slave."""

    def status(self, master_sae: str, slave_sae: str) -> KeyStatus:
        """Tell what is stored."""


class BatchedKeys:
    """``keys``, whose concurrent callers are served together. Returns and raises what ``keys`` does."""

    def __init__(self, keys: Keys) -> None:
        self.limits = keys.limits
        self._keys = keys
        self._masters: dict[Hashable, _Queue[int]] = {}
        self._slaves: dict[Hashable, _Queue[Sequence[str]]] = {}

    async def get_key(
        self, master_sae: str, slave_saes: Sequence[str], number: int, size: int
    ) -> list[DeliveredKey]:
        """Deliver keys to the master."""
        saes = tuple(slave_saes)

        async def serve(numbers: Sequence[int]) -> list[DeliveredKey]:
            return await self._keys.get_key(master_sae, saes, sum(numbers), size)

        def fit(numbers: Sequence[int]) -> bool:
            return sum(numbers) <= self.limits.max_key_per_request

        topic = master_sae, saes, size
        queue = _queue_in(self._masters, topic, lambda: _Queue(serve, fit, (KeysExhausted,)))
        return await queue.join(number, number)

    async def get_key_with_ids(
        self, slave_sae: str, master_sae: str, key_ids: Sequence[str]
    ) -> list[DeliveredKey]:
        """Deliver the same keys to a slave. A key that two calls ask for goes to the first."""

        async def serve(wanted: Sequence[Sequence[str]]) -> list[DeliveredKey]:
            ids = [key_id for each in wanted for key_id in each]
            return await self._keys.get_key_with_ids(slave_sae, master_sae, ids)

        def fit(wanted: Sequence[Sequence[str]]) -> bool:
            ids = [key_id for each in wanted for key_id in each]
            return len(set(ids)) == len(ids) <= self.limits.max_key_per_request

        topic = slave_sae, master_sae
        queue = _queue_in(self._slaves, topic, lambda: _Queue(serve, fit, (UnknownKeyIds, NotEntitled)))
        return await queue.join(key_ids, len(key_ids))

    def status(self, master_sae: str, slave_sae: str) -> KeyStatus:
        """Tell what is stored."""
        return self._keys.status(master_sae, slave_sae)


def _queue_in(
    queues: dict[Hashable, _Queue[WantT]], topic: Hashable, make: Callable[[], _Queue[WantT]]
) -> _Queue[WantT]:
    """Return the queue of a topic; forget those where nobody waits when there are many."""
    if topic not in queues:
        if len(queues) >= _MOST_QUEUES:
            for idle in [each for each, queue in queues.items() if queue.is_idle()]:
                del queues[idle]
        queues[topic] = make()
    return queues[topic]


@dataclass(eq=False, slots=True)
class _Place(Generic[WantT]):
    """A call that waits: what it wants, how many keys that is, and what has come of it."""

    want: WantT
    count: int
    keys: list[DeliveredKey] | None = None
    error: KeyManagementError | None = None


class _Queue(Generic[WantT]):
    """Calls that ``serve`` can serve together if they ``fit``. An error ``of_one`` is that of one of them only."""

    def __init__(
        self,
        serve: Callable[[Sequence[WantT]], Awaitable[list[DeliveredKey]]],
        fit: Callable[[Sequence[WantT]], bool],
        of_one: tuple[type[KeyManagementError], ...],
    ) -> None:
        self._serve = serve
        self._fit = fit
        self._of_one = of_one
        self._lock = asyncio.Lock()
        self._waiting: list[_Place[WantT]] = []
        self._together, self._patience = 1, 0.0
        self._complete = asyncio.Event()

    def is_idle(self) -> bool:
        """Tell whether nobody waits."""
        return not self._waiting

    async def join(self, want: WantT, count: int) -> list[DeliveredKey]:
        """Wait for one's turn; serve those at the head of the queue, unless others have served them meanwhile."""
        place = _Place(want, count)
        self._waiting.append(place)
        if len(self._waiting) >= self._together:
            self._complete.set()
        try:
            async with self._lock:  # whose waiters are in the order of the places
                if place in self._waiting:
                    await self._gather()
                    await self._serve_head()
        finally:
            if place in self._waiting:  # cancelled, or a failure that is none of key management
                self._waiting.remove(place)
        if place.error is not None:
            raise place.error
        assert place.keys is not None
        return place.keys

    async def _gather(self) -> None:
        """Let those come along who come at the same moment, and those who came together last time."""
        await asyncio.sleep(0)
        if len(self._waiting) < self._together:
            self._complete.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await self._complete.wait()

    async def _serve_head(self) -> None:
        head, loop = self._head(), asyncio.get_running_loop()
        began = loop.time()
        await self._settle(head)
        self._together = len(head)
        self._patience = min((loop.time() - began) / 2, _LONGEST_PATIENCE)

    def _head(self) -> list[_Place[WantT]]:
        """Return as many from the head of the queue as fit together, at least one."""
        head: list[_Place[WantT]] = []
        for place in self._waiting:
            if head and not self._fit([*(each.want for each in head), place.want]):
                break
            head.append(place)
        return head

    async def _settle(self, places: list[_Place[WantT]]) -> None:
        try:
            keys = iter(await self._serve([place.want for place in places]))
        except KeyManagementError as error:
            if isinstance(error, self._of_one) and len(places) > 1:
                for place in places:
                    await self._settle([place])
                return
            for place in places:
                place.error = error
        else:
            for place in places:
                place.keys = list(islice(keys, place.count))
        self._waiting = [place for place in self._waiting if place not in places]
