"""What a lab that is up tells of its keys: for each node, what it shares with each other one, and where it delivers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.key_access import KmeAddress
from deploy.key_links import KeyLinkStatus, LinkEnds
from deploy.plan import NodePlan, Plan
from nodes.keys.service import Limits
from nodes.keys.units import UNIT_BYTES, units_for

_COUNTS = ("delivered", "stolen")


@dataclass(frozen=True, slots=True)
class KeyPool:
    """What ``node`` has in store to share with ``peer``.

    ``stored_units`` of 32 bytes, ``reproducible_units`` of them made with the lab's seed; ``delivered_keys`` since the
    lab is up. ``origins``: where the stored key comes from, among qkd, relay, pqc, hybrid. ``sae``: the applications
    that the node serves, at ``kme_url``; None when it serves none. ``qber`` and ``secret_rate_bps`` are of the last
    block on the link between the two, None when there is none; ``trouble`` says why that makes no keys. ``alarms``
    counts its blocks that were refused for their errors. ``read_bytes``: of the keys that the node has relayed so many
    bytes were read by who has broken into it.
    """

    node: str
    peer: str
    origins: Sequence[str]
    stored_units: int
    stored_bits: int
    reproducible_units: int
    delivered_keys: int
    sae: Sequence[str] = ()
    kme_url: str | None = None
    qber: float | None = None
    secret_rate_bps: float | None = None
    trouble: str = ""
    alarms: int = 0
    read_bytes: int = 0


@dataclass(slots=True)
class KeyLevels:
    """What nodes have ``told`` of their keys, by node; what a node has delivered is counted over all its processes."""

    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    _before: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, node: str, told: Mapping[str, Any]) -> None:
        """Take what a node tells."""
        counts = {name: self._before[node, name] + told.get(name, 0) for name in _COUNTS}
        self.told[node] = dict(told) | counts

    def filled(self, plan: Plan, link: LinkEnds) -> float:
        """Tell how full the fuller one of a link's two stores is: 1 where it has as many keys as may be in it."""
        ends = ((link.sender, link.receiver), (link.receiver, link.sender))
        return max(self._units(node, peer) / _capacity(plan.nodes[node]) for node, peer in ends)

    def _units(self, node: str, peer: str) -> int:
        levels = self.told.get(node, {}).get("pools", ())
        return sum(level["units"] + level["unconfirmed"] for level in levels if level["pool"] == peer)

    def begin_again(self, node: str) -> None:
        """Go on from the counts so far: the node's next process begins with none."""
        for name in _COUNTS:
            self._before[node, name] = self.told.get(node, {}).get(name, 0)


def _capacity(node: NodePlan) -> int:
    """Return how many units a pool of this node may have."""
    limits = node.key_service.limits if node.key_service else Limits()
    return limits.max_key_count * units_for(limits.key_size // 8)


def pools(
    plan: Plan,
    told: Mapping[str, Mapping[str, Any]],
    links: Sequence[KeyLinkStatus],
    addresses: Mapping[str, KmeAddress],
) -> list[KeyPool]:
    """Return what nodes have ``told``, with the figures of the links between them; empty pools of links, too.

    A node that serves applications and has neither shares empty pools with the other ones that do.
    """
    by_ends = {frozenset((link.sender, link.receiver)): link for link in links}
    found = []
    for node in plan.nodes:
        levels = {level["pool"]: level for level in told.get(node, {}).get("pools", ())}
        peers = {end.peer for end in plan.nodes[node].links if end.qkd.continuous} | set(levels)
        address = addresses.get(node)
        if address and not peers:
            peers = set(addresses) - {node}
        for peer in sorted(peers):
            level, link = levels.get(peer, {}), by_ends.get(frozenset((node, peer)))
            units = level.get("units", 0)
            found.append(
                KeyPool(
                    node=node,
                    peer=peer,
                    origins=tuple(level.get("origins", ())),
                    stored_units=units,
                    stored_bits=8 * UNIT_BYTES * units,
                    reproducible_units=level.get("reproducible", 0),
                    delivered_keys=told.get(node, {}).get("delivered", 0),
                    sae=address.saes if address else (),
                    kme_url=address.url if address else None,
                    qber=link.qber if link else None,
                    secret_rate_bps=link.secret_rate_bps if link else None,
                    trouble=link.trouble if link else "",
                    alarms=link.alarms if link else 0,
                    read_bytes=told.get(node, {}).get("stolen", 0),
                )
            )
    return found
