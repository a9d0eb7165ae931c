"""Which way a key takes to the master and to every slave; the master has it when all slaves' nodes hold it.

slaves at one other node   units of the pool shared with it (nodes.keys.reserving); when it holds too little, a fresh
                           key relayed over trusted nodes (nodes.keys.relaying)
slaves at several nodes    a fresh key, relayed to each, where there is one over the pool shared with it
slaves at this node        hold the same key here; when there are no others, it is a fresh one that no link knows

Where the key of a pair is to be hybrid or post-quantum, no trusted node gets one for it: it comes from its pool or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from nodes.errors import ProtocolViolation
from nodes.keys.errors import KeyManagementError, KeysExhausted, KeysUnavailable, Reproducible
from nodes.keys.held import Claim
from nodes.keys.relay import MAX_CARGO_BYTES, Cargo, split
from nodes.keys.relaying import Parcel, Relaying, Sent
from nodes.keys.reserving import Reserving, Wanted
from nodes.keys.secret import Secret
from nodes.keys.service import DeliveredKey
from nodes.keys.site import Site
from nodes.keys.units import Held


class Delivering:
    """Makes keys for masters of this node."""

    def __init__(self, site: Site, reserving: Reserving, relaying: Relaying) -> None:
        self._site = site
        self._reserving = reserving
        self._relaying = relaying

    async def deliver(
        self, master_sae: str, slave_saes: Sequence[str], number: int, size: int
    ) -> list[DeliveredKey]:
        """Return keys of ``size`` bytes that all slaves can collect. Raises ``KeysUnavailable``; then none can."""
        by_node: dict[str, tuple[str, ...]] = {}
        for sae in slave_saes:
            node = self._site.network.saes[sae]
            by_node[node] = (*by_node.get(node, ()), sae)
        here = by_node.pop(self._site.node, ())
        if len(by_node) == 1:
            ((node, saes),) = by_node.items()
            keys = await self._share(Wanted(node, master_sae, saes, number, size))
        else:
            keys = await self._draw(master_sae, by_node, number, size)
        if here:
            await self._hold(keys, master_sae, here, by_node)
        return keys

    async def _share(self, wanted: Wanted) -> list[DeliveredKey]:
        """Get keys from the pool shared with one node, and what it lacks over trusted nodes."""
        try:
            try:
                await self._reserving.obtain(wanted)
            except KeysExhausted:
                if not (self._site.trusts_relays(wanted.node) and self._relaying.can_reach(wanted.node)):
                    raise
                await self._relay_missing(wanted)
        except (KeyManagementError, ProtocolViolation) as failure:
            await self._reserving.withdraw(wanted.node, [key.key_id for key in wanted.got])
            if isinstance(failure, ProtocolViolation):
                raise KeysUnavailable(str(failure)) from failure
            raise
        return wanted.got

    async def _relay_missing(self, wanted: Wanted) -> None:
        for number in _portions(wanted.missing, wanted.size):

            def draw(number: int = number) -> Parcel:
                return self._parcel(wanted.master_sae, wanted.slave_saes, number, wanted.size)

            sent = await self._relaying.send(wanted.node, number * wanted.size, draw)
            wanted.got += _keys_of(sent)
            self._check_secrecy(sent.reproducible, wanted.node)

    async def _draw(
        self, master_sae: str, by_node: Mapping[str, tuple[str, ...]], number: int, size: int
    ) -> list[DeliveredKey]:
        """Draw keys at this node and bring them to all others."""
        keys: list[DeliveredKey] = []
        for portion in _portions(number, size):
            content, blank = self._parcel(master_sae, (), portion, size)
            reproducible = self._site.seeded
            for node, saes in by_node.items():
                cargo = Cargo("", blank.key_ids, size, master_sae, saes)
                try:
                    sent = await self._relaying.send(
                        node,
                        len(content),
                        partial(_same, content, cargo),
                        direct=True,
                        around=self._site.trusts_relays(node),
                    )
                    self._check_secrecy(sent.reproducible, node)
                except KeysUnavailable:
                    ids = [*(key.key_id for key in keys), *blank.key_ids]
                    await self._withdraw(by_node, ids)
                    raise
                reproducible = reproducible or sent.reproducible
            keys += _keys_of(Sent(content, blank, reproducible))
        if not by_node:
            self._check_secrecy(self._site.seeded, self._site.node)
        return keys

    async def _hold(
        self,
        keys: Sequence[DeliveredKey],
        master_sae: str,
        here: tuple[str, ...],
        by_node: Mapping[str, object],
    ) -> None:
        """Let keys wait for slaves of this node."""
        claim = Claim(self._site.node, master_sae, here, self._site.clock.now())
        held = [Held(key.key_id, key.secret, key.reproducible) for key in keys]
        if not self._site.store.hold(held, claim, self._site.limits.max_held):
            await self._withdraw(by_node, [key.key_id for key in keys])
            raise KeysUnavailable(f"too many keys wait at node '{self._site.node}' to be collected")

    async def _withdraw(self, by_node: Mapping[str, object], key_ids: Sequence[str]) -> None:
        for node in by_node:
            await self._reserving.withdraw(node, key_ids)

    def _parcel(self, master_sae: str, slave_saes: tuple[str, ...], number: int, size: int) -> Parcel:
        ids = tuple(self._reserving.draw_key_id() for _ in range(number))
        return Secret(self._site.coin.secret(number * size)), Cargo("", ids, size, master_sae, slave_saes)

    def _check_secrecy(self, reproducible: bool, node: str) -> None:
        if reproducible and not self._site.reproducible_too:
            raise Reproducible(node)


def _same(content: Secret, cargo: Cargo) -> Parcel:
    """Return the same parcel at every try: other nodes have it by then, under the same ids."""
    return content, cargo


def _keys_of(sent: Sent) -> list[DeliveredKey]:
    secrets = split(sent.content, sent.cargo.size)
    return [
        DeliveredKey(key_id, secret, sent.reproducible)
        for key_id, secret in zip(sent.cargo.key_ids, secrets, strict=True)
    ]


def _portions(number: int, size: int) -> Iterator[int]:
    """Divide so many keys of ``size`` bytes into what one relay carries."""
    most = max(1, MAX_CARGO_BYTES // size)
    for start in range(0, number, most):
        yield min(most, number - start)
