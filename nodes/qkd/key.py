"""A secret key that does not show itself: neither its text nor its error messages hold a bit of it."""

from __future__ import annotations

from hmac import compare_digest

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nodes.ports import Bits
from nodes.qkd.bits import packed


class Key:
    """Secret bits shared by two parties. Its ``repr`` tells only their number; no message can hold it."""

    __slots__ = ("_bits",)

    def __init__(self, bits: Bits) -> None:
        self._bits = bits.copy()

    def __len__(self) -> int:
        """Return the number of bits."""
        return int(self._bits.size)

    def __repr__(self) -> str:
        return f"<Key of {len(self)} secret bits>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return len(self) == len(other) and compare_digest(packed(self._bits), packed(other._bits))

    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint of the secret

    def bits(self) -> Bits:
        """Return a copy of the bits."""
        return self._bits.copy()

    def aes256(self, label: str) -> bytes:
        """Derive a 256-bit key with HKDF-SHA256 (RFC 5869) for the purpose named by ``label``."""
        hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"bellwire key: " + label.encode())
        return hkdf.derive(packed(self._bits))
