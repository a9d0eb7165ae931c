"""What a key management entity is told at its start: who it is, whom it serves, where, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from nodes.keys.service import Limits

KmeTls: TypeAlias = Literal["classical", "post-quantum"]
"""How the keys of a session are agreed on: on an elliptic curve, or with ML-KEM-768 beside it (X25519MLKEM768)."""


@dataclass(frozen=True, slots=True)
class KmeConfig:
    """The key management entity (KME) of one node, whose KME ID is the node's name.

    ``saes`` maps every secure application entity (SAE) of the lab to the node whose KME serves it; SAE IDs have any
    form, and are compared as they are. ``authority`` is the certificate of the lab's authority, ``certificate`` and
    ``key`` are this KME's own, all in PEM. ``port`` 0 takes a free one. ``limits`` and ``deliver_reproducible`` (keys
    whose bits come from seeded dice are delivered, too) are those of the key manager behind it.
    """

    lab: str
    node: str
    saes: dict[str, str]
    authority: Path
    certificate: Path
    key: Path
    host: str = "127.0.0.1"
    port: int = 0
    limits: Limits = field(default_factory=Limits)
    deliver_reproducible: bool = False
    tls: KmeTls = "classical"


def sae_name(lab: str, sae: str) -> str:
    """Return the uniform resource name that an SAE has in its certificate."""
    return f"urn:bellwire:{lab}:sae:{sae}"
