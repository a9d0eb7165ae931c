"""Calls for keys that come at the same time are answered at the price of one.

A key is handed out when its deletion is on the disk at both ends, so a call costs two writes to disks and a message each
way. Calls of one application for the same partners and size differ in their number only: who comes while one of
them is being served waits, and those that have waited are served together.

    1. call  ─┐  served at once
    2. call  ─┼─────────┐
    3. call  ─┼─────────┤  served together when 1 is done: all or, where there are too few keys for all, one by one
    4. call  ─┘ ────────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

from nodes.keys.errors import KeyManagementError, KeysExhausted, NotEntitled, UnknownKeyIds
from nodes.keys.service import DeliveredKey, KeyStatus, Limits

WantT = TypeVar("WantT")


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
        self._numbers: dict[Hashable, _Queue[int]] = {}
        self._ids: dict[Hashable, _Queue[tuple[str, ...]]] = {}

    async def get_key(
        self, master_sae: str, slave_saes: Sequence[str], number: int, size: int
    ) -> list[DeliveredKey]:
        """Deliver keys to the master."""

        async def several(numbers: list[int]) -> list[DeliveredKey]:
            return await self._keys.get_key(master_sae, slave_saes, sum(numbers), size)

        topic = (master_sae, tuple(slave_saes), size)
        fits = self._numbers_fit
        return await _join(
            self._numbers, topic, number, several, fits, lambda number: number, (KeysExhausted,)
        )

    async def get_key_with_ids(
        self, slave_sae: str, master_sae: str, key_ids: Sequence[str]
    ) -> list[DeliveredKey]:
        """Deliver the same keys to a slave."""

        async def several(wanted: list[tuple[str, ...]]) -> list[DeliveredKey]:
            together = [key_id for ids in wanted for key_id in ids]
            return await self._keys.get_key_with_ids(slave_sae, master_sae, together)

        topic, alone = (slave_sae, master_sae), (UnknownKeyIds, NotEntitled)
        return await _join(self._ids, topic, tuple(key_ids), several, self._ids_fit, len, alone)

    def status(self, master_sae: str, slave_sae: str) -> KeyStatus:
        """Tell what is stored."""
        return self._keys.status(master_sae, slave_sae)

    def _numbers_fit(self, numbers: list[int]) -> bool:
        return sum(numbers) <= self.limits.max_key_per_request

    def _ids_fit(self, wanted: list[tuple[str, ...]]) -> bool:
        """Tell whether there are not too many, and none is wanted twice: a key goes to one call only."""
        together = [key_id for ids in wanted for key_id in ids]
        return len(together) == len(set(together)) <= self.limits.max_key_per_request
