"""What a key manager offers to applications, in the terms of ETSI GS QKD 014 V1.1.1: limits, status, keys."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.keys.secret import Secret


@dataclass(frozen=True, slots=True)
class DeliveredKey:
    """A key as one application gets it, once.

    ``key_id`` is a UUID, the same for all applications that share the key. ``reproducible``: made with the lab's seed,
    so that whoever knows the seed knows the key.
    """

    key_id: str
    secret: Secret
    reproducible: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be asked for. Sizes in bits, all multiples of 8; numbers are of keys.

    ``max_key_count`` is the capacity of a pool in keys of ``key_size``; ``max_held`` how many keys may wait here for
    other nodes' partners, ``hold_seconds`` for how long; ``max_sae_ids`` how many further applications may get
    the same key.
    """

    key_size: int = 256
    min_key_size: int = 64
    max_key_size: int = 4096
    max_key_per_request: int = 128
    max_key_count: int = 1_000_000
    max_sae_ids: int = 8
    max_held: int = 100_000
    hold_seconds: float = 86_400.0


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What is available for a pair of applications: the Status of clause 6.1. Sizes in bits."""

    source_kme: str
    target_kme: str
    master_sae: str
    slave_sae: str
    key_size: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size: int
    min_key_size: int
    max_sae_id_count: int
    reproducible_key_count: int
    """How many of the stored keys were made with the lab's seed."""
