"""How key managers of different nodes reach each other, and a network of them in memory, with faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from nodes.codec import decode, encode
from nodes.keys.errors import PeerUnreachable
from nodes.ports import Coin


class KeyPlane(Protocol):
    """The classical channel of one node's key manager."""

    async def ask(self, node: str, request: object, patience: int = 1) -> object:
        """Ask the key manager of ``node`` and return its answer; both are frozen dataclasses of ``nodes.keys``.

        The request arrives there once, several times, or not at all, and its answer is that of ``Answers.answer``.
        ``patience``: wait so many times as long as for an answer of one node, which has to ask others first. Raises
        ``PeerUnreachable`` when no answer came; the request may have arrived all the same.
        """


class Answers(Protocol):
    """The receiving end: ``nodes.keys.manager.KeyManager``."""

    async def answer(self, sender: str, request: object) -> object:
        """Answer a request. ``sender`` is certain to have sent it."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What becomes of messages: probabilities, and by how many turns of the event loop one may be late.

    A message that is ``repeated`` arrives again at once, and once more much later.
    """

    lost: float = 0.0
    answer_lost: float = 0.0
    repeated: float = 0.0
    delay: int = 0


Tamper = Callable[[str, str, object], object]
"""Called with sender, recipient and message; returns what arrives instead."""


def _faithfully(sender: str, recipient: str, message: object) -> object:
    return message


@dataclass
class InMemoryNetwork:
    """Key managers in one event loop. All messages cross it in their encoding, and ``overheard`` keeps them."""

    coin: Coin
    faults: Faults = Faults()
    tamper: Tamper = _faithfully
    dead: set[str] = field(default_factory=set)
    overheard: list[bytes] = field(default_factory=list)
    _managers: dict[str, Answers] = field(default_factory=dict)
    _late: list[tuple[str, str, object]] = field(default_factory=list)

    def attach(self, node: str, manager: Answers) -> None:
        """Let requests to ``node`` reach its manager."""
        self._managers[node] = manager

    def plane(self, node: str) -> KeyPlane:
        """Return the plane of one node."""
        return _Plane(self, node)

    async def carry(self, sender: str, recipient: str, request: object) -> object:
        """Bring a request to its recipient and the answer back, with all faults."""
        await self._linger()
        if self._happens(self.faults.lost) or recipient in self.dead or recipient not in self._managers:
            raise PeerUnreachable(recipient)
        if not self._happens(self.faults.repeated):
            answer = await self._deliver(sender, recipient, request)
        else:
            async with asyncio.TaskGroup() as arrivals:
                first = arrivals.create_task(self._deliver(sender, recipient, request))
                arrivals.create_task(self._deliver(sender, recipient, request))
            answer = first.result()
            self._late.append((sender, recipient, request))
        if self._late and self._happens(0.5):
            await self._deliver(*self._late.pop(0))
        await self._linger()
        if self._happens(self.faults.answer_lost) or sender in self.dead or recipient in self.dead:
            raise PeerUnreachable(recipient)
        return self._crossed(recipient, sender, answer)

    async def _deliver(self, sender: str, recipient: str, request: object) -> object:
        await self._linger()
        return await self._managers[recipient].answer(sender, self._crossed(sender, recipient, request))

    def _crossed(self, sender: str, recipient: str, message: object) -> object:
        arriving = self.tamper(sender, recipient, message)
        encoded = encode(arriving)
        self.overheard.append(encoded)
        return decode(type(arriving), encoded)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self.coin.uniform() < probability

    async def _linger(self) -> None:
        if self.faults.delay:
            for _ in range(int(self.coin.integers(self.faults.delay + 1, 1)[0])):
                await asyncio.sleep(0)


@dataclass(frozen=True)
class _Plane:
    network: InMemoryNetwork
    node: str

    async def ask(self, node: str, request: object, patience: int = 1) -> object:
        return await self.network.carry(self.node, node, request)
