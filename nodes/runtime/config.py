"""What one node's process is told at its start: its own slice of the lab, and its credentials."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from math import inf

from nodes.agreement import LinkAgreement
from nodes.runtime.channel import Hop
from nodes.runtime.keys_config import KeysConfig
from shared_state.tls import TlsIdentity


@dataclass(frozen=True, slots=True)
class Access:
    """Where a server listens and the secret that this node shows there; with ``tls``, the certificate as well."""

    host: str
    port: int
    secret: str = field(repr=False)
    tls: TlsIdentity | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return what a connection is made with there, None where it is not secured."""
        return None if self.tls is None else self.tls.client_context()


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node.

    ``links`` maps each neighbour to the name of the link whose fibre carries photons to it, ``sources`` to the one
    that makes pairs with it; ``channels`` each reachable node to what a classical message passes on its way there;
    ``secrets`` each neighbour to the secret shared with it, in hexadecimal. ``shortest_delay``: the shortest classical
    delay of any link of the lab in seconds, with which the lag of a real-time lab is compared.
    ``seed`` None takes the dice from the operating system. ``pair_links``: all links whose pairs are stored, by
    name, with who is at the other end; ``memories``: how many this node has, and
    ``cutoff``: for how many seconds each keeps a qubit. ``agreements``: how keys are made with each neighbour.
    ``keys``: where they go. ``incarnation`` counts the processes that were this node before. ``severed``: the nodes
    that are on the other side of a partition when this one begins. ``external``: the nodes of the lab that somebody
    else than the lab runs.
    """

    lab: str
    name: str
    broker: Access
    shared_state: Access
    links: dict[str, str]
    sources: dict[str, str]
    channels: dict[str, tuple[Hop, ...]]
    secrets: dict[str, str] = field(repr=False)
    keys: KeysConfig
    seed: int | None = None
    shortest_delay: float = inf
    pair_links: dict[str, str] = field(default_factory=dict)
    memories: int = 0
    cutoff: float = inf
    agreements: dict[str, LinkAgreement] = field(default_factory=dict)
    incarnation: int = 0
    severed: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
