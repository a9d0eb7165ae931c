"""One key at two nodes: the master's key manager takes units, the slave's reserves the same ones.

    1. master  takes units from its end of the pool: they are deleted, and nobody has the key yet
    2. master  -> slave   Reserve: key ids and units; the slave deletes the units and holds the keys
    3. slave   -> master  Reserved: those it cannot hold, and why
    4. master  delivers what is reserved, and takes other units for the rest

The deletion at the slave decides. Units that it refuses are dropped at both ends; when its answer is lost, the master
puts its units back and delivers nothing, and if they were reserved after all they will be refused next time. So no
unit serves two keys, whatever is lost, repeated or reordered, and a peer that is down drains no pool. Both ends may
take at once: they take from different ends of the pool, and where they meet both refuse, and try others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from nodes.errors import ProtocolViolation
from nodes.keys.errors import KeysExhausted, KeysUnavailable, PeerUnreachable, UnknownSae
from nodes.keys.held import Claim
from nodes.keys.messages import RefusedKey, Reserve, Reserved, Withdraw, Withdrawn
from nodes.keys.service import DeliveredKey
from nodes.keys.site import Site
from nodes.keys.units import Refusal, ReservedKey, Taken

_ROUNDS = 16  # of taking other units; one is enough unless the pool is nearly empty or was damaged


@dataclass(slots=True)
class Wanted:
    """Keys of ``size`` bytes for a master here and slaves at ``node``; ``got`` are reserved there."""

    node: str
    master_sae: str
    slave_saes: tuple[str, ...]
    number: int
    size: int
    got: list[DeliveredKey] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Count the keys that are not reserved yet."""
        return self.number - len(self.got)


class Reserving:
    """The master's and the slave's part at one node."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def draw_key_id(self) -> str:
        """Draw the UUID of a key."""
        return str(UUID(bytes=self._site.coin.unique(16), version=4))

    async def obtain(self, wanted: Wanted) -> None:
        """Fill ``wanted.got`` from the pool shared with its node.

        Raises ``KeysUnavailable``; what was reserved by then is in ``got`` and must be used or withdrawn.
        """
        site = self._site
        for _ in range(_ROUNDS):
            if not wanted.missing:
                return
            taken = site.store.take(
                wanted.node,
                wanted.size,
                wanted.missing,
                newest=site.takes_newest(wanted.node),
                reproducible_too=site.reproducible_too,
            )
            await self._reserve(wanted, {self.draw_key_id(): key for key in taken})
        if wanted.missing:
            raise KeysExhausted(wanted.node, wanted.missing, site.store.level(wanted.node).units)

    async def withdraw(self, node: str, key_ids: Sequence[str]) -> None:
        """Let a node drop keys that no master gets. One that does not answer drops them when they are too old."""
        if key_ids:
            try:
                await self._site.ask(node, Withdraw(tuple(key_ids)), Withdrawn)
            except (PeerUnreachable, ProtocolViolation):
                self._site.observe("withdrawal-unanswered", {"peer": node, "keys": len(key_ids)})

    def reserve(self, sender: str, request: Reserve) -> Reserved:
        """Hold what another node's master asks for."""
        site, saes = self._site, self._site.network.saes
        served = saes.get(request.master_sae) == sender and request.slave_saes
        if not served or any(saes.get(slave) != site.node for slave in request.slave_saes):
            return Reserved(tuple(RefusedKey(key.key_id, Refusal.NOT_SERVED) for key in request.keys))
        claim = Claim(sender, request.master_sae, request.slave_saes, site.clock.now())
        refused = site.store.reserve(request.keys, request.size, claim, site.limits.max_held)
        site.observe("keys-reserved", {"peer": sender, "keys": len(request.keys) - len(refused)})
        for key_id, why in refused.items():
            site.observe("key-refused", {"peer": sender, "key_id": key_id, "why": str(why)})
        units = {key.key_id: key for key in request.keys}
        return Reserved(
            tuple(
                RefusedKey(
                    key_id, why, self._unknown(sender, units[key_id]) if why is Refusal.UNKNOWN_BLOCK else ()
                )
                for key_id, why in refused.items()
            )
        )

    def drop(self, sender: str, request: Withdraw) -> Withdrawn:
        """Drop what another node had reserved and takes back."""
        count = self._site.store.withdraw(sender, request.key_ids, self._site.clock.now())
        self._site.observe("keys-withdrawn", {"peer": sender, "keys": count})
        return Withdrawn(count)

    async def _reserve(self, wanted: Wanted, taken: dict[str, Taken]) -> None:
        keys = tuple(ReservedKey(key_id, key.units) for key_id, key in taken.items())
        request = Reserve(wanted.master_sae, wanted.slave_saes, wanted.size, keys)
        try:
            answer = await self._site.ask(wanted.node, request, Reserved)
        except (PeerUnreachable, ProtocolViolation):
            self._site.store.restore(wanted.node, list(taken.values()))
            raise
        refused = {key.key_id: key for key in answer.refused if key.key_id in taken}
        wanted.got += [
            DeliveredKey(key_id, key.secret, key.reproducible)
            for key_id, key in taken.items()
            if key_id not in refused
        ]
        self._drop_refused(wanted, taken, refused)

    def _drop_refused(self, wanted: Wanted, taken: dict[str, Taken], refused: dict[str, RefusedKey]) -> None:
        """Drop what the peer does not have, put back what it has not touched and complain."""
        site = self._site
        untouched = {Refusal.FULL.value, Refusal.NOT_SERVED.value}
        site.store.restore(wanted.node, [taken[i] for i, key in refused.items() if key.why in untouched])
        for key_id, key in refused.items():
            if key.why in untouched:
                continue
            units = len(taken[key_id].units)
            site.observe("units-dropped", {"peer": wanted.node, "units": units, "why": key.why})
            for block in {unit.block for unit in taken[key_id].units} & set(key.blocks):
                dropped = site.store.discard(wanted.node, block)
                site.observe("block-dropped", {"peer": wanted.node, "block": block, "units": dropped})
        reasons = {key.why for key in refused.values()}
        if Refusal.NOT_SERVED.value in reasons:
            raise UnknownSae(", ".join(wanted.slave_saes))
        if Refusal.FULL.value in reasons:
            raise KeysUnavailable(f"too many keys wait at node '{wanted.node}' to be collected")

    def _unknown(self, pool: str, key: ReservedKey) -> tuple[str, ...]:
        """Name the blocks of a refused key that were never deposited here, or with fewer units."""
        blocks = {unit.block: self._site.store.find(pool, unit.block) for unit in key.units}
        return tuple(
            sorted(
                {
                    unit.block
                    for unit in key.units
                    if (block := blocks[unit.block]) is None or unit.index >= block.deposited
                }
            )
        )
