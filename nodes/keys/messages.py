"""What the key managers of two nodes ask of each other. Every request may arrive twice and is answered alike.

    Reserve  -> Reserved     hold these keys, cut from our pool, for applications of yours
    Withdraw -> Withdrawn    drop what was reserved: not all of a request could be had
    Announce -> Announced    I have this block of our pool; do you?
    AskLevel -> Level        how much is in our pool, at your end?
    Relay    -> Relayed      carry this key on, or keep it (nodes.keys.relay)
    KemOffer -> KemAnswer    let us agree on a secret by ML-KEM (nodes.keys.exchange)
    any      -> Declined     I cannot, and this is why

No message holds a byte of a key in clear.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.keys.units import ReservedKey


@dataclass(frozen=True, slots=True)
class Reserve:
    """Ask to hold ``keys`` of ``size`` bytes for ``slave_saes``, all of the node asked, as ``master_sae`` wishes."""

    master_sae: str
    slave_saes: tuple[str, ...]
    size: int
    keys: tuple[ReservedKey, ...]


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """A key that is not held. ``why`` is a ``Refusal``; ``blocks`` are those that the node never had."""

    key_id: str
    why: str
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reserved:
    """All keys asked for are held, except ``refused``."""

    refused: tuple[RefusedKey, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Ask to drop keys that were reserved and that the master does not get."""

    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """``count`` of the keys were still held."""

    count: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Say that a block of so many ``units`` was deposited in the pool of the two nodes."""

    block: str
    units: int


@dataclass(frozen=True, slots=True)
class Announced:
    """What is known of an announced block.

    ``state``: "known"; "unknown"; "pending" while this node still works on it; "different" when it has another number
    of units here, and is dropped; "spent" in answer to a ``KemOffer`` for a block that is used.
    """

    state: str


@dataclass(frozen=True, slots=True)
class AskLevel:
    """Ask how much key the two nodes share; also whether the other one answers at all."""


@dataclass(frozen=True, slots=True)
class Level:
    """``units`` that can be taken from the pool at the answering end."""

    units: int


@dataclass(frozen=True, slots=True)
class Declined:
    """The request cannot be served at any time; ``reason`` is a sentence."""

    reason: str
