"""Authentication of classical messages after Wegman and Carter, J. Comput. Syst. Sci. 22 (1981) 265.

A message travels as ``Tagged``: its bytes and a tag that only the two holders of the one-time keys can make. The tag
is Poly1305 with a pad of its own (``nodes.qkd.pads``) and covers every message of its direction since the tag before
it, this one included: the epoch, the direction, the number of each message, its kind and its bytes. Outside a phase
that is one message::

    Alice                                        Bob
      |<-- Detections, tag -----------------------|
      |--- Matches, tag ------------------------->|

so a forged, altered, replayed, reordered or withheld message is found out at the next ``receive``. Within a phase the
messages carry no tag, and each end's ``PhaseEnd`` carries one for all that it has sent and all that it has received::

      |<-- Shuffle -------------------------------|
      |--- Parities ----------------------------->|  and back, a thousand times
      |--- PhaseEnd, tag ------------------------>|  if both directions were as Alice says
      |<-- PhaseEnd, tag -------------------------|  Bob says so

so whatever Eve did to either direction neither end leaves the phase; only what she does to the very last message
leaves it to Bob alone. A forgery of L bytes succeeds with at most 16 ceil(L/16) / 2^106: 2^-82 for 16 MiB.

What a phase does not prove is when a message was sent: one that can be foretold Eve may deliver early and swallow
when it comes. That all photons are measured, before which nobody reveals a basis, must be told outside of a phase.

What this rests on: with a ``SharedSecret`` keys are derived, and the authentication is computationally secure; with an
``AuthenticationReserve`` it is information-theoretically secure as soon as the derived pads there are used up and key
of the quantum channel has taken their place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import InvalidSignature

from nodes.codec import decode, encode, kind_of, printable
from nodes.errors import AuthenticationFailed, KeyRefused, NodeError, ProgramInvalid, ProtocolViolation
from nodes.ports import Peer, SharedSecret
from nodes.qkd.pads import DerivedPads, Pads
from nodes.qkd.transcript import Transcript

MessageT = TypeVar("MessageT")


@dataclass(frozen=True, slots=True)
class Tagged:
    """A message of ``kind`` with its canonical bytes and the 16 bytes that prove where it is from.

    ``tag`` is empty within a phase, where the next tag covers the message.
    """

    kind: str
    body: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class PhaseEnd:
    """The sender is through with the phase ``name``; the tag covers all of it, in both directions.

    Sent first by whose role is first in the alphabet, by the other only when it has found that tag right.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The sender has given up, for ``reason``. May come in place of any message, always tagged; nothing follows it."""

    reason: str


class PeerWithdrew(NodeError):
    """The peer gave up and said why, authentically. ``reason`` is its sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AuthenticatedPeer:
    """A peer whose messages are certain to be its own; itself a ``Peer``.

    ``role`` and ``peer_role`` tell the two directions apart and are swapped at the other end. ``pads`` are the
    one-time keys, or a secret from which they are derived. Raises ``ProgramInvalid`` when the secret has served the
    two roles before.
    """

    def __init__(self, peer: Peer, pads: Pads | SharedSecret, role: str, peer_role: str) -> None:
        source = DerivedPads(pads, role, peer_role) if isinstance(pads, SharedSecret) else pads
        self._peer = peer
        self._phase: str | None = None
        self._ends_first = role < peer_role
        self._outgoing = Transcript(source, role, peer_role)
        self._incoming = Transcript(source, peer_role, role)

    @property
    def name(self) -> str:
        """Name the peer's node."""
        return self._peer.name

    async def send(self, message: object) -> None:
        """Send a message with its tag; within a phase the tag comes at the end."""
        await self._send(message, tagged=self._phase is None)

    async def receive(self, kind: type[MessageT]) -> MessageT:
        """Wait for the peer's next message, which must be of ``kind``.

        Raises ``AuthenticationFailed`` when it is not what the peer sent, ``PeerWithdrew`` when the peer has
        given up, and ``ProtocolViolation`` when the peer really sent something else. Within a phase the first
        is found out at its end, and the last may be Eve's doing.
        """
        return await self._receive(kind)

    @asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator[None]:
        """Authenticate all messages of a block by one tag a direction; both ends enter and leave it alike.

        At the end each checks that both sent what the other received. Raises ``AuthenticationFailed`` when that is
        not so, and nothing received in the phase may be used then. A ``KeyRefused`` of the block, which both ends
        raise alike, leaves it only after the check. A ``ProtocolViolation`` becomes ``AuthenticationFailed`` as long
        as it is not known who broke the protocol.
        """
        if self._phase is not None:
            raise ProgramInvalid(
                f"phase '{name}' begins within phase '{self._phase}'; one tag cannot serve both"
            )
        self._phase = name
        try:
            yield
        except KeyRefused:
            await self._end(name)
            raise
        except ProtocolViolation as violation:
            if not self._incoming.untagged:
                raise
            raise AuthenticationFailed(
                f"the phase '{name}' with {self.name} was broken before its messages were known to be authentic: "
                f"{violation}"
            ) from violation
        else:
            await self._end(name)
        finally:
            self._phase = None

    async def withdraw(self, reason: str) -> None:
        """Tell the peer, in place of the message it waits for, that there will be no more, and why."""
        await self._send(Withdrawal(printable(reason)), tagged=True)

    async def give_up(self, failure: Exception) -> None:
        """Withdraw because of ``failure``: a ``NodeError`` is told in its words, any other by its kind only.

        Raises nothing: the peer may be what failed, and ``failure`` is the one to report.
        """
        told = isinstance(failure, NodeError)
        reason = str(failure) if told else f"its program failed ({type(failure).__name__}); see its log"
        with suppress(Exception):
            await self.withdraw(reason)

    async def _send(self, message: object, tagged: bool) -> None:
        kind, body = kind_of(message), encode(message)
        self._outgoing.fold(kind, body)
        await self._peer.send(Tagged(kind, body, self._outgoing.tag() if tagged else b""))

    async def _receive(self, kind: type[MessageT], sent: bytes = b"") -> MessageT:
        """Receive as ``receive`` does; the tag of a ``PhaseEnd`` covers what this end has ``sent``, too."""
        due = kind.__name__
        number = self._incoming.number
        try:
            message = await self._peer.receive(Tagged)
            if kind is PhaseEnd and message.kind == due:
                self._incoming.cover(sent)
            self._incoming.fold(message.kind, message.body)
            if message.tag or self._phase is None:
                self._incoming.verify(message.tag)
        except (ProtocolViolation, InvalidSignature) as forged:
            raise AuthenticationFailed(
                f"message {number} from {self.name} (a {due} was due) is not authentic, or another of the same phase: "
                "the classical channel was tampered with, or the two shared secrets differ"
            ) from forged
        if message.tag and message.kind == Withdrawal.__name__:
            raise PeerWithdrew(decode(Withdrawal, message.body).reason)
        if message.kind != due:
            raise ProtocolViolation(f"{self.name} sent a {message.kind} where a {due} was due")
        return decode(kind, message.body)

    async def _end(self, name: str) -> None:
        """Compare both directions of the phase with the peer: who is first asks, the other agrees or withdraws."""
        self._phase = None
        sent, received = self._outgoing.value(), self._incoming.value()
        if self._ends_first:
            await self._send_end(name, received)
            await self._receive_end(name, sent)
        else:
            await self._receive_end(name, sent)
            await self._send_end(name, received)

    async def _send_end(self, name: str, received: bytes) -> None:
        self._outgoing.cover(received)
        await self._send(PhaseEnd(name), tagged=True)

    async def _receive_end(self, name: str, sent: bytes) -> None:
        theirs = (await self._receive(PhaseEnd, sent)).name
        if theirs != name:
            raise ProtocolViolation(f"{self.name} was in phase '{theirs}', not in phase '{name}'")
