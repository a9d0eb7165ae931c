"""The keys that a node has in store with one peer, as a role sees them: makers put them in, users take them.

::

    Alice                                Bob
      take(256)  -> key, ticket
      |--- ticket, in any message -------->|
                                           redeem(ticket, 256) -> the same key

A ticket names a key and tells nothing of it. Both ends delete what was taken before anybody gets it, so no key
is handed out twice; what only one end has taken is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from nodes.keys.units import Unit
from nodes.qkd.key import Key


@dataclass(frozen=True, slots=True)
class KeyTicket:
    """Where a key lies at both ends: the units it is cut from. Not secret."""

    units: tuple[Unit, ...]


class TakenKey(NamedTuple):
    """A key that nobody else has or gets but the peer who redeems the ticket."""

    key: Key
    ticket: KeyTicket


class SharedKeys(Protocol):
    """Keys shared with one peer. Annotate a parameter with it: ``bob_keys: SharedKeys``."""

    async def put(self, block: str, key: Key) -> int:
        """Store a fresh key under the name of its block, which both ends must know it by; return how many bits.

        Raises ``BlockRepeated`` when a block of this name has been stored before.
        """

    async def take(self, bits: int) -> TakenKey:
        """Take a key of so many bits, a multiple of 8, out of the store. Raises ``KeysExhausted``."""

    async def redeem(self, ticket: KeyTicket, bits: int) -> Key:
        """Take the key that the peer has taken. Raises ``UnitsUnknown`` when it is not here, or was taken before."""

    async def stored_bits(self) -> int:
        """Tell how many bits are in store."""
