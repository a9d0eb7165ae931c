"""The receiving end of a conversation: each message once, in the order in which it was sent.

MQTT at QoS 1 delivers at least once, and a sender that reconnects repeats what was not confirmed, so
messages come twice and out of order. The sequence numbers of the envelopes tell.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from broker.envelope import Envelope
from broker.errors import InboxOverflow

_REMEMBERED_SESSIONS = 4096


@dataclass(slots=True)
class _Stream:
    """The messages of one sender in one session: the next one due, and those that came too early."""

    due: int = 0
    early: dict[int, Envelope] = field(default_factory=dict)


class Sequencer:
    """Drop duplicates and restore order, per sender and session.

    ``hold`` is the largest number of early messages kept for one stream.
    """

    def __init__(self, hold: int = 1024) -> None:
        self._hold = hold
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._forgotten: OrderedDict[str, None] = OrderedDict()

    def accept(self, envelope: Envelope) -> list[Envelope]:
        """Return the messages that are now due, in order; none for a duplicate or an early one.

        Raises ``InboxOverflow`` when more early messages than the hold takes wait for one that is missing.
        """
        if envelope.session in self._forgotten:
            return []
        stream = self._streams.setdefault((envelope.sender, envelope.session), _Stream())
        if envelope.sequence < stream.due or envelope.sequence in stream.early:
            return []
        if envelope.sequence > stream.due and len(stream.early) >= self._hold:
            raise InboxOverflow(
                f"Missing sequence {stream.due} from {envelope.sender} in session {envelope.session}: "
                f"{len(stream.early)} later messages wait for it."
            )
        stream.early[envelope.sequence] = envelope
        deliverable = []
        while (following := stream.early.pop(stream.due, None)) is not None:
            deliverable.append(following)
            stream.due += 1
        return deliverable

    def gap(self, sender: str, session: str) -> int | None:
        """Return the sequence number that is missing while later ones wait, or None."""
        stream = self._streams.get((sender, session))
        return stream.due if stream and stream.early else None

    def sessions(self) -> set[str]:
        """Return the sessions of which something is remembered and that have not ended."""
        return {session for _, session in self._streams}

    def forget_sender(self, sender: str) -> None:
        """Count what a sender says from the beginning: another process has taken its place."""
        for key in [key for key in self._streams if key[0] == sender]:
            del self._streams[key]

    def forget(self, session: str) -> None:
        """End a session: free what is held of it, and drop what still comes of it."""
        for key in [key for key in self._streams if key[1] == session]:
            del self._streams[key]
        self._forgotten[session] = None
        if len(self._forgotten) > _REMEMBERED_SESSIONS:
            self._forgotten.popitem(last=False)
