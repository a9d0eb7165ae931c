"""Another party of a run, as mail that takes the time light takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from nodes import codec
from nodes.errors import ProtocolViolation
from nodes.runtime.channel import Channel
from nodes.runtime.clock import RunClock
from nodes.runtime.mail import PostOffice

MessageT = TypeVar("MessageT")

_FUTURE = 1e6
"""How far ahead of this node's clock, in emulated seconds, a message's stamp is believed."""


@dataclass(frozen=True, slots=True)
class BusPeer:
    """A ``nodes.ports.Peer``: the node ``name`` in one session of one protocol.

    ``channel`` is the way of messages there, and takes as long as the way back at least; ``deadline`` bounds every wait
    for a message, in wall seconds. ``standing``: that nothing comes is no deadlock.
    """

    office: PostOffice
    clock: RunClock
    name: str
    session: str
    protocol: str
    channel: Channel
    deadline: float
    standing: bool = False

    def conversation(self, name: str) -> BusPeer:
        """Return a conversation beside this one, in a session below its own."""
        return replace(self, session=f"{self.session}:{name}")

    async def send(self, message: object) -> None:
        """Send a message, stamped with the emulated times of its departure and its arrival."""
        sent_at = self.clock.now()
        await self.office.send(
            self.name,
            self.session,
            self.protocol,
            codec.kind_of(message),
            codec.fields_of(message),
            sent_at,
            self.channel.arrival(sent_at),
        )

    async def receive(self, kind: type[MessageT]) -> MessageT:
        """Wait for the peer's next message and for the emulated time of its arrival."""
        awaited = kind.__name__
        with self.clock.waiting(f"{awaited} from {self.name}", standing=self.standing):
            deadline = self.clock.deadline(self.deadline)
            envelope = await self.office.receive(self.name, self.session, awaited, deadline)
        if envelope.kind != kind.__name__:
            raise ProtocolViolation(
                f"node '{self.name}' sent {envelope.kind} where {kind.__name__} was expected ({self.protocol})"
            )
        message = codec.build(kind, envelope.body)
        if envelope.arrives_at > self.clock.now() + _FUTURE:
            raise ProtocolViolation(
                f"node '{self.name}' stamps its message {envelope.sent_at:g} s, far in the future"
            )
        # no earlier than light could have brought it, whatever the sender says
        await self.clock.until(
            max(envelope.arrives_at, envelope.sent_at + self.channel.least(envelope.sent_at))
        )
        return message
