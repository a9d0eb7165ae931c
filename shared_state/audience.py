"""Who asks for the events of a lab, and waits for more of them.

    told     [name, count]     how many there have been, once there are more than a number: at once for -1
    events   [first, lines]    those after a number that are kept, at once, none if there are none

To ask changes nothing in the quantum world and belongs to no run: it is not written in a journal, charged to nobody,
and holds no turn of virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared_state.errors import SharedStateError
from shared_state.recent_events import RecentEvents
from shared_state.session import Session
from shared_state.vocabulary import look_up
from shared_state.wire import Message

ASKED: Final = ("told", "events")


class Audience:
    """The requests for ``events`` that are not answered yet: all that were heard are, or wait, after ``answer``."""

    def __init__(self, events: RecentEvents) -> None:
        self._events = events
        self._asked: list[tuple[Session, int, int]] = []

    def hear(self, session: Session, number: int, received: int, word: str, arguments: list[Message]) -> None:
        """Take in a request, once; the client has heard the answers up to ``received``."""
        session.received = received
        try:
            values = look_up(word, session.role).read(arguments)
            if word == "events":
                session.answer(number, list(self._events.since(values["after"])))
            else:
                session.wait(number, word)
                self._asked.append((session, number, values["beyond"]))
        except SharedStateError as error:
            error.operation = word
            session.refuse(number, error)
        session.acknowledge(received)

    def answer(self, sessions: Mapping[tuple[str, str], Session]) -> None:
        """Answer whoever has waited for what there is now; forget those whose session is not among ``sessions``."""
        waiting, self._asked = self._asked, []
        for session, number, beyond in waiting:
            if sessions.get((session.role, session.name)) is not session:
                continue
            if self._events.lines > beyond:
                session.answer(number, [self._events.name, self._events.lines])
            else:
                self._asked.append((session, number, beyond))
