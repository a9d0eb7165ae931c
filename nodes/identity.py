"""Who a node is: an ML-DSA-65 key of its own (FIPS 204), and the public keys of the nodes it knows.

An identity signs what begins a relation: the handshake of an epoch (``nodes.qkd.epochs``), the key exchange of a
hybrid key. Everything after that is authenticated by secrets which the beginning has agreed on. The public keys of
the peers come from whoever commissions the nodes; no node believes one that a message brings.

Every use has a ``context``, at most 255 bytes, which says what the signature is for: a signature made for one
purpose is worth nothing for another. Signatures are hedged (FIPS 204, 3.4), so two of the same data differ.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from nodes.errors import AuthenticationFailed, ProgramInvalid

SEED_BYTES = 32
"""The length of a seed, from which the private key follows (xi of FIPS 204)."""

PUBLIC_KEY_BYTES = 1952
SIGNATURE_BYTES = 3309


class IdentityRefused(AuthenticationFailed):
    """A signature is not that of the node it claims to be, or nobody has told this node that node's public key."""


class Identity:
    """The signing key of ``node`` and the public keys of its ``peers``, by node; its ``repr`` shows neither.

    Raises ``ProgramInvalid`` when the seed or a public key cannot be one.
    """

    __slots__ = ("_peers", "_private", "node")

    def __init__(self, node: str, seed: bytes, peers: Mapping[str, bytes]) -> None:
        self.node = node
        self._private = _private_key(seed)
        self._peers = {peer: _checked(peer, key) for peer, key in peers.items()}

    def __repr__(self) -> str:
        return f"<Identity of {self.node}, who knows {len(self._peers)} other nodes>"

    @staticmethod
    def public_key_of(seed: bytes) -> bytes:
        """Return the public key (1952 bytes) that the others must be told of a node with this ``seed``."""
        return _private_key(seed).public_key().public_bytes_raw()

    def sign(self, data: bytes, context: bytes) -> bytes:
        """Return this node's signature (3309 bytes) of ``data`` for the purpose ``context``."""
        return self._private.sign(data, context)

    def verify(self, node: str, signature: bytes, data: bytes, context: bytes) -> None:
        """Make sure that ``node`` has signed ``data`` for the purpose ``context``; raise ``IdentityRefused`` if not."""
        known = self._peers.get(node)
        if known is None:
            raise IdentityRefused(
                f"node '{self.node}' has no public key of '{node}', so nothing can prove to it who that is; "
                f"it knows {', '.join(sorted(self._peers)) or 'nobody'}"
            )
        try:
            MLDSA65PublicKey.from_public_bytes(known).verify(signature, data, context)
        except InvalidSignature as refused:
            raise IdentityRefused(
                f"what claims to be signed by '{node}' is not: someone stands between '{self.node}' and '{node}', "
                f"or '{self.node}' was given another public key"
            ) from refused


def _private_key(seed: bytes) -> MLDSA65PrivateKey:
    if len(seed) != SEED_BYTES:
        raise ProgramInvalid(f"the seed of an identity has {SEED_BYTES} bytes, not {len(seed)}")
    return MLDSA65PrivateKey.from_seed_bytes(seed)


def _checked(peer: str, key: bytes) -> bytes:
    """Return a public key as it is: in a large lab most are never used, and to unfold each takes its time and room."""
    if len(key) != PUBLIC_KEY_BYTES:
        raise ProgramInvalid(
            f"the public key of '{peer}' has {len(key)} bytes, not the {PUBLIC_KEY_BYTES} of ML-DSA-65"
        )
    return key
