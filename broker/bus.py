"""The classical network as its users see it: a bus carries envelopes to one party, announcements to all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from broker.announcement import Announcement
from broker.envelope import Envelope

__all__ = ["Announcement", "Bus", "Content", "Delivery", "MailLost"]


@dataclass(frozen=True, slots=True)
class MailLost:
    """The broker has come back without what it had kept for this party: what was sent to it may be lost."""


Content: TypeAlias = Envelope | Announcement | MailLost
"""What arrives."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that arrived. ``acknowledge`` it once it has been processed; it comes again otherwise.

    It may come twice: ``broker.inbox.Sequencer`` drops what was seen before.
    """

    content: Content
    acknowledge: Callable[[], None]


class Bus(Protocol):
    """One party's connection to the classical network. Use as an async context manager.

    Entering connects, subscribes to the party's inbox (and, for a party allowed to, to announcements) and
    raises ``BrokerRefused`` or ``BrokerUnreachable`` when that fails. While open it reconnects and
    subscribes again by itself. Leaving announces the status ``{"state": "left"}``, or ``"lost"`` when an
    error is what ends the block. An envelope for a party that has never connected is lost: wait for its
    status first.
    """

    @property
    def name(self) -> str:
        """Return the party's name."""

    async def __aenter__(self) -> Bus:
        """Connect."""

    async def __aexit__(self, *exc: object) -> None:
        """Announce departure and disconnect."""

    async def publish(self, envelope: Envelope) -> None:
        """Hand the envelope over; return when the broker has taken responsibility for it.

        Raises ``EnvelopeError`` when it cannot be sent, ``ForgedEnvelope`` when it is not this party's,
        ``BrokerLost``.
        """

    async def announce(self, channel: str, body: dict[str, Any]) -> None:
        """Tell everyone. Raises as ``publish`` does."""

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Iterate over what arrives, in order of arrival, until the bus closes; raises ``BrokerLost``.

        Slow iteration loses nothing: what is not acknowledged waits at the broker.
        """
