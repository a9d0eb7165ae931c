"""How pools are filled: blocks are confirmed at both ends before either takes from them, and levels are kept up.

    deposit  a block of key of a link comes in; the peer deposits the same one
    settle   Announce: "known" lets both ends take from it. Where key is hybrid, the end whose name comes first in the
             alphabet asks for an exchange, and what results is settled in its turn
    refill   settle what is left over, then relay or exchange until the pools of the configured pairs are full enough

Whatever is lost is tried again by the next ``refill``; what only one end has is dropped there.
"""

from __future__ import annotations

import asyncio

from nodes.errors import ProtocolViolation
from nodes.keys.errors import BlockRepeated, ExchangeRefused, PeerUnreachable, RelayFailed, UnitsUnknown
from nodes.keys.exchanging import Exchanging, hybrid_name, is_raw
from nodes.keys.messages import Announce, Announced
from nodes.keys.relay import MAX_CARGO_BYTES, Cargo
from nodes.keys.relaying import Parcel, Relaying
from nodes.keys.secret import Secret
from nodes.keys.site import Pair, Site
from nodes.keys.units import UNIT_BYTES, Block, Origin

_SETTLED_AT_ONCE = 64


class Filling:
    """The incoming side of one node's pools. ``stirred`` is set when a ``refill`` has something new to do."""

    def __init__(self, site: Site, relaying: Relaying, exchanging: Exchanging) -> None:
        self.stirred = asyncio.Event()
        self._site = site
        self._relaying = relaying
        self._exchanging = exchanging

    async def deposit(self, peer: str, block: str, key: bytes, origin: Origin, reproducible: bool) -> int:
        """Store a block and settle it with the peer, if it answers; return the number of units."""
        units = self._site.store.deposit(peer, block, key, origin, reproducible, ready=False)
        self._site.observe(
            "block-deposited", {"peer": peer, "block": block, "units": units, "origin": origin}
        )
        await self.settle(peer, block)
        return units

    async def refill(self) -> None:
        """Settle what is left over, drop what waits too long, and fill the pools of the configured pairs."""
        self.stirred.clear()
        site, now = self._site, self._site.clock.now()
        if expired := site.store.expire(now - site.limits.hold_seconds, now):
            site.observe("keys-expired", {"keys": expired})
        for block in site.store.unconfirmed()[:_SETTLED_AT_ONCE]:
            await self._settle(block)
        for peer, pair in site.pairs.items():
            if site.node < peer:  # one end fills, for both
                await self._fill(peer, pair)

    def announced(self, sender: str, request: Announce) -> Announced:
        """Say what is known here of a block that a peer has, and let it be taken from."""
        store = self._site.store
        found = store.find(sender, request.block)
        if found is None:
            coming = self._relaying.is_under_way(request.block) or self._exchanging.is_under_way(
                request.block
            )
            return Announced("pending" if coming else "unknown")
        if found.deposited != request.units:
            self._drop(found, "different")
            return Announced("different")
        if is_raw(found, self._site.pair(sender)):
            self.stirred.set()
        elif not found.ready:
            store.confirm(sender, request.block)
        return Announced("known")

    async def settle(self, peer: str, name: str) -> None:
        """Settle the block of this name, unless that has been done."""
        block = self._site.store.find(peer, name)
        if block is not None and not block.ready:
            await self._settle(block)

    async def _settle(self, block: Block) -> None:
        raw = is_raw(block, self._site.pair(block.pool))
        try:
            if raw and self._site.node < block.pool:
                await self._combine(block)
            else:
                await self._announce(block, raw)
        except PeerUnreachable:
            self._site.observe("peer-unreachable", {"peer": block.pool})
        except (ExchangeRefused, ProtocolViolation, BlockRepeated, UnitsUnknown) as refusal:
            self._site.observe("refused", {"peer": block.pool, "block": block.block, "why": str(refusal)})

    async def _announce(self, block: Block, raw: bool) -> None:
        answer = await self._site.ask(block.pool, Announce(block.block, block.deposited), Announced)
        if answer.state == "known" and not raw:
            self._site.store.confirm(block.pool, block.block)
            self._site.observe("block-confirmed", {"peer": block.pool, "block": block.block})
        elif answer.state == "different" or (answer.state == "unknown" and block.origin != "qkd"):
            self._drop(block, answer.state)  # a link's peer may be late; any other had it first

    async def _combine(self, block: Block) -> None:
        state = await self._exchanging.combine(block)
        if state == "done":
            await self.settle(block.pool, hybrid_name(block.block))
        elif state != "unknown" or block.origin != "qkd":
            self._drop(block, state)

    async def _fill(self, peer: str, pair: Pair) -> None:
        site = self._site
        while True:
            level = site.store.level(peer)
            units = min(pair.batch, pair.low_water - level.units - level.unconfirmed)
            if units <= 0:
                return
            try:
                if pair.source == "pqc":
                    name = await self._exchanging.make_block(peer, units)
                else:
                    name = await self._relay(peer, min(units, MAX_CARGO_BYTES // UNIT_BYTES))
            except (PeerUnreachable, RelayFailed, ExchangeRefused, ProtocolViolation) as failure:
                site.observe("refill-failed", {"peer": peer, "why": str(failure)})
                return
            await self.settle(peer, name)

    async def _relay(self, peer: str, units: int) -> str:
        """Share a random block with a peer over trusted nodes and return its name."""
        site, size = self._site, units * UNIT_BYTES

        def draw() -> Parcel:
            return Secret(site.coin.secret(size)), Cargo(block=f"relay/{site.draw_id()}")

        sent = await self._relaying.send(peer, size, draw)
        site.store.deposit(
            peer, sent.cargo.block, sent.content.reveal(), "relay", sent.reproducible, ready=False
        )
        sent.content.wipe()
        return sent.cargo.block

    def _drop(self, block: Block, why: str) -> None:
        units = self._site.store.discard(block.pool, block.block)
        self._site.observe(
            "block-dropped", {"peer": block.pool, "block": block.block, "units": units, "why": why}
        )
