"""A key that two roles share: from the stores of their nodes, or made by QKD when there is none.

::

    Alice                                                     Bob
      |--- 1 UnderKey: where the key lies, or that there is none -->|
      |=== 2 where there is none: they make one by QKD =============|  over the link between them
      |--- 3 UnderKey: where the key lies now --------------------->|

A ticket that somebody alters leads Bob to another key or to none: whoever uses the key finds out, and nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nodes.errors import ProgramInvalid, ProtocolViolation
from nodes.keys.errors import KeysExhausted
from nodes.ports import Clock, Coin, Peer, QuantumLink, SharedSecret
from nodes.qkd import pipeline
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.distillation import Distilled
from nodes.qkd.key import Key
from nodes.qkd.report import QkdReport
from nodes.shared_keys import KeyTicket, SharedKeys, TakenKey

KEY_BITS = 256


@dataclass(frozen=True, slots=True)
class UnderKey:
    """The key for what comes: its ticket, or None when there is none and one must be made."""

    ticket: KeyTicket | None


@dataclass(frozen=True, slots=True)
class Line:
    """What connects a role with a neighbour: ``keys`` in store, and what new ones are made with, where there is a link.

    ``pulses`` are spent on a new key, 0 as many as fill the link's block.
    """

    keys: SharedKeys
    link: QuantumLink | None
    secret: SharedSecret | None
    coin: Coin
    clock: Clock
    pulses: int = 0


class Agreed(NamedTuple):
    """A key, None when it was refused; and how it was made, None when it was in store."""

    key: Key | None
    report: QkdReport | None


async def agree_as_alice(bob: Peer, line: Line, *, fresh: bool = False) -> Agreed:
    """Take a key and tell Bob; make one with him when there is none in store, or in any case when it is to be fresh."""
    taken = None if fresh else await _taken(line.keys)
    await bob.send(UnderKey(taken.ticket if taken else None))
    if taken is not None:
        return Agreed(taken.key, None)
    link, secret = _means(bob, line)
    peer = AuthenticatedPeer(bob, secret, role="alice", peer_role="bob")
    made = await pipeline.make_key_as_alice(peer, link, line.coin, line.clock, link.agreement, line.pulses)
    report = await stored(made, line.keys, secret.session)
    if made.key is None:
        return Agreed(None, report)
    taken = await line.keys.take(KEY_BITS)
    await bob.send(UnderKey(taken.ticket))
    return Agreed(taken.key, report)


async def agree_as_bob(alice: Peer, line: Line) -> Agreed:
    """Take the key that Alice has taken; make one with her when she says that there is none."""
    under = await alice.receive(UnderKey)
    report = None
    if under.ticket is None:
        link, secret = _means(alice, line)
        peer = AuthenticatedPeer(alice, secret, role="bob", peer_role="alice")
        made = await pipeline.make_key_as_bob(peer, link, line.coin, line.clock, link.agreement, line.pulses)
        report = await stored(made, line.keys, secret.session)
        if made.key is None:
            return Agreed(None, report)
        under = await alice.receive(UnderKey)
    if under.ticket is None:
        raise ProtocolViolation(f"{alice.name} has made a key and says that there is none")
    return Agreed(await line.keys.redeem(under.ticket, KEY_BITS), report)


async def stored(made: Distilled, keys: SharedKeys, block: str) -> QkdReport:
    """Store a key that was made, if it was, under the name of its block; return its report."""
    if made.key is not None:
        await keys.put(block, made.key)
    return made.report


async def _taken(keys: SharedKeys) -> TakenKey | None:
    try:
        return await keys.take(KEY_BITS)
    except KeysExhausted:
        return None


def _means(peer: Peer, line: Line) -> tuple[QuantumLink, SharedSecret]:
    if line.link is None or line.secret is None:
        raise ProgramInvalid(
            f"there is no key in store with '{peer.name}', or a fresh one is wanted, and no link to make it over; "
            "choose a neighbour, or write 'keys: {stock: 64}' in the lab file, which keeps relayed keys in store "
            "between nodes that serve applications ('bellwire keys ls' shows them)"
        )
    return line.link, line.secret
