"""What the parts of one node's key manager share: its store, its place in the network, its ports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from nodes.errors import ProtocolViolation
from nodes.identity import Identity
from nodes.keys.messages import Declined
from nodes.keys.plane import KeyPlane
from nodes.keys.secret import Secret
from nodes.keys.service import Limits
from nodes.keys.store import KeyStore
from nodes.ports import Clock, Coin

AnswerT = TypeVar("AnswerT")

Source: TypeAlias = Literal["qkd", "pqc", "hybrid"]
"""Key of links and trusted nodes; of ML-KEM alone; or of both, combined."""

Observer: TypeAlias = Callable[[str, Mapping[str, object]], None]
"""Called with the name of an event and its fields, none of which holds a byte of a key."""

Thief: TypeAlias = Callable[[str, Secret], None]
"""Called with a relay's request and its content: what whoever has broken into this trusted node reads there."""


@dataclass(frozen=True, slots=True)
class Pair:
    """How a pool shared with one peer is filled. Both ends have the same values.

    ``low_water``: keep so many units, by relay or by ML-KEM, in steps of at most ``batch``; 0 leaves the pool to what
    is deposited. ``parameters`` of ML-KEM, where ``source`` uses it.
    """

    source: Source = "qkd"
    low_water: int = 0
    batch: int = 256
    parameters: str = "ML-KEM-768"


@dataclass(frozen=True, slots=True)
class KeyNetwork:
    """What every key manager knows of the others: which node serves an application (SAE), which QKD links there are."""

    saes: Mapping[str, str]
    links: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """One node. ``seeded``: its coin is a stream of the lab's seed, so that keys drawn from it are reproducible."""

    node: str
    store: KeyStore
    plane: KeyPlane
    network: KeyNetwork
    clock: Clock
    coin: Coin
    limits: Limits
    pairs: Mapping[str, Pair]
    observe: Observer
    seeded: bool
    reproducible_too: bool
    identity: Identity | None
    thief: Thief | None

    def takes_newest(self, peer: str) -> bool:
        """Tell from which end of the pool shared with ``peer`` this node takes."""
        return takes_newest(self.node, peer)

    def pair(self, peer: str) -> Pair:
        """Return how the pool shared with a peer is filled."""
        return self.pairs.get(peer, Pair())

    def trusts_relays(self, peer: str) -> bool:
        """Tell whether trusted nodes may know the key shared with a peer; post-quantum key is for the ends alone."""
        return self.pair(peer).source == "qkd"

    def draw_id(self) -> str:
        """Draw a name that never comes again."""
        return self.coin.unique(16).hex()

    async def ask(self, node: str, request: object, kind: type[AnswerT], patience: int = 1) -> AnswerT:
        """Ask another node for an answer of ``kind``. Raises ``PeerUnreachable``, ``ProtocolViolation``."""
        answer = await self.plane.ask(node, request, patience)
        if isinstance(answer, kind):
            return answer
        asked = type(request).__name__
        if isinstance(answer, Declined):
            raise ProtocolViolation(f"node '{node}' declines a {asked}: {answer.reason}")
        raise ProtocolViolation(f"node '{node}' answers a {asked} with a {type(answer).__name__}")


def takes_newest(node: str, peer: str) -> bool:
    """Tell from which end of the pool that it shares with ``peer`` a node takes: the two take from different ends."""
    return node > peer
