"""Who a node is to the others in a post-quantum exchange: ML-DSA-65 signatures (FIPS 204)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from nodes.keys.errors import ExchangeRefused

_CONTEXT = b"bellwire key exchange"  # of FIPS 204: a signature made for another purpose does not hold here


class Identity(Protocol):
    """A node's own signature, and how it knows the others'."""

    def sign(self, statement: bytes) -> bytes:
        """Sign as this node."""

    def verify(self, node: str, signature: bytes, statement: bytes) -> None:
        """Make sure that ``node`` signed the statement. Raises ``ExchangeRefused``."""


class MlDsaIdentity:
    """The identity of the node whose private key has the seed ``seed`` (32 bytes); ``public_keys`` are by node."""

    def __init__(self, seed: bytes, public_keys: Mapping[str, bytes]) -> None:
        self._private_key = MLDSA65PrivateKey.from_seed_bytes(seed)
        self._public_keys = {
            node: MLDSA65PublicKey.from_public_bytes(key) for node, key in public_keys.items()
        }

    def sign(self, statement: bytes) -> bytes:
        """Sign as this node: 3309 bytes."""
        return self._private_key.sign(statement, _CONTEXT)

    def verify(self, node: str, signature: bytes, statement: bytes) -> None:
        """Make sure that ``node`` signed the statement. Raises ``ExchangeRefused``."""
        public_key = self._public_keys.get(node)
        if public_key is None:
            raise ExchangeRefused(f"the public key of node '{node}' is not known here")
        try:
            public_key.verify(signature, statement, _CONTEXT)
        except InvalidSignature as forged:
            raise ExchangeRefused(f"node '{node}' did not sign this: forged, altered or replayed") from forged


def public_key_of(seed: bytes) -> bytes:
    """Return the 1952 bytes by which others know the identity of this seed."""
    return MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
