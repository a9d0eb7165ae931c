"""Trusted-node relay at one node: as origin, which finds a way and tries others; as relay; and as target.

A relay answers when the next node has answered, so the origin hears from the target itself, or from the hop that could
not serve and why. Then it bars that hop and sends other bytes another way: what has gone half a way is never used.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from nodes.errors import ProtocolViolation
from nodes.keys.errors import (
    BlockRepeated,
    CargoTampered,
    KeysExhausted,
    PeerUnreachable,
    RelayFailed,
    UnitsUnknown,
)
from nodes.keys.held import Claim
from nodes.keys.messages import AskLevel, Level
from nodes.keys.relay import (
    FAILURES,
    MAX_CARGO_BYTES,
    Cargo,
    HopLevel,
    Relay,
    Relayed,
    hop_to,
    pad_bytes,
    seal,
    split,
    unseal,
)
from nodes.keys.routes import Hop, find_route, hops
from nodes.keys.secret import Secret
from nodes.keys.site import Site
from nodes.keys.units import Held, PoolLevel, units_for

_REMEMBERED = 1024  # answers to relays, for requests that arrive again
_TRIES = 16


Parcel: TypeAlias = tuple[Secret, Cargo]
"""Bytes and what shall become of them."""


class Sent(NamedTuple):
    """What has arrived at the target, and whether key made with the lab's seed protected it anywhere."""

    content: Secret
    cargo: Cargo
    reproducible: bool


