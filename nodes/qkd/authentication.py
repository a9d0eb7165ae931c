"""Authentication of classical messages after Wegman and Carter, J. Comput. Syst. Sci. 22 (1981) 265.

A message travels as ``Tagged``: its bytes and a tag that only the two holders of the shared secret can make.
The tag is Poly1305 (D. J. Bernstein, FSE 2005), the polynomial evaluation hash over 2^130 - 5 at a secret
point r, plus a one-time pad s: r serves one direction of one session, s one message. A forgery of L bytes
succeeds with at most 8 ceil(L/16) / 2^106, as long as no (r, s) serves two messages: a ``SharedSecret`` is
given to one ``AuthenticatedPeer`` for every two roles. The tag covers the direction, the number of the
message, its kind and its bytes, so a forged, altered, replayed, reordered or withheld message is found out at
the next ``receive``.

What this rests on: r and s are derived from the pre-shared secret by HKDF-SHA256 (RFC 5869), so the
authentication is computationally secure, not information-theoretically; it becomes so when a pool of QKD key
supplies them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.poly1305 import Poly1305

from nodes.codec import decode, encode, kind_of, printable
from nodes.errors import AuthenticationFailed, NodeError, ProtocolViolation
from nodes.ports import Peer, SharedSecret

MessageT = TypeVar("MessageT")


@dataclass(frozen=True, slots=True)
class Tagged:
    """A message of ``kind`` with its canonical bytes and the 16 bytes that prove where it is from."""

    kind: str
    body: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The sender has given up, for ``reason``. May come in place of any message; nothing follows it."""

    reason: str


class PeerWithdrew(NodeError):
    """The peer gave up and said why, authentically. ``reason`` is its sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AuthenticatedPeer:
    """A peer whose messages are certain to be its own; itself a ``Peer``.

    ``role`` and ``peer_role`` tell the two directions apart and are swapped at the other end. Raises
    ``ProgramInvalid`` when ``secret`` has served the two roles before.
    """

    def __init__(self, peer: Peer, secret: SharedSecret, role: str, peer_role: str) -> None:
        claimed = secret.claim(role, peer_role)
        self._peer = peer
        self._outgoing = _Direction(claimed, secret.session, role, peer_role)
        self._incoming = _Direction(claimed, secret.session, peer_role, role)

    @property
    def name(self) -> str:
        """Name the peer's node."""
        return self._peer.name

    async def send(self, message: object) -> None:
        """Send a message with its tag."""
        kind, body = kind_of(message), encode(message)
        await self._peer.send(Tagged(kind, body, self._outgoing.next_tag(kind, body).finalize()))

    async def receive(self, kind: type[MessageT]) -> MessageT:
        """Wait for the peer's next message, which must be of ``kind``.

        Raises ``AuthenticationFailed`` when it is not what the peer sent, ``PeerWithdrew`` when the peer has
        given up, and ``ProtocolViolation`` when the peer really sent something else.
        """
        number = self._incoming.number
        try:
            tagged = await self._peer.receive(Tagged)
            self._incoming.next_tag(tagged.kind, tagged.body).verify(tagged.tag)
        except (ProtocolViolation, InvalidSignature) as forged:
            raise AuthenticationFailed(
                f"message {number} from {self.name} (a {kind.__name__} was due) is not authentic: "
                "the classical channel was tampered with, or the two shared secrets differ"
            ) from forged
        if tagged.kind == Withdrawal.__name__:
            raise PeerWithdrew(decode(Withdrawal, tagged.body).reason)
        if tagged.kind != kind.__name__:
            raise ProtocolViolation(f"{self.name} sent a {tagged.kind} where a {kind.__name__} was due")
        return decode(kind, tagged.body)

    async def withdraw(self, reason: str) -> None:
        """Tell the peer, in place of the message it waits for, that there will be no more, and why."""
        await self.send(Withdrawal(printable(reason)))

    async def give_up(self, failure: Exception) -> None:
        """Withdraw because of ``failure``: a ``NodeError`` is told in its words, any other by its kind only.

        Raises nothing: the peer may be what failed, and ``failure`` is the one to report.
        """
        told = isinstance(failure, NodeError)
        reason = str(failure) if told else f"its program failed ({type(failure).__name__}); see its log"
        with suppress(Exception):
            await self.withdraw(reason)


class _Direction:
    """The keys of one direction: the point r of the session and a fresh s for every message."""

    def __init__(self, secret: bytes, session: str, sender: str, recipient: str) -> None:
        self.number = 0
        self._secret = secret
        self._salt = session.encode()
        self._label = _joined(b"bellwire authentication", sender.encode(), recipient.encode())
        self._r = self._derived(b"r")

    def next_tag(self, kind: str, body: bytes) -> Poly1305:
        """Return the one-time authenticator, fed with the direction's next message."""
        number = self.number.to_bytes(8, "big")
        self.number += 1
        authenticator = Poly1305(self._r + self._derived(b"s", number))
        authenticator.update(_joined(self._label, number, kind.encode(), body))
        return authenticator

    def _derived(self, *labels: bytes) -> bytes:
        info = _joined(self._label, *labels)
        return HKDF(algorithm=SHA256(), length=16, salt=self._salt, info=info).derive(self._secret)


def _joined(*parts: bytes) -> bytes:
    """Join parts such that different parts never give the same bytes: each goes behind its length."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
