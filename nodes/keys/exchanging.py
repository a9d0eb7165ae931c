"""Post-quantum and hybrid blocks at one node: as initiator and as responder of an exchange by ML-KEM.

The responder stores its block before it answers, the initiator when it has the answer; neither block is taken from
before both ends know that the other has it. An offer without an answer stands: it is made again as it is, and answered
alike.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from nodes.identity import Identity
from nodes.keys.errors import BlockRepeated, ExchangeRefused, UnitsUnknown
from nodes.keys.exchange import Agreed, KemAnswer, KemOffer, PrivateKey, accept, finish, make_offer
from nodes.keys.hybrid import expanded_block, hybrid_block
from nodes.keys.messages import Announced, Declined
from nodes.keys.site import Pair, Site
from nodes.keys.units import Block

_REMEMBERED = 1024


def is_raw(block: Block, pair: Pair) -> bool:
    """Tell whether a block waits for an exchange before it may be used."""
    return pair.source == "hybrid" and block.origin in ("qkd", "relay")


class Exchanging:
    """Makes blocks with other nodes by ML-KEM."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._offers: dict[tuple[str, str], tuple[PrivateKey, KemOffer]] = {}
        self._answers: OrderedDict[str, tuple[KemOffer, KemAnswer]] = OrderedDict()

    def is_under_way(self, block: str) -> bool:
        """Tell whether this node has asked for the exchange that makes a block of this name."""
        return any(_name(offer) == block for _, offer in self._offers.values())

    async def make_block(self, peer: str, units: int) -> str:
        """Make a block of ML-KEM key with a peer and return its name.

        Raises ``ExchangeRefused``, ``PeerUnreachable``.
        """
        offer = await self._exchange(peer, "", units)
        if isinstance(offer, Announced):
            raise ExchangeRefused(f"node '{peer}' takes an exchange of its own for that of a block")
        return _name(offer)

    async def combine(self, block: Block) -> str:
        """Replace a block by the hybrid of it and an exchange with its peer.

        Return "done", or what the peer says of the block: "unknown" as yet, "spent" or "different". Raises as
        ``make_block``.
        """
        offer = await self._exchange(block.pool, block.block, block.deposited)
        return offer.state if isinstance(offer, Announced) else "done"

    def answer(self, sender: str, offer: KemOffer) -> KemAnswer | Announced | Declined:
        """Take part in an exchange; the same offer again has the same answer.

        ``Announced`` tells that the block to be combined is not here: not yet, or no longer.
        """
        if (known := self._answers.get(offer.exchange)) is not None and known[0] == offer:
            return known[1]
        site = self._site
        if (offer.initiator, offer.responder) != (sender, site.node):
            return Declined("the offer is not from its sender, or not for this node")
        pair = site.pair(sender)
        wanted = "hybrid" if offer.block else "pqc"
        if pair.source != wanted or pair.parameters != offer.parameters or not 0 < offer.units <= 1 << 20:
            return Declined(
                f"here the pool shared with '{sender}' is filled by {pair.source}, {pair.parameters}"
            )
        if offer.block and (missing := self._missing(sender, offer)):
            return Announced(missing)
        try:
            agreed, answer = accept(self._identity(), offer)
            self._store(sender, offer, agreed)
        except (ExchangeRefused, BlockRepeated, UnitsUnknown) as refusal:
            site.observe("exchange-refused", {"peer": sender, "exchange": offer.exchange})
            return Declined(str(refusal))
        self._answers[offer.exchange] = offer, answer
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return answer

    async def _exchange(self, peer: str, block: str, units: int) -> KemOffer | Announced:
        site = self._site
        if (peer, block) not in self._offers:
            parameters = site.pair(peer).parameters
            bare = KemOffer(site.draw_id(), site.node, peer, parameters, block, units, b"")
            self._offers[peer, block] = make_offer(self._identity(), bare)
        private_key, offer = self._offers[peer, block]
        answer = await site.plane.ask(peer, offer)
        if answer == Announced("unknown"):
            return answer  # and the offer stands: it may still arrive again when the peer has the block
        if self._offers.get((peer, block)) != (private_key, offer):
            return offer  # a task beside this one was first
        del self._offers[peer, block]
        match answer:
            case KemAnswer():
                self._store(peer, offer, finish(self._identity(), private_key, offer, answer))
                return offer
            case Announced():
                return answer
            case Declined():
                raise ExchangeRefused(f"node '{peer}' declines an exchange: {answer.reason}")
        raise ExchangeRefused(f"node '{peer}' answers an offer with a {type(answer).__name__}")

    def _store(self, peer: str, offer: KemOffer, agreed: Agreed) -> None:
        """Store what the exchange gives. Raises ``BlockRepeated``, ``UnitsUnknown``."""
        store = self._site.store
        if not offer.block:
            key = expanded_block(offer.units, agreed.secret, agreed.transcript)
            store.deposit(peer, _name(offer), key, "pqc", False, ready=False)
        elif (raw := store.find(peer, offer.block)) is None:
            raise UnitsUnknown(peer, offer.units, [offer.block])
        else:
            change = partial(hybrid_block, shared=agreed.secret, transcript=agreed.transcript)
            store.transform(raw, _name(offer), "hybrid", change)
        agreed.secret.wipe()
        self._site.observe("exchange-done", {"peer": peer, "block": _name(offer), "units": offer.units})

    def _missing(self, sender: str, offer: KemOffer) -> str:
        """Say why the block that an offer names cannot be combined here; "" when it can."""
        found = self._site.store.find(sender, offer.block)
        if found is None:
            return "unknown"
        if found.deposited != offer.units:
            return "different"
        return "" if found.units == found.deposited else "spent"

    def _identity(self) -> Identity:
        if self._site.identity is None:
            raise ExchangeRefused(
                f"node '{self._site.node}' has no identity key; give it one for pqc and hybrid keys"
            )
        return self._site.identity


def _name(offer: KemOffer) -> str:
    return hybrid_name(offer.block) if offer.block else f"pqc/{offer.exchange}"


def hybrid_name(block: str) -> str:
    """Return the name of what a block becomes when it is combined with the secret of an exchange."""
    return f"{block}+pqc"
