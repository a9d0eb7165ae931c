"""Key managers in one event loop, on a faulty network, with links that deposit the same key at both ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import shake_256

from nodes.identity import Identity
from nodes.keys.manager import KeyManager
from nodes.keys.plane import Faults, InMemoryNetwork
from nodes.keys.secret import Secret
from nodes.keys.service import DeliveredKey, Limits
from nodes.keys.site import KeyNetwork, Pair
from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES
from nodes.runtime.coin import make_coin

KEK = bytes(range(32))


def key_of_units(units: int, name: str = "key") -> bytes:
    """Make so many units of key, all different."""
    return shake_256(name.encode()).digest(UNIT_BYTES * units)


@dataclass
class HandClock:
    """A clock that a test sets."""

    time: float = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, duration: float) -> None:
        self.time += duration


class KeyLab:
    """Nodes named by their links; each serves an application ``<node>-app``.

    ``events`` are (node, event, fields); ``stolen`` what the thief in a node has read there.
    """

    def __init__(
        self,
        links: Mapping[str, Collection[str]],
        *,
        seed: int = 1,
        faults: Faults | None = None,
        pairs: Mapping[tuple[str, str], Pair] | None = None,
        limits: Limits | None = None,
        thieves: Collection[str] = (),
        reproducible_too: bool = True,
        seeded: bool = False,
    ) -> None:
        nodes = sorted({*links, *(far for fars in links.values() for far in fars)})
        self.network = InMemoryNetwork(make_coin(seed, "plane"), faults or Faults())
        self.clock = HandClock()
        self.events: list[tuple[str, str, Mapping[str, object]]] = []
        self.stolen: list[bytes] = []
        self.stores = {node: KeyStore(None, KEK) for node in nodes}
        seeds = {node: shake_256(node.encode()).digest(32) for node in nodes}
        publics = {node: Identity.public_key_of(seeds[node]) for node in nodes}
        known = KeyNetwork({f"{node}-app": node for node in nodes}, links)
        self.managers: dict[str, KeyManager] = {}
        for node in nodes:
            self.managers[node] = KeyManager(
                node,
                self.stores[node],
                self.network.plane(node),
                known,
                clock=self.clock,
                coin=make_coin(seed, "keys", node),
                limits=limits or Limits(max_key_per_request=16),
                pairs=_pairs_of(node, pairs or {}),
                observe=lambda event, fields, node=node: self.events.append((node, event, fields)),  # type: ignore[misc]
                seeded=seeded,
                reproducible_too=reproducible_too,
                identity=Identity(node, seeds[node], publics),
                thief=self._steal if node in thieves else None,
            )
            self.network.attach(node, self.managers[node])

    def close(self) -> None:
        """Close all stores."""
        for store in self.stores.values():
            store.close()

    def share(
        self, near: str, far: str, units: int, block: str = "block", *, reproducible: bool = False
    ) -> None:
        """Let a link have made a block that both ends know to be there."""
        key = key_of_units(units, f"{near}{far}{block}")
        self.stores[near].deposit(far, block, key, "qkd", reproducible)
        self.stores[far].deposit(near, block, key, "qkd", reproducible)

    def levels(self, near: str, far: str) -> tuple[int, int]:
        """Tell how many units either end can take of their pool."""
        return self.stores[near].level(far).units, self.stores[far].level(near).units

    def events_named(self, name: str) -> list[tuple[str, Mapping[str, object]]]:
        """List the events of one name, with their nodes."""
        return [(node, fields) for node, event, fields in self.events if event == name]

    async def get(self, master: str, *slaves: str, number: int = 1, size: int = 256) -> list[DeliveredKey]:
        """Get keys as the application of a node, for those of others."""
        saes = [f"{slave}-app" for slave in slaves]
        return await self.managers[master].get_key(f"{master}-app", saes, number, size)

    async def collect(self, slave: str, master: str, keys: Sequence[DeliveredKey]) -> list[Secret]:
        """Let the application of ``slave`` collect what that of ``master`` was given."""
        ids = [key.key_id for key in keys]
        collected = await self.managers[slave].get_key_with_ids(f"{slave}-app", f"{master}-app", ids)
        assert [key.key_id for key in collected] == ids
        return [key.secret for key in collected]

    def _steal(self, request: str, content: Secret) -> None:
        self.stolen.append(content.reveal())


def _pairs_of(node: str, pairs: Mapping[tuple[str, str], Pair]) -> dict[str, Pair]:
    return {far if node == near else near: pair for (near, far), pair in pairs.items() if node in (near, far)}


LINK: Mapping[str, Collection[str]] = {"alice": ["bob"]}
LINK_ENDS = (("alice", "bob"), ("bob", "alice"))
STAR: Mapping[str, Collection[str]] = {"hub": ["alice", "bob", "charlie"]}

MakeLab = Callable[..., KeyLab]
