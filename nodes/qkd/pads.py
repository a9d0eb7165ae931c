"""One-time keys of Poly1305 (D. J. Bernstein, FSE 2005): where the tags of a dialogue get their secrecy from.

A key is a point r, at which the polynomial of the message is evaluated, and a pad s, added to the value. The pad
serves one tag and is never used again; the point may serve all tags of its direction (M. N. Wegman and J. L. Carter,
J. Comput. Syst. Sci. 22 (1981) 265). What leaks of the point is whether forgeries were taken for authentic, and that
is so little that after n blocks of m tags the authentication, pads from QKD included, has failed with at most
n (m e + e'), where e bounds a forgery and e' the failure of a block (C. Portmann, IEEE Trans. Inf. Theory 60 (2014)
4383). ``DerivedPads`` computes the keys from a secret, for a program that runs once; ``nodes.qkd.reserve`` takes them
from a store of key, for a link that runs for months.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.poly1305 import Poly1305

from nodes.codec import joined
from nodes.ports import SharedSecret

PAD_BYTES = 16
"""The length of a point and of a pad."""


@dataclass(frozen=True, slots=True, repr=False)
class OneTimeKey:
    """The point r and the pad s of one tag; its ``repr`` shows neither."""

    point: bytes
    pad: bytes

    def authenticator(self) -> Poly1305:
        """Return the function that makes, or checks, the one tag."""
        return Poly1305(self.point + self.pad)

    def polynomial(self) -> Poly1305:
        """Return the function without its pad. Its values would give the point away: they stay at this end."""
        return Poly1305(self.point + bytes(PAD_BYTES))


class Pads(Protocol):
    """The one-time keys of a dialogue between two roles, the same ones at both ends."""

    @property
    def epoch(self) -> str:
        """Name the epoch or session to which the keys belong."""

    def take(self, sender: str) -> OneTimeKey:
        """Return the key of the next tag of ``sender``, one of the two roles. No key comes twice."""


class DerivedPads:
    """Keys derived by HKDF-SHA256 (RFC 5869) from a pre-shared secret: computationally secure, without end.

    Raises ``ProgramInvalid`` when the secret has served these two roles before.
    """

    def __init__(self, secret: SharedSecret, role: str, peer_role: str) -> None:
        self.epoch = secret.session
        self._secret = secret.claim(role, peer_role)
        self._recipients = {role: peer_role, peer_role: role}
        self._taken = {role: 0, peer_role: 0}
        self._points = {sender: self._derived(sender, b"r") for sender in self._recipients}

    def take(self, sender: str) -> OneTimeKey:
        """Return the key of the next tag of ``sender``."""
        number = self._taken[sender]
        self._taken[sender] += 1
        return OneTimeKey(self._points[sender], self._derived(sender, b"s", number.to_bytes(8, "big")))

    def _derived(self, sender: str, *labels: bytes) -> bytes:
        info = joined(b"bellwire pads", sender.encode(), self._recipients[sender].encode(), *labels)
        hkdf = HKDF(algorithm=SHA256(), length=PAD_BYTES, salt=self.epoch.encode(), info=info)
        return hkdf.derive(self._secret)
