"""Two ends of one conversation in one event loop: peers without time, a bus or a broker, for measurements."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from nodes.codec import decode, encode

MessageT = TypeVar("MessageT")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A ``nodes.ports.Peer`` to whom messages go as bytes, as they do over a bus."""

    name: str
    outbox: asyncio.Queue[bytes]
    inbox: asyncio.Queue[bytes]

    async def send(self, message: object) -> None:
        """Leave a message to the peer."""
        self.outbox.put_nowait(encode(message))

    async def receive(self, kind: type[MessageT]) -> MessageT:
        """Wait for the peer's next message, which must be of ``kind``."""
        return decode(kind, await self.inbox.get())


def mailboxes() -> tuple[Mailbox, Mailbox]:
    """Return whom Alice speaks to and whom Bob speaks to: Bob and Alice."""
    to_bob: asyncio.Queue[bytes] = asyncio.Queue()
    to_alice: asyncio.Queue[bytes] = asyncio.Queue()
    return Mailbox("bob", to_bob, to_alice), Mailbox("alice", to_alice, to_bob)
