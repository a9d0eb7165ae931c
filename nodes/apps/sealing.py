"""A stream sealed in segments with AES-256-GCM, so that each is authentic and so are their order and their
end.

The STREAM construction of V. T. Hoang, R. Reyhanitabar, P. Rogaway and D. Vizar, "Online
authenticated-encryption and its nonce-reuse misuse-resistance", Crypto 2015: the nonce is a prefix of 7
bytes, the segment's number in 4 and a last byte that is 1 only for the last segment. Key and prefix are
derived from the shared key and the transfer's random id, so that no nonce is ever used twice with a key.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nodes.errors import TransferFailed

TRANSFER_ID_BYTES = 16
MOST_SEGMENTS = 2**32
_KEY_BYTES, _PREFIX_BYTES = 32, 7
_LABEL = b"bellwire file segments"


class SegmentCipher:
    """Seal or open the segments of one transfer, in order. ``header`` is authenticated with each of them."""

    def __init__(self, key: bytes, transfer: bytes, header: bytes) -> None:
        length = _KEY_BYTES + _PREFIX_BYTES
        derived = HKDF(algorithm=SHA256(), length=length, salt=transfer, info=_LABEL).derive(key)
        self._cipher = AESGCM(derived[:_KEY_BYTES])
        self._prefix = derived[_KEY_BYTES:]
        self._header = header
        self._number = 0

    def seal(self, content: bytes, last: bool) -> bytes:
        """Return the next segment: ``content`` encrypted, and 16 bytes of tag."""
        return self._cipher.encrypt(self._nonce(last), content, self._header)

    def open(self, sealed: bytes, last: bool) -> bytes:
        """Return the content of the next segment. Raises ``TransferFailed`` when it is not that."""
        number = self._number
        try:
            return self._cipher.decrypt(self._nonce(last), sealed, self._header)
        except InvalidTag as tampered:
            raise TransferFailed(
                f"segment {number} of the file is not what the sender sealed: altered, out of order, or "
                "under another key; nothing of the file was kept"
            ) from tampered

    def _nonce(self, last: bool) -> bytes:
        number = self._number
        if number >= MOST_SEGMENTS:
            raise TransferFailed("the file has too many segments for one key; send it in larger chunks")
        self._number += 1
        return self._prefix + number.to_bytes(4, "big") + bytes([last])
