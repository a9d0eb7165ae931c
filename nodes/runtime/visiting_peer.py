"""Another node that a program is, as an address for messages outside of any run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from nodes.errors import PeerGone
from nodes.runtime.visiting import Acquaintance

MessageT = TypeVar("MessageT")

Last = Callable[[], Acquaintance | None]
"""Returns what there is, or was, between the two since the other program was connected last."""
Meet = Callable[[], Awaitable[Acquaintance]]
"""Waits until the other program is connected; returns what there is between the two."""


class VisitingPeer:
    """A ``nodes.ports.Correspondent``: the program that is the node ``name`` when a message is first sent or awaited.

    ``deadline`` bounds every wait in wall seconds. When that program has left, ``PeerGone`` is raised, also when
    another one has taken its place: that is another peer.
    """

    def __init__(self, name: str, meet: Meet, last: Last, deadline: float, subject: str = "peer") -> None:
        self._name = name
        self._meet = meet
        self._last = last
        self._deadline = deadline
        self._subject = subject
        self._known: Acquaintance | None = None

    @property
    def name(self) -> str:
        """Name the peer's node."""
        return self._name

    def conversation(self, name: str) -> VisitingPeer:
        """Return another conversation with the same party: its messages come in an order of their own."""
        return VisitingPeer(self._name, self._meet, self._last, self._deadline, f"{self._subject}:{name}")

    async def send(self, message: object) -> None:
        """Send a message: a frozen dataclass of numbers, strings, bytes and tuples."""
        known = await self._acquainted("the delivery of a message")
        await known.outgoing(self._subject, self._deadline).send(message)

    async def receive(self, kind: type[MessageT]) -> MessageT:
        """Wait for the peer's next message, which must be of ``kind``."""
        last = self._last()
        if self._known is None and last is not None and last.has_said(self._subject):
            self._known = last  # it may have left since
        known = self._known or await self._acquainted(kind.__name__)
        return await known.incoming(self._subject, self._deadline).receive(kind)

    async def _acquainted(self, awaited: str) -> Acquaintance:
        """Raise ``PeerGone`` when the process that this was has left, and another one is there by now."""
        if self._known is not None and self._known.is_over:
            raise PeerGone(self._name, awaited)
        if self._known is None:
            self._known = await self._meet()
        return self._known
