"""What a node asks the routing controller, and the answers, outside of emulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Final

from broker.envelope import Envelope
from nodes import codec
from nodes.errors import PeerGone, ProtocolViolation
from nodes.network.control import PROTOCOL, NoRoutes, RouteRequest, Routes
from nodes.runtime.clock import RunClock
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import CONTROLLER

_KINDS: Final[Mapping[str, type[Routes | NoRoutes]]] = {"Routes": Routes, "NoRoutes": NoRoutes}
_ANSWERED: Final = 0.5
"""The controller gets this part of the time for which a wait may last, since the lab's clock stands still meanwhile."""


class NoAnswer(Exception):
    """The routing controller does not tell any ways; the message says why."""


class Inquiries:
    """The questions of one node in one run; ``deadline`` in wall seconds bounds every single wait of the run."""

    def __init__(self, office: PostOffice, clock: RunClock, session: str, deadline: float) -> None:
        self._office = office
        self._clock = clock
        self._session = session
        self._patience = _ANSWERED * deadline
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Envelope]] = {}

    async def ask(self, request: RouteRequest) -> Routes | NoRoutes:
        """Ask for ways; emulated time stands still meanwhile. Raise ``NoAnswer``."""
        number = next(self._numbers)
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        body = codec.fields_of(request) | {"number": number}
        now = self._clock.now()
        try:
            await self._office.send(CONTROLLER, self._session, PROTOCOL, "RouteRequest", body, now, now)
            with self._clock.standing_still():
                async with asyncio.timeout(self._patience):
                    envelope = await answered
            return _read(request, envelope)
        except TimeoutError:
            silent = f"the routing controller did not answer within {self._patience:g} s"
            raise NoAnswer(silent) from None
        except PeerGone:
            raise NoAnswer("the routing controller has left") from None
        except ProtocolViolation as violation:
            raise NoAnswer(f"the routing controller is at fault: {violation}") from violation
        finally:
            del self._asked[number]

    def answered(self, envelope: Envelope) -> None:
        """Take what the controller says; what nobody has asked is ignored."""
        number = envelope.body.get("number")
        asked = self._asked.get(number) if isinstance(number, int) else None
        if asked is not None and not asked.done():
            asked.set_result(envelope)


def _read(request: RouteRequest, envelope: Envelope) -> Routes | NoRoutes:
    """Read an answer. Raise ``ProtocolViolation`` for one that is none to this request."""
    kind = _KINDS.get(envelope.kind)
    if kind is None:
        raise ProtocolViolation(f"it answered with {envelope.kind}")
    answer = codec.build(kind, envelope.body)
    if isinstance(answer, Routes):
        _check_ways(request, answer)
    return answer


def _check_ways(request: RouteRequest, answer: Routes) -> None:
    """Raise ``ProtocolViolation`` unless all ways lead there, at least one, and past what is to be avoided."""
    if not answer.ways:
        raise ProtocolViolation("it knows ways, and tells none")
    for way in answer.ways:
        ends = (way.nodes[0], way.nodes[-1]) if way.nodes else ()
        if ends != (request.source, request.destination) or len(way.links) != len(way.nodes) - 1:
            raise ProtocolViolation(f"{way.nodes} by {way.links} does not lead there")
        if {*way.nodes, *way.links} & {*request.avoid_nodes, *request.avoid_links}:
            raise ProtocolViolation(f"{way.nodes} by {way.links} leads over what is to be avoided")
