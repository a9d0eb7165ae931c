"""The ``SharedKeys`` of a role: this node's key store, seen by somebody who has keys with one peer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nodes.errors import ProgramInvalid
from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES
from nodes.qkd.bits import packed
from nodes.qkd.key import Key
from nodes.shared_keys import KeyTicket, TakenKey

Settle = Callable[[str, str], Awaitable[None]]
"""Asks a peer whether it has a block, and lets the block be taken from then."""


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """The pool of ``peer`` in ``store``; what is put in is marked as ``reproducible`` where all dice have a seed.

    ``newest``: this end takes from the newest blocks and the peer from the oldest, so that both can at once. ``settle``
    stands for who makes keys while others use them: nobody takes of a block before the peer has it. Without it, a block
    can be taken from at once, which is for who knows that the peer stores it before it hears of it.
    """

    store: KeyStore
    peer: str
    reproducible: bool
    newest: bool = False
    settle: Settle | None = None

    async def put(self, block: str, key: Key) -> int:
        """Store a fresh key under the name of its block; bits that fill no unit are dropped, alike at both ends."""
        whole = packed(key.bits())[: len(key) // 8]
        deposit = partial(self.store.deposit, ready=self.settle is None)
        stored = await asyncio.to_thread(deposit, self.peer, block, whole, "qkd", self.reproducible)
        if self.settle is not None:
            await self.settle(self.peer, block)
        return 8 * UNIT_BYTES * stored

    async def take(self, bits: int) -> TakenKey:
        """Take a key of so many bits out of the store."""
        take = partial(self.store.take, newest=self.newest)
        [taken] = await asyncio.to_thread(take, self.peer, _bytes(bits))
        return TakenKey(_key(taken.secret.reveal()), KeyTicket(taken.units))

    async def redeem(self, ticket: KeyTicket, bits: int) -> Key:
        """Take the key that the peer has taken."""
        taken = await asyncio.to_thread(self.store.redeem, self.peer, ticket.units, _bytes(bits))
        return _key(taken.secret.reveal())

    async def stored_bits(self) -> int:
        """Tell how many bits are in store."""
        levels = await asyncio.to_thread(self.store.levels)
        return sum(8 * UNIT_BYTES * level.units for level in levels if level.pool == self.peer)


def _bytes(bits: int) -> int:
    if bits < 8 or bits % 8:
        raise ProgramInvalid(f"a key of {bits} bits cannot be taken; ask for a multiple of 8")
    return bits // 8


def _key(secret: bytes) -> Key:
    return Key(np.unpackbits(np.frombuffer(secret, dtype=np.uint8)))
