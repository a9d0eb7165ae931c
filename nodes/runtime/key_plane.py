"""The key plane over the lab's bus: what the key managers of the nodes ask each other, outside of any run.

A question is asked again while no answer has come, so it may arrive twice; who answers does so alike. In real time
question and answer take as long as light does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final
from uuid import uuid4

from broker.envelope import Envelope
from broker.errors import EnvelopeError
from nodes import codec
from nodes.errors import NodeError, Partitioned, ProtocolViolation
from nodes.keys.errors import PeerUnreachable
from nodes.keys.exchange import KemAnswer, KemOffer
from nodes.keys.messages import (
    Announce,
    Announced,
    AskLevel,
    Declined,
    Level,
    Reserve,
    Reserved,
    Withdraw,
    Withdrawn,
)
from nodes.keys.relay import Relay, Relayed
from nodes.runtime.channel import Channel
from nodes.runtime.mail import PostOffice

PROTOCOL: Final = "key-plane"
REQUESTS: Final[Mapping[str, type[object]]] = {
    kind.__name__: kind for kind in (Reserve, Withdraw, Announce, AskLevel, Relay, KemOffer)
}
ANSWERS: Final[Mapping[str, type[object]]] = {
    kind.__name__: kind for kind in (Reserved, Withdrawn, Announced, Level, Relayed, KemAnswer, Declined)
}
_PATIENCE = 1.0
"""Wall seconds after which a question is asked again."""
_ATTEMPTS = 5
_LONGEST_WAYS, _LONGEST_WAIT = 10.0, 1.0
"""A message is believed to be on its way for so many times the delay of its channel and so many emulated seconds."""
_MOST_ANSWERING = 256
"""So many questions are answered at the same time; the rest is asked again."""

Answer = Callable[[str, object], Awaitable[object]]
"""Answers the question of a node; see ``nodes.keys.manager.KeyManager.answer``."""


class BusKeyPlane:
    """A ``nodes.keys.plane.KeyPlane``: ``now`` and ``wait`` are the lab's clock, ``channels`` lead to the nodes."""

    def __init__(
        self,
        office: PostOffice,
        now: Callable[[], float],
        wait: Callable[[float], Coroutine[Any, Any, None]],
        channels: Mapping[str, Channel],
    ) -> None:
        self._office = office
        self._now = now
        self._wait = wait
        self._channels = channels
        self._asked: dict[tuple[str, str], asyncio.Future[Envelope]] = {}
        self._incoming: asyncio.Queue[Envelope] = asyncio.Queue(_MOST_ANSWERING)

    async def ask(self, node: str, request: object, patience: int = 1) -> object:
        """Ask a node's key manager; raise ``PeerUnreachable`` when it does not answer, or cannot be asked any more."""
        if node not in self._channels:
            raise PeerUnreachable(node)
        session = uuid4().hex
        answered = self._asked[node, session] = asyncio.get_running_loop().create_future()
        try:
            for _ in range(_ATTEMPTS):
                await self._post(node, session, request)
                done, _ = await asyncio.wait([answered], timeout=_PATIENCE * patience)
                if done:
                    await self._travelled(answered.result())
                    return _read(answered.result(), ANSWERS)
        except Partitioned as partitioned:
            raise PeerUnreachable(node) from partitioned
        finally:
            del self._asked[node, session]
        raise PeerUnreachable(node)

    async def serve(self, answer: Answer) -> None:
        """Answer what other nodes ask until cancelled."""
        self._office.stand(PROTOCOL, self._take)
        async with asyncio.TaskGroup() as group:
            places = asyncio.Semaphore(_MOST_ANSWERING)
            while True:
                await places.acquire()
                task = group.create_task(self._answer(await self._incoming.get(), answer))
                task.add_done_callback(lambda _: places.release())

    def _take(self, envelope: Envelope) -> None:
        """Take a message, from whomever and in whatever form: who is no node, or asks too much, is not heard."""
        asked = self._asked.get((envelope.sender, envelope.session))
        if asked is not None and envelope.kind in ANSWERS:
            if not asked.done():
                asked.set_result(envelope)
        elif envelope.kind in REQUESTS and envelope.sender in self._channels and not self._incoming.full():
            self._incoming.put_nowait(envelope)

    async def _answer(self, envelope: Envelope, answer: Answer) -> None:
        """Answer one question; what is no question of the protocol gets no answer."""
        await self._travelled(envelope)
        try:
            told = await answer(envelope.sender, _read(envelope, REQUESTS))
            await self._post(envelope.sender, envelope.session, told)
        except (NodeError, EnvelopeError):
            return

    async def _travelled(self, envelope: Envelope) -> None:
        """Wait until light has brought a message; who stamps one for a time far ahead is not believed."""
        latest = self._now() + _LONGEST_WAYS * self._channels[envelope.sender].delay + _LONGEST_WAIT
        await self._wait(min(envelope.arrives_at, latest))

    async def _post(self, node: str, session: str, message: object) -> None:
        now = self._now()
        times = (now, self._channels[node].arrival(now))
        kind, body = codec.kind_of(message), codec.fields_of(message)
        await self._office.post(node, PROTOCOL, session, kind, body, times)


def _read(envelope: Envelope, kinds: Mapping[str, type[object]]) -> object:
    """Read a message of one of ``kinds``. Raise ``ProtocolViolation``."""
    kind = kinds.get(envelope.kind)
    if kind is None:
        raise ProtocolViolation(f"node '{envelope.sender}' sent {envelope.kind}, which no key manager says")
    return codec.build(kind, envelope.body)
