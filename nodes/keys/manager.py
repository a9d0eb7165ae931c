"""The key manager of one node (a KME of ETSI GS QKD 014 V1.1.1): delivers to applications what its store shares.

SAE 1 ──get_key──> KME of the master ══ plane ══> KME of the slave <──get_key_with_ids── SAE 2
                    nodes.keys.delivering: which of the two ways a key takes
                    nodes.keys.reserving:  the same units at both ends, or other ones
                    nodes.keys.relaying:   a fresh key, one-time padded, over trusted nodes
links ──deposit──>  nodes.keys.filling, nodes.keys.exchanging: what comes in
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nodes.identity import Identity
from nodes.keys.delivering import Delivering
from nodes.keys.errors import KeyRequestInvalid, NotEntitled, UnknownSae
from nodes.keys.exchange import KemOffer
from nodes.keys.exchanging import Exchanging
from nodes.keys.filling import Filling
from nodes.keys.messages import Announce, AskLevel, Declined, Level, Reserve, Withdraw
from nodes.keys.plane import KeyPlane
from nodes.keys.relay import Relay
from nodes.keys.relaying import Relaying
from nodes.keys.reserving import Reserving
from nodes.keys.service import DeliveredKey, KeyStatus, Limits
from nodes.keys.site import KeyNetwork, Observer, Pair, Site, Thief
from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES, Origin, PoolLevel, units_for
from nodes.ports import Clock, Coin


def unobserved(event: str, fields: Mapping[str, object]) -> None:
    """Take no notice of an event."""


class KeyManager:
    """Serves the applications registered for ``node`` and answers the key managers of other nodes.

    ``pairs`` are by peer. ``seeded``: the coin is a stream of the lab's seed. Without ``reproducible_too`` no key made
    with it is delivered. ``identity`` is needed for pairs of source pqc and hybrid. ``thief`` sits in this node and
    reads what it relays.
    """

    def __init__(
        self,
        node: str,
        store: KeyStore,
        plane: KeyPlane,
        network: KeyNetwork,
        *,
        clock: Clock,
        coin: Coin,
        limits: Limits | None = None,
        pairs: Mapping[str, Pair] | None = None,
        observe: Observer = unobserved,
        seeded: bool = False,
        reproducible_too: bool = True,
        identity: Identity | None = None,
        thief: Thief | None = None,
    ) -> None:
        self.node = node
        self.limits = limits or Limits()
        self._site = Site(
            node,
            store,
            plane,
            network,
            clock,
            coin,
            self.limits,
            pairs or {},
            observe,
            seeded,
            reproducible_too,
            identity,
            thief,
        )
        self._reserving = Reserving(self._site)
        self._relaying = Relaying(self._site)
        self._exchanging = Exchanging(self._site)
        self._delivering = Delivering(self._site, self._reserving, self._relaying)
        self._filling = Filling(self._site, self._relaying, self._exchanging)

    @property
    def stirred(self) -> asyncio.Event:
        """Is set when ``refill`` has something new to do; ``refill`` clears it."""
        return self._filling.stirred

    async def get_key(
        self, master_sae: str, slave_saes: Sequence[str], number: int = 1, size: int | None = None
    ) -> list[DeliveredKey]:
        """Deliver ``number`` fresh keys of ``size`` bits (None: the default) to the master; slaves can collect them.

        Raises ``KeyRequestInvalid`` (``UnknownSae``), ``NotEntitled`` when the master is not served by this node,
        ``KeysUnavailable`` (``KeysExhausted``, ``Reproducible``, ``PeerUnreachable``, ``RelayFailed``).
        """
        size = self.limits.key_size if size is None else size
        self._check(master_sae, slave_saes, number, size)
        keys = await self._delivering.deliver(master_sae, slave_saes, number, size // 8)
        self._site.observe(
            "keys-delivered",
            {"master": master_sae, "slaves": tuple(slave_saes), "keys": number, "size": size},
        )
        return keys

    async def get_key_with_ids(
        self, slave_sae: str, master_sae: str, key_ids: Sequence[str]
    ) -> list[DeliveredKey]:
        """Deliver to a slave the keys that ``master_sae`` was given under these ids: all of them, once, or none.

        Raises ``UnknownKeyIds``, ``NotEntitled`` or ``KeyRequestInvalid``.
        """
        self._check_served(slave_sae)
        if not 0 < len(key_ids) <= self.limits.max_key_per_request:
            raise KeyRequestInvalid(
                f"{len(key_ids)} keys are asked for; from 1 to {self.limits.max_key_per_request} can be"
            )
        now = self._site.clock.now()
        released = self._site.store.release(list(dict.fromkeys(key_ids)), master_sae, slave_sae, now)
        self._site.observe(
            "keys-collected", {"slave": slave_sae, "master": master_sae, "keys": len(released)}
        )
        return [DeliveredKey(key.key_id, key.secret, key.reproducible) for key in released]

    def status(self, master_sae: str, slave_sae: str) -> KeyStatus:
        """Tell how many keys there are for two applications. Raises ``UnknownSae`` or ``NotEntitled``.

        Counted are those in the pool of the two nodes and, where trusted nodes may relay others, those that this node
        has key enough to send off: as pad, and a unit each for the tag.
        """
        self._check_served(master_sae)
        target, limits = self._node_of(slave_sae), self.limits
        each = units_for(limits.key_size // 8)
        stored, reproducible = self._site.store.level(target).keys(each)
        if target == self.node:  # keys are drawn when they are asked for
            stored, reproducible = limits.max_key_count, limits.max_key_count if self._site.seeded else 0
        elif self._site.trusts_relays(target):
            relayed, seeded = self._relaying.outgoing(target).keys(each + 1)
            stored, reproducible = stored + relayed, reproducible + (relayed if self._site.seeded else seeded)
        return KeyStatus(
            source_kme=self.node,
            target_kme=target,
            master_sae=master_sae,
            slave_sae=slave_sae,
            key_size=limits.key_size,
            stored_key_count=stored,
            max_key_count=limits.max_key_count,
            max_key_per_request=limits.max_key_per_request,
            max_key_size=limits.max_key_size,
            min_key_size=limits.min_key_size,
            max_sae_id_count=limits.max_sae_ids,
            reproducible_key_count=reproducible,
        )

    async def deposit(
        self, peer: str, block: str, key: bytes, *, origin: Origin = "qkd", reproducible: bool = False
    ) -> int:
        """Take in a block of key that ``peer`` deposits under the same name; return the number of its units.

        It can be used when both have it. Raises ``BlockRepeated``, ``StoreUnusable``.
        """
        return await self._filling.deposit(peer, block, key, origin, reproducible)

    async def settle(self, peer: str, block: str) -> None:
        """Let a block be taken from if ``peer`` has it, too; where key is hybrid, see to the exchange.

        What cannot be settled now, ``refill`` tries again. Raises ``StoreUnusable``.
        """
        await self._filling.settle(peer, block)

    async def refill(self) -> None:
        """Do what is left over and fill the pools of the configured pairs: now and then, and when stirred."""
        await self._filling.refill()

    def levels(self) -> list[PoolLevel]:
        """Tell what is stored, by peer."""
        return self._site.store.levels()

    def room(self, peer: str) -> int:
        """Tell how many bytes of key the pool may still take in; a link that finds none should pause."""
        level = self._site.store.level(peer)
        capacity = self.limits.max_key_count * units_for(self.limits.key_size // 8)
        return max(0, capacity - level.units - level.unconfirmed) * UNIT_BYTES

    async def answer(self, sender: str, request: object) -> object:
        """Answer another key manager; ``sender`` is certain to be who asks. The same request has the same answer."""
        match request:
            case Reserve():
                return self._reserving.reserve(sender, request)
            case Withdraw():
                return self._reserving.drop(sender, request)
            case Announce():
                return self._filling.announced(sender, request)
            case AskLevel():
                return Level(self._site.store.level(sender).units)
            case Relay():
                return await self._relaying.answer(sender, request)
            case KemOffer():
                return self._exchanging.answer(sender, request)
        return Declined(f"a {type(request).__name__} is no request to a key manager")

    def _check(self, master_sae: str, slave_saes: Sequence[str], number: int, size: int) -> None:
        """Make sure that the limits allow what is asked for, before any key is touched."""
        limits = self.limits
        self._check_served(master_sae)
        for sae in slave_saes:
            self._node_of(sae)
        if not slave_saes or len(slave_saes) > 1 + limits.max_sae_ids:
            raise KeyRequestInvalid(
                f"a key is for 1 to {1 + limits.max_sae_ids} slaves, not {len(slave_saes)}"
            )
        if len({master_sae, *slave_saes}) != 1 + len(slave_saes):
            raise KeyRequestInvalid("master and slaves of a key are different applications, each named once")
        if not 1 <= number <= limits.max_key_per_request:
            raise KeyRequestInvalid(
                f"1 to {limits.max_key_per_request} keys are delivered at once, not {number}"
            )
        if size % 8:
            raise KeyRequestInvalid("size shall be a multiple of 8")
        if not limits.min_key_size <= size <= limits.max_key_size:
            raise KeyRequestInvalid(
                f"a key has {limits.min_key_size} to {limits.max_key_size} bits, not {size}"
            )

    def _check_served(self, sae: str) -> None:
        if self._site.network.saes.get(sae) != self.node:
            raise NotEntitled(f"the key manager of node '{self.node}' does not serve application '{sae}'")

    def _node_of(self, sae: str) -> str:
        if (node := self._site.network.saes.get(sae)) is None:
            raise UnknownSae(sae)
        return node
