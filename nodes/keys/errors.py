"""What can go wrong between a key that was distilled and one that is delivered.

::

    KeyManagementError (a NodeError)
    ├── KeyRequestInvalid      the application asks for what cannot be had at any time: number, size (theirs)
    │   ├── UnknownSae         no such application is registered in this network
    │   └── UnknownKeyIds      no key is held under these ids, or it was delivered before
    ├── NotEntitled            a key is asked for by an application to which it was not assigned (theirs)
    ├── KeysUnavailable        there is no key now; there may be later
    │   ├── KeysExhausted      the pool holds less than is asked for
    │   ├── Reproducible       all that the pool holds can be computed from the lab's seed, and that is refused
    │   ├── PeerUnreachable    the other node's key manager does not answer
    │   └── RelayFailed        no way over trusted nodes leads there now
    ├── UnitsUnknown           the peer names units that were spent, or never deposited, here
    ├── BlockRepeated          a block of that name was deposited before: key must never come twice (mine)
    ├── CargoTampered          what came over a hop was altered on the way
    ├── ExchangeRefused        a post-quantum key exchange is not authentic, or not what was asked for
    └── StoreUnusable          the store's file cannot be worked with; nothing was changed
        ├── StoreForeign       the file is no key store, or one of another version or node
        ├── WrongWrappingKey   the store was made with another key-encryption key
        ├── StoreCorrupted     the file is damaged, or what it holds was altered or exchanged
        ├── StoreFull          there is no space left on the disk
        └── StoreBusy          another process has held the store too long

An HTTP front-end answers ``KeyRequestInvalid`` with 400, ``NotEntitled`` with 401, ``KeysUnavailable`` with 503.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nodes.errors import NodeError

KEYS_NOT_FOUND: Final = "one or more keys specified are not found on KME"
"""The words of ETSI GS QKD 014, which an application may look for."""


class KeyManagementError(NodeError):
    """The root of all errors raised by ``nodes.keys``."""


class KeyRequestInvalid(KeyManagementError):
    """An application asks for what this key manager never delivers; the sentence names the limit."""


class UnknownSae(KeyRequestInvalid):
    """An application (SAE) is named that no node of the network serves. ``sae`` is its name."""

    def __init__(self, sae: str) -> None:
        super().__init__(f"no application '{sae}' is registered with a key manager of this network")
        self.sae = sae


class UnknownKeyIds(KeyRequestInvalid):
    """One or more keys are not here, or no longer. ``key_ids`` are theirs; none of the request was delivered."""

    def __init__(self, key_ids: Sequence[str]) -> None:
        super().__init__(KEYS_NOT_FOUND)
        self.key_ids = tuple(key_ids)


class NotEntitled(KeyManagementError):
    """The application may not have this key, or not from this node."""


class KeysUnavailable(KeyManagementError):
    """No key can be delivered now."""


class KeysExhausted(KeysUnavailable):
    """The pool shared with ``peer`` holds too little. ``wanted`` and ``stored`` in units of 32 bytes."""

    def __init__(self, peer: str, wanted: int, stored: int) -> None:
        super().__init__(
            f"{wanted} units of key shared with node '{peer}' are needed and {stored} are stored; "
            "ask for less, or later"
        )
        self.peer = peer
        self.wanted = wanted
        self.stored = stored


class Reproducible(KeysUnavailable):
    """What is stored was made with the lab's seed: whoever knows the seed knows the key."""

    def __init__(self, peer: str) -> None:
        super().__init__(
            f"the key shared with node '{peer}' can be computed from the lab's seed and is refused as not secret; "
            "run the lab without a seed, or let its KME deliver such keys (deliver_reproducible: true)"
        )
        self.peer = peer


class PeerUnreachable(KeysUnavailable):
    """The key manager of ``peer`` does not answer; whether it did what it was asked is not known."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"the key manager of node '{peer}' does not answer; is the node up?")
        self.peer = peer


class RelayFailed(KeysUnavailable):
    """No route over trusted nodes carried a key to ``target``; ``reason`` tells why the last one did not."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(f"no key can be relayed to node '{target}': {reason}")
        self.target = target
        self.reason = reason


class UnitsUnknown(KeyManagementError):
    """Units that the peer names are not here. ``blocks`` are those never deposited; the others were spent."""

    def __init__(self, pool: str, units: int, blocks: Sequence[str]) -> None:
        never = f", {len(blocks)} of their blocks never deposited" if blocks else ""
        super().__init__(f"{units} units of pool '{pool}' that the peer names are not stored here{never}")
        self.pool = pool
        self.blocks = tuple(blocks)


class BlockRepeated(KeyManagementError):
    """A block of this name was deposited in the pool before; nothing was added."""

    def __init__(self, pool: str, block: str) -> None:
        super().__init__(f"block '{block}' of pool '{pool}' was deposited before; nothing was added")


class CargoTampered(KeyManagementError):
    """The authenticator of a relayed key does not fit: the classical channel altered it."""


class ExchangeRefused(KeyManagementError):
    """The peer's part of a key exchange is refused; the sentence says why. No key results."""


class StoreUnusable(KeyManagementError):
    """The store's file cannot be used as it is."""


class StoreForeign(StoreUnusable):
    """The file is not a key store of this version, or it belongs to another node."""


class WrongWrappingKey(StoreUnusable):
    """The key-encryption key is not the one with which the store was made."""


class StoreCorrupted(StoreUnusable):
    """The file is damaged, or a wrapped key was altered or exchanged with another."""


class StoreFull(StoreUnusable):
    """The disk is full: nothing was stored."""


class StoreBusy(StoreUnusable):
    """Another process kept the store locked beyond the time allowed."""
