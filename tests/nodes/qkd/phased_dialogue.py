"""Questions and replies in a phase, for two ends that withdraw when they fail; and who listens to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nodes.errors import NodeError
from nodes.ports import Peer, SharedSecret
from nodes.qkd.authentication import AuthenticatedPeer, Tagged
from nodes.qkd.pads import DerivedPads
from tests.nodes.qkd.recorded_pads import RecordedPads

Tamper = Callable[[str, int, Any], Sequence[object]]
Converse = Callable[..., Awaitable[tuple[Any, Any]]]
Role = Callable[[AuthenticatedPeer], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Question:
    value: int


@dataclass(frozen=True, slots=True)
class Reply:
    value: int


def pads_of(role: str) -> RecordedPads:
    peer_role = {"alice": "bob", "bob": "alice"}[role]
    return RecordedPads(DerivedPads(SharedSecret(b"s" * 32, "run-1"), role, peer_role), role)


def authenticated(role: str, play: Role) -> Callable[[Peer], Awaitable[Any]]:
    async def played(peer: Peer) -> Any:
        friend = AuthenticatedPeer(peer, pads_of(role), role, peer.name)
        try:
            return await play(friend)
        except NodeError as failure:
            await friend.give_up(failure)
            raise

    return played


async def ask(bob: AuthenticatedPeer, rounds: int = 3, name: str = "questions") -> list[int]:
    async with bob.phase(name):
        replies = []
        for value in range(rounds):
            await bob.send(Question(value))
            replies.append((await bob.receive(Reply)).value)
    return replies


async def answer(alice: AuthenticatedPeer, rounds: int = 3, name: str = "questions") -> list[int]:
    async with alice.phase(name):
        asked = []
        for _ in range(rounds):
            asked.append((await alice.receive(Question)).value)
            await alice.send(Reply(2 * asked[-1]))
    return asked


class Listener:
    """Delivers everything and remembers it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Tagged]] = []

    def __call__(self, sender: str, number: int, message: Tagged) -> Sequence[object]:
        self.heard.append((sender, message))
        return [message]
