"""What one node's process is told at its start: its own slice of the lab, and its credentials."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Access:
    """Where a server listens and the secret that this node shows there."""

    host: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node.

    ``links`` maps each neighbour to the name of the link whose fibre carries photons to it, ``sources`` to the one
    that makes pairs with it; ``delays`` each reachable node to the classical delay in seconds; ``secrets``
    each neighbour to the secret shared with it, in hexadecimal. ``seed`` None takes the dice from the operating system.
    """

    lab: str
    name: str
    broker: Access
    shared_state: Access
    links: dict[str, str]
    sources: dict[str, str]
    delays: dict[str, float]
    secrets: dict[str, str] = field(repr=False)
    seed: int | None = None
