"""Two nodes that do nothing but send one message to and fro: each message is one turn of the lab's clock."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.ports import Peer


@dataclass(frozen=True)
class Ball:
    """What goes to and fro; ``number`` counts the exchanges."""

    number: int


async def alice(bob: Peer, exchanges: int = 1000) -> None:
    """Serve, and wait for the return."""
    for number in range(exchanges):
        await bob.send(Ball(number))
        await bob.receive(Ball)


async def bob(alice: Peer, exchanges: int = 1000) -> None:
    """Return every ball."""
    for _ in range(exchanges):
        await alice.send(await alice.receive(Ball))
