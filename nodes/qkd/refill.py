"""Put back into the reserves what authentication has used up, before anything of a block's key is released.

::

    Alice                                             Bob
      |--- Refill: bytes for each of the reserves ---->|  when the key is final
      both put the first bytes back and release the rest

One end decides because a conversation that goes on meanwhile, as the next block's sifting does, may have tags under
way: then the two ends count what is missing differently. The bits are those of both, and no bit goes two ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodes.errors import ProtocolViolation
from nodes.ports import Peer
from nodes.qkd.key import Key
from nodes.qkd.reserve import UNIT_BYTES, AuthenticationReserve, split_for_reserve

SHORTEST_REST = 8 * UNIT_BYTES
"""256 bits: shorter is what no pads could be made of, and no key of AES-256 either."""


@dataclass(frozen=True, slots=True)
class Refill:
    """How many bytes of the key go into each reserve, in their order. Sent when the key is final."""

    amounts: tuple[int, ...]


async def refill_as_alice(key: Key, reserves: Sequence[AuthenticationReserve], bob: Peer) -> Key:
    """Fill the reserves, the first one first, and tell Bob; return the rest of the key, which may be released.

    A rest of less than ``SHORTEST_REST`` is given up: it has no bits when the key did not make all reserves full.
    """
    amounts, left = [], len(key) // 8
    for reserve in reserves:
        amounts.append(min(reserve.needed(), left // UNIT_BYTES * UNIT_BYTES))
        left -= amounts[-1]
    await bob.send(Refill(tuple(amounts)))
    return _divided(key, reserves, amounts)


async def refill_as_bob(key: Key, reserves: Sequence[AuthenticationReserve], alice: Peer) -> Key:
    """Fill the reserves as Alice says; return the rest of the key, which may be released."""
    amounts = (await alice.receive(Refill)).amounts
    possible = all(amount >= 0 and amount % UNIT_BYTES == 0 for amount in amounts)
    if not possible or len(amounts) != len(reserves) or 8 * sum(amounts) > len(key):
        raise ProtocolViolation(
            f"{alice.name} puts {amounts} bytes back, which a key of {len(key)} bits does not give to "
            f"{len(reserves)} reserves"
        )
    return _divided(key, reserves, amounts)


def _divided(key: Key, reserves: Sequence[AuthenticationReserve], amounts: Sequence[int]) -> Key:
    reserved, released = split_for_reserve(key, sum(amounts))
    for reserve, amount in zip(reserves, amounts, strict=True):
        reserve.refill(reserved[:amount])
        reserved = reserved[amount:]
    return released if len(released) >= SHORTEST_REST else Key(released.bits()[:0])
