"""The shared-state service without sockets: bytes and deadlines in, bytes out.

    connection ──▶ hello ──▶ session ──▶ requests ──▶ answers
                    │           └── cut ──▶ lease ──▶ resumed, or departed
                    └── refused

The shell around it calls ``open``, ``receive`` and ``closed`` for every connection, and ``tick`` at
``next_deadline``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from secrets import token_hex
from typing import Final

from shared_state.admission import Hello, admit
from shared_state.clock import lab_clock
from shared_state.config import ServerConfig
from shared_state.connection import Connection
from shared_state.dice import Dice
from shared_state.dispatch import Dispatch, Request
from shared_state.errors import InternalError, NameInUse, SessionExpired, SharedStateError, WireError
from shared_state.session import ANY_RUN, Session
from shared_state.vocabulary import OPERATIONS, look_up
from shared_state.wire import MAX_FRAME, Message, encode
from shared_state.world.nature import Nature

HELLO_WITHIN: Final = 5.0
"""Wall seconds in which a new connection must say who it is."""
TURN: Final = 0.005
"""Wall seconds after which a connection that asks on and on lets the others have their turn."""
_ALWAYS_ANSWERED: Final = ("mark", "bye")
"""These report no earlier failure: nobody reads their answers."""

_log = logging.getLogger(__name__)


class Service:
    """One lab's quantum world and the sessions with it. ``monotonic`` returns wall seconds."""

    def __init__(self, config: ServerConfig, monotonic: Callable[[], float]) -> None:
        self.config = config
        self._monotonic = monotonic
        self._nature = Nature(config.world, lab_clock(config.world.clock, monotonic), Dice(config.world.seed))
        self._dispatch = Dispatch(self._nature)
        self._sessions: dict[tuple[str, str], Session] = {}
        self._connections: dict[Connection, Session | None] = {}
        self._outbox: dict[Connection, None] = {}

    def open(self, ready: Callable[[Connection], None]) -> Connection:
        """Take a new connection; ``ready`` is called when it has something to write or is to be closed."""
        connection = Connection(ready, self._outbox, self._monotonic() + HELLO_WITHIN)
        self._connections[connection] = None
        return connection

    def receive(self, connection: Connection, data: bytes) -> bool:
        """Take in what a connection has read, for one turn; tell whether there may be more to do.

        If so, the shell calls again when the others have had their turn, with no data, and reads no more
        until then.
        """
        if connection.closing or connection not in self._connections:
            return False
        until = self._monotonic() + TURN
        unfinished = False
        try:
            with closing(connection.decoder.messages(data)) as messages:
                for message in messages:
                    self._hear(connection, message)
                    if unfinished := self._monotonic() > until:
                        break
        except SharedStateError as error:
            connection.refuse(error)
        self._write()
        return unfinished

    def closed(self, connection: Connection) -> None:
        """Note that a connection is gone. Its session's lease begins to run."""
        session = self._connections.pop(connection, None)
        if session is not None and session.connection is connection:
            session.connection = None
            session.expires = self._monotonic() + self.config.lease
        self._write()

    def next_deadline(self) -> float | None:
        """Return when ``tick`` has something to do: wall seconds, None for never."""
        hellos = [connection.hello_by for connection in self._connections if connection.hello_by is not None]
        leases = [session.expires for session in self._sessions.values() if session.expires is not None]
        return min(hellos + leases, default=None)

    def tick(self) -> None:
        """End the sessions whose lease has run out and the connections that have not said who they are."""
        now = self._monotonic()
        for session in list(self._sessions.values()):
            if session.expires is not None and session.expires <= now:
                self._end(session)
        for connection in self._connections:
            if connection.hello_by is not None and connection.hello_by <= now:
                connection.refuse(WireError(f"no hello came within {HELLO_WITHIN:g} s."))
        self._write()

    def close(self) -> None:
        """Close all connections. Whoever is connected has lost the server."""
        for connection in self._connections:
            connection.close()
        self._write()

    def _hear(self, connection: Connection, message: Message) -> None:
        session = self._connections[connection]
        if connection.closing:
            return  # what was said before this message ended the conversation
        if session is None:
            self._greet(connection, admit(message, self.config))
        else:
            self._request(session, message)

    def _greet(self, connection: Connection, hello: Hello) -> None:
        key = (hello.role, hello.name)
        session = self._sessions.get(key)
        if hello.resume:
            if session is None or session.identity != hello.resume:
                raise SessionExpired(
                    f"the session of {hello.name} has ended: everything it held was traced out."
                )
            self._leave_old_connection(session)
            session.connection = connection
            session.expires = None
            session.acknowledge(hello.received)
        else:
            if session is not None:
                if session.connection is not None:
                    raise NameInUse(f"another {hello.role} {hello.name!r} is connected: end it first.")
                self._end(session)
            session = Session(f"{hello.name}/{token_hex(8)}", hello.name, hello.role, connection)
            self._sessions[key] = session
            if hello.role == "node":
                self._nature.presence.arrive(hello.name)
        connection.hello_by = None
        connection.decoder.limit = MAX_FRAME
        self._connections[connection] = session
        connection.send(encode(self._welcome(session)))
        session.repeat()

    def _welcome(self, session: Session) -> dict[str, Message]:
        return {
            "session": session.identity,
            "mode": self.config.world.clock.mode,
            "scale": self.config.world.clock.scale,
            "now": self._nature.clock.now(),
            "lease": self.config.lease,
            "applied": session.applied,
        }

    def _leave_old_connection(self, session: Session) -> None:
        """Cut a connection whose client knows it to be dead, whatever it looks like from here."""
        if session.connection is not None:
            self._connections[session.connection] = None
            session.connection.close()

    def _request(self, session: Session, message: Message) -> None:
        match message:
            case [int(number), int(received), str(word), list(arguments)]:
                if session.accept(number):
                    self._apply(Request(session, number, word), arguments)
                session.acknowledge(received)
            case _:
                raise WireError("a request is [id, received, operation, arguments].")

    def _apply(self, request: Request, arguments: list[Message]) -> None:
        """Apply a request once; whatever it raises is its answer, or is kept for the next one."""
        session, number, word = request
        run = ANY_RUN
        try:
            values = look_up(word, session.role).read(arguments)
            if "at" in values:
                values["at"] = self._nature.clock.accept(values["at"])
            if not OPERATIONS[word].answered:
                run = self._dispatch.run_of(session, values)
                self._dispatch.post(request, values)
                return
            self._answer(request, values)
        except SharedStateError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a fault met by one request must not end the lab for all
            _log.exception("request %s of %s met a fault", word, session.name)
            failure = InternalError(f"the server met a fault ({error!r}); its log tells the story.")
        else:
            return
        failure.operation = failure.operation or _title(word, arguments)
        if word in OPERATIONS and not OPERATIONS[word].answered:
            session.keep(failure, run)
        else:
            session.refuse(number, failure)

    def _answer(self, request: Request, values: dict[str, object]) -> None:
        session, number, word = request
        failure = None
        if session.has_failures and word not in _ALWAYS_ANSWERED:
            failure = session.take_failure(self._dispatch.run_of(session, values))
        if failure is not None:
            if word == "close_run":  # what cleans up does so in any case, and then reports
                self._dispatch.links.close_run(session.name, str(values["run"]))
            raise failure
        if word == "census":
            session.answer(number, self._census())
        else:
            self._dispatch.answer(request, values)
        if word == "bye":
            self._end(session)

    def _end(self, session: Session) -> None:
        """End a session: a node's departure, and whatever the last referee holds."""
        del self._sessions[session.role, session.name]
        if session.connection is not None:
            self._connections[session.connection] = None
            session.connection.close()
        if session.role == "node":
            self._nature.presence.depart(session.name)
            self._dispatch.links.depart(session.name)
        elif not any(role == "oracle" for role, _ in self._sessions):
            for holding in self._nature.ledger.of_referee():
                self._nature.drop(holding)

    def _census(self) -> list[Message]:
        state, ledger, queues = self._nature.state, self._nature.ledger, self._dispatch.links.queues
        held: dict[str, Message] = dict(ledger.counts())
        return [
            len(state), state.clusters, held, len(ledger.of_referee()), ledger.reserved(), queues.light(),
            len(self._sessions), len(queues),
        ]  # fmt: skip

    def _write(self) -> None:
        while self._outbox:
            connection, _ = self._outbox.popitem()
            connection.ready(connection)


def _title(word: str, arguments: list[Message]) -> str:
    """Name an operation as its user knows it: a gate by the gate."""
    match word, arguments:
        case "gate", [_, str(gate), *_]:
            return f"gate {gate}"
    return word
