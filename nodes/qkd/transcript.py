"""What one tag covers: the messages of one direction since the tag before it, in their order.

The authenticator is fed with

    epoch, sender, recipient | number, kind, bytes | number, kind, bytes | ... | value of the other direction

each behind its length, so that no two different dialogues are fed alike. The last is there at the end of a phase only:
the polynomial, at the secret point of the other direction, of what has been received from there. It has no pad, so
it stays at the ends; under the tag it tells the other end, who knows what it sent, whether all arrived as it was.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.poly1305 import Poly1305

from nodes.codec import joined
from nodes.qkd.pads import Pads


class Transcript:
    """The messages from ``sender`` to ``recipient``: their number, and the hashes of those that await a tag."""

    def __init__(self, pads: Pads, sender: str, recipient: str) -> None:
        self.number = 0
        self._pads = pads
        self._sender = sender
        self._label = joined(
            b"bellwire authentication", pads.epoch.encode(), sender.encode(), recipient.encode()
        )
        self._authenticator: Poly1305 | None = None
        self._polynomial: Poly1305 | None = None

    @property
    def untagged(self) -> bool:
        """Whether there is a message that no tag has covered yet."""
        return self._authenticator is not None

    def fold(self, kind: str, body: bytes) -> None:
        """Add the next message to what the next tag covers. The body is not copied: it may be large."""
        head = joined(self.number.to_bytes(8, "big"), kind.encode()) + len(body).to_bytes(8, "big")
        self.number += 1
        authenticator = self._opened()
        for folded in (authenticator,) if self._polynomial is None else (authenticator, self._polynomial):
            folded.update(head)
            folded.update(body)

    def cover(self, value: bytes) -> None:
        """Add what the other direction's ``value`` was to what the next tag covers."""
        self._opened().update(joined(value))

    def value(self) -> bytes:
        """Return the value of the polynomial of the messages since the last tag: never to be sent. Empty for none."""
        polynomial, self._polynomial = self._polynomial, None
        return b"" if polynomial is None else polynomial.finalize()

    def tag(self) -> bytes:
        """Return the tag of all since the one before. Something must have been folded."""
        return self._concluded().finalize()

    def verify(self, tag: bytes) -> None:
        """Raise ``InvalidSignature`` unless ``tag`` is the one of all since the one before."""
        self._concluded().verify(tag)

    def _opened(self) -> Poly1305:
        """Return the authenticator of the next tag; with the first message after a tag comes a fresh key."""
        if self._authenticator is None:
            key = self._pads.take(self._sender)
            self._authenticator, self._polynomial = key.authenticator(), key.polynomial()
            self._authenticator.update(self._label)
        return self._authenticator

    def _concluded(self) -> Poly1305:
        authenticator = self._opened()
        self._authenticator = self._polynomial = None
        return authenticator
