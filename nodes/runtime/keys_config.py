"""What a node's process is told of keys: where it stores them, who it is, whom it serves."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.keys.site import Pair
from nodes.runtime.kme_config import KmeConfig


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """The keys of one node.

    ``store``: the file in which they are, empty for none, in memory; each is wrapped under ``wrapping_key``.
    ``identity_seed``: of the key with which the node signs; ``public_keys`` are those of the other nodes. All three
    in hexadecimal. ``links``: who has a link for key distribution with whom; ``saes``: which node serves which
    application; ``pairs``: how the pools shared with other nodes are filled; ``kme``: how keys are delivered to
    applications, None where there are none. ``compromised``: somebody reads what this node relays.
    """

    store: str
    wrapping_key: str = field(repr=False)
    identity_seed: str = field(repr=False)
    public_keys: dict[str, str] = field(default_factory=dict, repr=False)
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    saes: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    kme: KmeConfig | None = None
    compromised: bool = False
