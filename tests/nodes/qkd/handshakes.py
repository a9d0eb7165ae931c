"""The two roles of a handshake that begins an epoch, ready to be played."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nodes.identity import Identity
from nodes.ports import Coin, Peer
from nodes.qkd.epochs import Acceptance, Confirmation, Epoch, EpochTerms, Offer, begin_as_alice, begin_as_bob
from nodes.runtime.coin import make_coin

Converse = Callable[..., Awaitable[tuple[Any, Any]]]
Identities = dict[str, Identity]
Tamper = Callable[[str, int, Any], Sequence[object]]

TERMS = EpochTerms(lab="metro", link="alice-bob", pads=4)
MESSAGES = (Offer, Acceptance, Confirmation)


def coin() -> Coin:
    return make_coin(7, "epoch")


def alices(identity: Identity, terms: EpochTerms = TERMS) -> Callable[[Peer], Awaitable[Epoch]]:
    return lambda bob: begin_as_alice(bob, identity, terms, coin())


def bobs(identity: Identity, terms: EpochTerms = TERMS) -> Callable[[Peer], Awaitable[Epoch]]:
    return lambda alice: begin_as_bob(alice, identity, terms, coin())
