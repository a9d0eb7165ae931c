"""The token with which a node of another host joins a lab: it tells each of the two that the other is who it says.

    bw1-<base64url of: 16 bytes secret, 32 bytes SHA-256 of the certificate at the lab's door>

The fingerprint lets the joiner recognise the lab before it says anything; the secret, said once and only then, lets the
lab recognise the joiner. A token is good for one node and one time.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final

from nodes.errors import JoinRefused

VARIABLE: Final = "BELLWIRE_TOKEN"
"""The environment variable in which a token may be: a list of processes shows arguments to everybody."""
SECRET_BYTES: Final = 16
_FINGERPRINT_BYTES: Final = 32
_PREFIX: Final = "bw1-"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A ``secret`` that the lab knows, and the ``fingerprint`` by which the lab is known."""

    secret: bytes = field(repr=False)
    fingerprint: bytes

    def __str__(self) -> str:
        """Write it as users pass it on."""
        return _PREFIX + urlsafe_b64encode(self.secret + self.fingerprint).decode()

    def is_of(self, certificate: bytes) -> bool:
        """Tell whether the door with this certificate, in DER, is that of the token's lab."""
        return hmac.compare_digest(self.fingerprint, fingerprint_of(certificate))


def fingerprint_of(certificate: bytes) -> bytes:
    """Return the SHA-256 of a certificate in DER."""
    return hashlib.sha256(certificate).digest()


def parse(text: str) -> JoinToken:
    """Read a token. Raise ``JoinRefused``, which does not repeat it."""
    written = text.strip()
    try:
        content = urlsafe_b64decode(written.removeprefix(_PREFIX).encode("ascii"))
    except (binascii.Error, ValueError):
        content = b""
    if not written.startswith(_PREFIX) or len(content) != SECRET_BYTES + _FINGERPRINT_BYTES:
        raise JoinRefused(
            f"this is no token to join by, or not all of one: it begins with '{_PREFIX}' and has 68 characters; "
            "the lab's host shows one with 'bellwire node token NAME'"
        )
    return JoinToken(content[:SECRET_BYTES], content[SECRET_BYTES:])