class Relaying:
    """Sends, carries on and receives relayed keys."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._levels: dict[Hop, int] = {}
        self._silent: set[str] = set()
        self._answers: OrderedDict[tuple[str, str], asyncio.Future[Relayed]] = OrderedDict()
        self._under_way: set[str] = set()

    def is_under_way(self, block: str) -> bool:
        """Tell whether this node is sending a block of this name now."""
        return block in self._under_way

    async def send(
        self, target: str, size: int, draw: Callable[[], Parcel], *, direct: bool = False, around: bool = True
    ) -> Sent:
        """Bring ``size`` bytes to ``target``; return those that arrived.

        ``draw`` makes them anew for every try, so that what a failed one has left behind is not used. ``direct``: a
        pool shared with the target may serve, ``around``: so may trusted nodes. Raises ``RelayFailed``.
        """
        barred: set[Hop] = set()
        reason = "no QKD links lead there" if around else "the pool shared with it holds too little"
        for _ in range(_TRIES):
            way = self._way(target, size, barred, direct, around)
            if way is None:
                break
            content, cargo = draw()
            self._under_way.add(cargo.block)
            try:
                outcome = await self._pass_on(self._blank(way, cargo), content)
            finally:
                self._under_way.discard(cargo.block)
            self._learn(outcome)
            if not outcome.failure:
                return Sent(content, cargo, outcome.reproducible)
            reason = f"from '{outcome.near}' to '{outcome.far}': {FAILURES.get(outcome.failure, 'unknown')}"
            self._site.observe(
                "relay-failed",
                {"target": target, "near": outcome.near, "far": outcome.far, "why": outcome.failure},
            )
            barred |= self._useless(outcome, way)
        raise RelayFailed(target, reason)

    def can_reach(self, target: str) -> bool:
        """Tell whether QKD links lead to ``target`` over other nodes."""
        own: Hop = (self._site.node, target)
        return find_route(self._site.network.links, *own, {}, {own}) is not None

    def outgoing(self, target: str) -> PoolLevel:
        """Return the pool whose key would carry a relay for ``target`` out of this node; it is empty where none can.

        How much key the hops further on have is not known here.
        """
        way = self._way(target, 0, set(), direct=False, around=True)
        return PoolLevel("", 0, 0, 0) if way is None else self._site.store.level(way[1])

    async def answer(self, sender: str, relay: Relay) -> Relayed:
        """Carry on or keep what came over a hop; the same request again has the same answer, at the same time."""
        place = sender, relay.request
        if (known := self._answers.get(place)) is not None:
            return await asyncio.shield(known)
        future: asyncio.Future[Relayed] = asyncio.get_running_loop().create_future()
        self._answers[place] = future
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        outcome = Relayed(failure="lost", near=self._site.node, far=self._site.node)
        try:
            outcome = await self._serve(sender, relay)
        finally:
            future.set_result(outcome)
        return outcome

    async def _serve(self, sender: str, relay: Relay) -> Relayed:
        site = self._site
        place = hop_to(relay, site.node, sender)
        if not place:
            return Relayed(failure="refused", near=sender, far=site.node)
        try:
            content = self._open(sender, relay)
        except UnitsUnknown:
            return Relayed(failure="mismatch", near=sender, far=site.node)
        except CargoTampered:
            site.observe("relay-tampered", {"request": relay.request, "peer": sender})
            return Relayed(failure="tampered", near=sender, far=site.node)
        try:
            if place == len(relay.route) - 1:
                return self._keep(relay, content)
            if site.thief is not None:
                site.thief(relay.request, content)
            return await self._pass_on(relay, content)
        finally:
            content.wipe()

    def _open(self, sender: str, relay: Relay) -> Secret:
        if not 0 < len(relay.masked) <= MAX_CARGO_BYTES:
            raise CargoTampered(f"relay {relay.request} is not of a length that can be")
        size = pad_bytes(len(relay.masked))
        if len(relay.units) != units_for(size):
            raise CargoTampered(f"relay {relay.request} names another number of units than it takes")
        return unseal(relay, self._site.store.redeem(sender, relay.units, size).secret)

    def _keep(self, relay: Relay, content: Secret) -> Relayed:
        """Store or hold what has arrived at its target."""
        site, origin, cargo = self._site, relay.route[0], relay.cargo
        refused = Relayed(failure="refused", near=relay.route[-2], far=site.node)
        if cargo.block:
            try:
                site.store.deposit(
                    origin, cargo.block, content.reveal(), "relay", relay.reproducible, ready=False
                )
            except BlockRepeated:
                return refused
        elif not self._hold(origin, relay, content):
            return refused
        site.observe("relay-received", {"request": relay.request, "origin": origin, "bytes": len(content)})
        return Relayed(relay.reproducible)

    def _hold(self, origin: str, relay: Relay, content: Secret) -> bool:
        site, cargo, saes = self._site, relay.cargo, self._site.network.saes
        served = saes.get(cargo.master_sae) == origin and all(
            saes.get(sae) == site.node for sae in cargo.slave_saes
        )
        if not served or cargo.size < 1 or len(cargo.key_ids) * cargo.size != len(content):
            return False
        keys = [
            Held(key_id, key, relay.reproducible)
            for key_id, key in zip(cargo.key_ids, split(content, cargo.size), strict=True)
        ]
        claim = Claim(origin, cargo.master_sae, cargo.slave_saes, site.clock.now())
        return site.store.hold(keys, claim, site.limits.max_held)

    async def _pass_on(self, relay: Relay, content: Secret) -> Relayed:
        """Send the content over the next hop of its way."""
        site = self._site
        place = relay.route.index(site.node)
        far = relay.route[place + 1]
        patience = len(relay.route) - 1 - place
        try:
            await self._probe(far)
            (pad,) = site.store.take(far, pad_bytes(len(content)), newest=site.takes_newest(far))
            sealed = seal(relay, content, pad)
            outcome = await site.ask(far, sealed, Relayed, patience)
        except KeysExhausted:
            outcome = Relayed(failure="exhausted", near=site.node, far=far)
        except (PeerUnreachable, ProtocolViolation):
            self._silent.add(far)
            outcome = Relayed(failure="unreachable", near=site.node, far=far)
        if not outcome.failure:
            site.observe("relay-forwarded", {"request": relay.request, "peer": far, "bytes": len(content)})
        level = HopLevel(site.node, far, site.store.level(far).units)
        return replace(outcome, levels=(level, *outcome.levels))

    async def _probe(self, far: str) -> None:
        """Ask a node that was silent last time whether it is back, before key is spent on it."""
        if far in self._silent:
            await self._site.ask(far, AskLevel(), Level)
            self._silent.discard(far)

    def _blank(self, way: tuple[str, ...], cargo: Cargo) -> Relay:
        return Relay(self._site.draw_id(), way, cargo, self._site.seeded, (), b"")

    def _way(
        self, target: str, size: int, barred: set[Hop], direct: bool, around: bool
    ) -> tuple[str, ...] | None:
        hop: Hop = (self._site.node, target)
        own = dict.fromkeys(
            ((self._site.node, near) for near in self._site.network.links.get(self._site.node, ())), 0
        )
        own |= {(self._site.node, level.pool): level.units for level in self._site.store.levels()}
        if direct and hop not in barred and own.get(hop, 0) >= units_for(pad_bytes(size)):
            return hop
        if not around:
            return None
        return find_route(self._site.network.links, *hop, self._levels | own, {*barred, hop})

    def _useless(self, outcome: Relayed, way: tuple[str, ...]) -> set[Hop]:
        """Tell which hops not to try again: all to a node that does not answer, or the one that failed."""
        hop = (outcome.near, outcome.far)
        if outcome.failure == "unreachable" and outcome.far != way[-1]:
            links = self._site.network.links
            return {hop, *((near, outcome.far) for near in links), *((outcome.far, far) for far in links)}
        return {hop} if hop in hops(way) else set(hops(way))

    def _learn(self, outcome: Relayed) -> None:
        self._levels |= {(level.near, level.far): level.units for level in outcome.levels}
