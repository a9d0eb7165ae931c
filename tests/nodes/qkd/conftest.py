"""Two roles, Eve between them, and no clock: a wait for what cannot come any more ends at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from nodes.errors import DeadlinePassed, NodeError, ProtocolViolation
from nodes.identity import Identity
from nodes.ports import Peer

MessageT = TypeVar("MessageT")
Role = Callable[[Peer], Awaitable[Any]]
Tamper = Callable[[str, int, Any], Sequence[object]]


def faithfully(sender: str, number: int, message: object) -> Sequence[object]:
    return [message]


@dataclass
class Wire:
    """What ``sender`` sends the other role becomes what ``tamper`` makes of it."""

    tamper: Tamper
    inboxes: dict[str, deque[object]] = field(default_factory=lambda: {"alice": deque(), "bob": deque()})
    waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=lambda: {"alice", "bob"})
    sent: dict[str, int] = field(default_factory=lambda: {"alice": 0, "bob": 0})

    async def played(self, name: str, role: Role) -> Any:
        """Return what the role returns, or its ``NodeError``."""
        try:
            return await role(End(self, sender=name, name=other(name)))
        except NodeError as error:
            return error
        finally:
            self.at_work.remove(name)
            self.end_hopeless_waits()

    def deliver(self, sender: str, message: object) -> None:
        recipient, number = other(sender), self.sent[sender]
        self.sent[sender] += 1
        self.inboxes[recipient].extend(self.tamper(sender, number, message))
        future = self.waiting.get(recipient)
        if future is not None and self.inboxes[recipient] and not future.done():
            future.set_result(None)

    def end_hopeless_waits(self) -> None:
        if set(self.waiting) == self.at_work and not any(self.inboxes[role] for role in self.waiting):
            for role, future in self.waiting.items():
                if not future.done():
                    future.set_exception(DeadlinePassed(other(role), 30.0))


@dataclass
class End:
    """A ``Peer`` over a ``Wire``."""

    wire: Wire
    sender: str
    name: str

    async def send(self, message: object) -> None:
        self.wire.deliver(self.sender, message)
        await asyncio.sleep(0)

    async def receive(self, kind: type[MessageT]) -> MessageT:
        inbox = self.wire.inboxes[self.sender]
        if not inbox:
            self.wire.waiting[self.sender] = asyncio.get_running_loop().create_future()
            self.wire.end_hopeless_waits()
            try:
                await self.wire.waiting[self.sender]
            finally:
                del self.wire.waiting[self.sender]
        message = inbox.popleft()
        if not isinstance(message, kind):
            raise ProtocolViolation(f"{self.name} sent {type(message).__name__}, not {kind.__name__}")
        return message


def other(role: str) -> str:
    return {"alice": "bob", "bob": "alice"}[role]


@pytest.fixture
def converse() -> Callable[..., Awaitable[tuple[Any, Any]]]:
    """Return what plays two roles over a wire: their results, or the ``NodeError`` of a role that failed."""

    async def conversed(alice: Role, bob: Role, tamper: Tamper = faithfully) -> tuple[Any, Any]:
        wire = Wire(tamper)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            tasks = [group.create_task(wire.played(*part)) for part in (("alice", alice), ("bob", bob))]
        return tasks[0].result(), tasks[1].result()

    return conversed


@pytest.fixture(scope="session")
def identities() -> dict[str, Identity]:
    """Return who alice and bob are; they know each other."""
    seeds = {name: name.encode().ljust(32) for name in ("alice", "bob")}
    public = {name: Identity.public_key_of(seed) for name, seed in seeds.items()}
    return {
        name: Identity(name, seed, {peer: key for peer, key in public.items() if peer != name})
        for name, seed in seeds.items()
    }
