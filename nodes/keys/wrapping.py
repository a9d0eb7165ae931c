"""How key lies on the disk: wrapped with AES-256-GCM (NIST SP 800-38D) under a key-encryption key.

Every block has a wrapping key of its own, HKDF-SHA256 (RFC 5869) of the key-encryption key, a random salt and the
block's name; the nonce is the unit's index. So no nonce serves twice, however many units are stored in the life of a
key-encryption key (random nonces under one key would be used up after 2^32 units: twelve days at 1 Mbit/s). The name of
the unit is authenticated, too: a wrapped unit put in the place of another, or in another pool, does not open.

Destroying the key-encryption key destroys all that is stored.
"""

from __future__ import annotations

from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nodes.codec import joined
from nodes.keys.errors import StoreCorrupted

SALT_BYTES = 16


class Wrapper:
    """Wraps the secrets of one context, such as a pool's block, each under its index."""

    __slots__ = ("_cipher", "_label", "_name")

    def __init__(self, key_encryption_key: bytes, salt: bytes, *context: str) -> None:
        self._label = joined(*(name.encode() for name in context))
        self._name = ", ".join(context)
        self._cipher = AESGCM(_derived(key_encryption_key, salt, b"wrapping" + self._label))

    def wrap(self, index: int, secret: bytes) -> bytes:
        """Return the ciphertext and its tag of 16 bytes. An index may serve only once."""
        place = index.to_bytes(12, "big")
        return self._cipher.encrypt(place, secret, self._label + place)

    def unwrap(self, index: int, wrapped: bytes) -> bytes:
        """Return what was wrapped. Raises ``StoreCorrupted`` for anything but what ``wrap`` gave for this place."""
        place = index.to_bytes(12, "big")
        try:
            return self._cipher.decrypt(place, wrapped, self._label + place)
        except InvalidTag as altered:
            raise StoreCorrupted(
                f"wrapped key {index} of {self._name} does not open: it was altered, or exchanged with another"
            ) from altered


def new_salt() -> bytes:
    """Draw the salt of a wrapper that was never used."""
    return token_bytes(SALT_BYTES)


def fingerprint(key_encryption_key: bytes) -> bytes:
    """Return 32 bytes by which a key-encryption key is recognised and from which it cannot be computed."""
    return _derived(key_encryption_key, b"", b"fingerprint")


def _derived(key: bytes, salt: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"bellwire key store: " + label).derive(key)
