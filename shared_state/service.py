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
from shared_state.errors import (
    JournalFailed,
    NameInUse,
    SessionExpired,
    SharedStateError,
    WireError,
)
from shared_state.journal import Journal
from shared_state.picture import paint
from shared_state.recovery import recovered
from shared_state.session import Session
from shared_state.standing import Standing
from shared_state.wire import MAX_REQUEST, Message, encode

HELLO_WITHIN: Final = 5.0
"""Wall seconds in which a new connection must say who it is."""
TURN: Final = 0.005
"""Wall seconds after which a connection that asks on and on lets the others have their turn."""
_ALWAYS_ANSWERED: Final = ("mark", "bye")
"""These report no earlier failure: nobody reads their answers."""

_log = logging.getLogger(__name__)


class Service:
    """One lab's quantum world and the sessions with it. ``monotonic`` returns wall seconds.

    With a ``journal`` everything accepted is written down before anything is answered, and a service that opens a
    journal goes on where the last one ended. ``on_failure`` is called when that is not possible any more.
    """

    def __init__(
        self, config: ServerConfig, monotonic: Callable[[], float], journal: Journal | None = None
    ) -> None:
        self.config = config
        self.on_failure: Callable[[JournalFailed], None] = _raise
        self._monotonic = monotonic
        self._clock = lab_clock(config.world.clock, monotonic, journal.age if journal else 0.0)
        seed = config.world.seed if journal is None else journal.entropy
        self._standing = Standing(config.world, self._clock, Dice(seed))
        self._connections: dict[Connection, Session | None] = {}
        self._outbox: dict[Connection, None] = {}
        self._journal: Journal | None = None
        if journal is not None:
            self._standing = recovered(self._standing, journal, self._clock)
            for session in self._standing.sessions.values():
                session.expires = monotonic() + config.lease
            self._journal = journal

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
        leases = [
            session.expires for session in self._standing.sessions.values() if session.expires is not None
        ]
        return min(hellos + leases, default=None)

    def tick(self) -> None:
        """End the sessions whose lease has run out and the connections that have not said who they are."""
        now = self._monotonic()
        for session in list(self._standing.sessions.values()):
            if session.expires is not None and session.expires <= now:
                self._note("end", session.role, session.name)
                self._standing.end(session)
        for connection in self._connections:
            if connection.hello_by is not None and connection.hello_by <= now:
                connection.refuse(WireError(f"no hello came within {HELLO_WITHIN:g} s."))
        self._write()

    def close(self) -> None:
        """Close all connections. Whoever is connected has lost the server."""
        for connection in self._connections:
            connection.close()
        self._write()
        if self._journal is not None:
            self._journal.close()

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
        session = self._standing.sessions.get(key)
        if hello.resume:
            if session is None or session.identity != hello.resume:
                raise SessionExpired(
                    f"the session of {hello.name} has ended: everything it held was traced out."
                )
            self._leave_old_connection(session)
            self._note("resume", *key, hello.received)
            session.acknowledge(hello.received)
        else:
            if session is not None and session.connection is not None:
                raise NameInUse(f"another {hello.role} {hello.name!r} is connected: end it first.")
            identity = f"{hello.name}/{token_hex(8)}"
            self._note("begin", *key, identity)
            session = self._standing.begin(hello.role, hello.name, identity)
        session.connection = connection
        session.expires = None
        connection.hello_by = None
        connection.decoder.limit = MAX_REQUEST
        self._connections[connection] = session
        connection.send(encode(self._welcome(session)))
        session.repeat()

    def _welcome(self, session: Session) -> dict[str, Message]:
        return {
            "session": session.identity,
            "mode": self.config.world.clock.mode,
            "scale": self.config.world.clock.scale,
            "now": self._standing.nature.clock.now(),
            "lease": self.config.lease,
            "durable": self._journal is not None,
            "applied": session.applied,
            "durations": self._standing.durations(session),
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
                    told = self._standing.believed(word, arguments)
                    self._note("ask", session.role, session.name, number, received, word, told)
                    self._standing.take(session, number, received, word, told)
            case _:
                raise WireError("a request is [id, received, operation, arguments].")

    def _note(self, *entry: object) -> None:
        if self._journal is not None:
            self._journal.write(list(entry))

    def _keep(self) -> None:
        """Write down what was accepted before it is answered. A journal that fails ends it all, unanswered."""
        if self._journal is None:
            return
        try:
            if self._journal.commit():
                self._journal.replace(paint(self._standing))
        except JournalFailed as failure:
            self._journal = None
            for connection in self._connections:
                connection.take_output()
                connection.close()
            self.on_failure(failure)

    def _write(self) -> None:
        self._keep()
        while self._outbox:
            connection, _ = self._outbox.popitem()
            connection.ready(connection)


def _raise(failure: JournalFailed) -> None:
    raise failure
