"""What a lab that is up tells of its keys: for each node, what it shares with each other one, and where it delivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyPool:
    """What ``node`` has in store to share with ``peer``.

    ``stored_units`` of 32 bytes, ``reproducible_units`` of them made with the lab's seed; ``delivered_keys`` since the
    lab is up. ``origins``: where the stored key comes from, among qkd, relay, pqc, hybrid. ``sae``: the applications
    that the node serves, at ``kme_url``; None when it serves none. ``qber`` and ``secret_rate_bps`` are of the last
    block on the link between the two, None when there is none.
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
