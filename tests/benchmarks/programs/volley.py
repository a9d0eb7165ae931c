"""Two nodes that send messages to and fro, several at a time, and do nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.ports import Peer


@dataclass(frozen=True)
class Ball:
    """What goes to and fro; ``number`` counts the exchanges."""

    number: int


async def alice(bob: Peer, exchanges: int = 100, window: int = 8) -> None:
    """Serve ``window`` balls at first, and another one for each that comes back."""
    for number in range(min(window, exchanges)):
        await bob.send(Ball(number))
    for number in range(window, exchanges + window):
        await bob.receive(Ball)
        if number < exchanges:
            await bob.send(Ball(number))


async def bob(alice: Peer, exchanges: int = 100) -> None:
    """Return every ball."""
    for _ in range(exchanges):
        await alice.send(await alice.receive(Ball))
