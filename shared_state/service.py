"""The shared-state service without sockets: bytes and deadlines in, bytes out.

    connection ──▶ hello ──▶ session ──▶ requests ──▶ answers
                    │           └── cut ──▶ lease ──▶ resumed, or departed
                    └── refused

The shell around it calls ``open``, ``receive`` and ``closed`` for every connection, ``tick`` at ``next_deadline``, and
``work`` when it is asked to by ``on_work``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from functools import partial
from secrets import token_hex
from typing import Final

from shared_state.admission import Hello, admit
from shared_state.audience import ASKED, Audience
from shared_state.clock import lab_clock
from shared_state.config import ServerConfig
from shared_state.connection import Connection
from shared_state.dice import Dice
from shared_state.errors import (
    JournalFailed,
    NameInUse,
    RecordFailed,
    SessionExpired,
    SharedStateError,
    TurnOverdue,
    WireError,
)
from shared_state.journal import Journal
from shared_state.patience import Patience
from shared_state.picture import paint
from shared_state.recent_events import RecentEvents
from shared_state.record_file import RecordFile
from shared_state.recovery import recovered
from shared_state.session import MAX_KEPT, Session
from shared_state.standing import Standing
from shared_state.wire import MAX_REQUEST, Message, encode

HELLO_WITHIN: Final = 5.0
"""Wall seconds in which a new connection must say who it is."""
READ_WITHIN: Final = 5.0
"""Wall seconds in which the last words on a connection must be read; then it is cut."""
TURN: Final = 0.005
"""Wall seconds after which a connection that asks on and on lets the others have their turn."""
WORK: Final = 0.002
"""Wall seconds of work on large clusters between two turns of the connections; the last slice may take longer."""

_log = logging.getLogger(__name__)


class Service:
    """One lab's quantum world and the sessions with it. ``monotonic`` returns wall seconds.

    With a ``journal`` everything accepted is written down before anything is answered, and a service that opens a
    journal goes on where the last one ended. ``on_failure`` is called when that is not possible any more.

    Whoever may ask for ``record``, where that is in memory, is answered without the quantum world having heard of it.

    What is asked of a large cluster of qubits is done bit by bit: each call of ``on_work`` asks for one of ``work``, in
    a later turn of the shell's loop.
    """

    def __init__(
        self,
        config: ServerConfig,
        monotonic: Callable[[], float],
        journal: Journal | None = None,
        record: RecordFile | RecentEvents | None = None,
    ) -> None:
        self.config = config
        self.on_failure: Callable[[JournalFailed], None] = _raise
        self.on_work: Callable[[], object] = _leave_it
        self._work_awaited = False
        self._monotonic = monotonic
        self._clock = lab_clock(config.world.clock, monotonic, journal.age if journal else 0.0)
        seed = config.world.seed if journal is None else journal.entropy
        self._standing = Standing(config.world, self._clock, Dice(seed, secret=config.world.seed is None))
        self._standing.record.on = record is not None
        self._record = record
        self._audience = Audience(record) if isinstance(record, RecentEvents) else None
        self._connections: dict[Connection, Session | None] = {}
        self._outbox: dict[Connection, None] = {}
        self._journal: Journal | None = None
        self._opened = monotonic()
        self._failed = False
        if journal is not None:
            self._standing = recovered(self._standing, journal, self._clock, monotonic)
            for session in self._standing.sessions.values():
                session.expires = monotonic() + config.lease
            self._journal = journal
            self._write_record()
        self._patience = Patience(config.world.clock.patience, self._standing.turns, monotonic)
        self._patience.note()

    def open(self, ready: Callable[[Connection], None], proven: str | None = None) -> Connection:
        """Take a new connection; ``ready`` is called when it has something to write or is to be closed.

        ``proven``: whom the other side's certificate names, where it has shown one.
        """
        connection = Connection(ready, self._outbox, self._monotonic() + HELLO_WITHIN, proven)
        self._connections[connection] = None
        if self._failed:
            connection.sever()
            self._hand_out()
        return connection

    def receive(self, connection: Connection, data: bytes) -> bool:
        """Take in what a connection has read, for one turn; tell whether there may be more to do.

        If so, the shell calls again when the others have had their turn, with no data, and reads no more
        until then. Nothing more is heard of a session before the work is done that it has caused.
        """
        if connection.closing or connection not in self._connections:
            return False
        if self._is_at_work_for(connection):
            connection.decoder.take(data)
            return True
        until = self._monotonic() + TURN
        unfinished = False
        try:
            with closing(connection.decoder.messages(data)) as messages:
                for message in messages:
                    self._hear(connection, message)
                    if unfinished := self._is_at_work_for(connection) or self._monotonic() > until:
                        break
        except SharedStateError as error:
            if self._connections[connection] is None:
                _log.warning("refused a party: %s", error)
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

    @property
    def has_work(self) -> bool:
        """Tell whether something that was asked for is still to be done."""
        return self._standing.nature.state.backlog > 0

    def work(self) -> None:
        """Do a few slices of what is to be done, some milliseconds, and write what has become known by that."""
        self._work_awaited = False
        began = self._monotonic()
        while self.has_work:
            self._standing.nature.state.work()
            if self._monotonic() >= began + WORK:
                break
        self._note_work(began)
        self._write()

    def next_deadline(self) -> float | None:
        """Return when ``tick`` has something to do: wall seconds, None for never."""
        last = [connection.deadline for connection in self._connections if connection.deadline is not None]
        leases = [
            session.expires for session in self._standing.sessions.values() if session.expires is not None
        ]
        turns = self.config.world.clock.mode == "virtual" and self._standing.sessions and not self.has_work
        return min(last + leases + ([self._patience.look_at()] if turns else []), default=None)

    def tick(self) -> None:
        """End the sessions whose lease has run out, and the connections that have not said who they are.

        Cut those that have not read the last that was said to them.
        """
        now = self._monotonic()
        for session in list(self._standing.sessions.values()):
            if session.expires is not None and session.expires <= now:
                self._end(session)
        for connection in self._connections:
            if connection.deadline is None or connection.deadline > now:
                continue
            if connection.closing:
                connection.sever()
            else:
                connection.refuse(WireError(f"no hello came within {HELLO_WITHIN:g} s."))
        self._end_overdue()
        self._write()

    def close(self) -> None:
        """Close all connections. Whoever is connected has lost the server."""
        self.on_work = _leave_it
        for connection in self._connections:
            connection.close()
        self._write()
        if self._journal is not None:
            self._journal.close()
        if self._record is not None:
            self._record.close()
            self._record = None

    def _is_at_work_for(self, connection: Connection) -> bool:
        session = self._connections[connection]
        return session is not None and session.account.stages > 0

    def _hear(self, connection: Connection, message: Message) -> None:
        session = self._connections[connection]
        if connection.closing:
            return  # what was said before this message ended the conversation
        if session is None:
            self._greet(connection, admit(message, self.config, connection.proven))
        else:
            self._request(session, message)

    def _greet(self, connection: Connection, hello: Hello) -> None:
        key = (hello.role, hello.name)
        session = self._standing.sessions.get(key)
        if hello.resume:
            if session is None or session.identity != hello.resume:
                raise SessionExpired(
                    f"the session of {hello.name} has ended, for its lease had run out or too many answers were never "
                    "acknowledged: everything it held was traced out."
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
        connection.deadline = None
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
            "recorded": self._record is not None,
            "applied": session.applied,
            "durations": self._standing.durations(session),
        }

    def _leave_old_connection(self, session: Session) -> None:
        """Cut a connection whose client knows it to be dead, whatever it looks like from here."""
        if session.connection is not None:
            self._connections[session.connection] = None
            session.connection.sever()

    def _request(self, session: Session, message: Message) -> None:
        match message:
            case [int(number), int(received), str(word), list(arguments)]:
                if not session.accept(number):
                    return
                if self._audience is not None and word in ASKED:
                    self._audience.hear(session, number, received, word, arguments)
                    return
                told = self._standing.believed(word, arguments)
                self._note("ask", session.role, session.name, number, received, word, told)
                if word != "mark":  # a client asks for one by itself, whatever its node does
                    self._patience.heard(session.name)
                began = self._monotonic()
                self._standing.take(session, number, received, word, told)
                self._note_work(began)
            case _:
                raise WireError("a request is [id, received, operation, arguments].")

    def _note(self, *entry: object) -> None:
        if self._journal is not None:
            self._journal.write(list(entry))

    def _note_work(self, began: float) -> None:
        if self._journal is not None:
            self._journal.work(self._monotonic() - began)

    def _end(self, session: Session, given_up: str = "") -> None:
        self._note("end", session.role, session.name, given_up)
        self._standing.end(session, given_up=given_up)

    def _end_overdue(self) -> None:
        """End the session of a party that keeps its turn and says nothing, unless it waits for work done here."""
        if self.has_work or (exhausted := self._patience.exhausted()) is None:
            return
        name, story = exhausted
        session = self._standing.sessions["node", name]
        if session.connection is not None:
            session.connection.refuse(TurnOverdue(story))
        self._end(session, story)

    def _end_overfull(self) -> None:
        """End the sessions whose answers take up too much memory, whether somebody is there to read them or not."""
        while overfull := [session for session in self._standing.sessions.values() if session.overfull]:
            for session in overfull:
                if session.connection is not None:
                    session.connection.refuse(
                        SessionExpired(
                            f"more than {MAX_KEPT} bytes of answers were never acknowledged: the session of "
                            f"{session.name} has ended, and everything it held was traced out."
                        )
                    )
                self._end(session)

    def _keep(self) -> None:
        """Write down what was accepted before it is answered."""
        if self._journal is None:
            return
        try:
            self._journal.commit(self._monotonic() - self._opened)
        except JournalFailed as failure:
            self._give_up(failure)

    def _write_record(self) -> None:
        """Write down what has happened since, but for what a server before this one has written already."""
        if self._record is None:
            return
        record = self._standing.record
        lines = record.take()
        if not lines:
            return
        new = record.count - record.untaken - self._record.lines
        try:
            self._record.write(lines[max(0, len(lines) - new) :])
        except RecordFailed as failure:
            record.on, record.failure = False, str(failure)
            _log.error("%s", failure)
            self._record.close()
            self._record = None

    def _take_picture(self) -> None:
        """Let a picture stand for a long journal, when nothing is half done, or so large that it would take seconds."""
        if self._journal is None or not self._journal.long or self.has_work:
            return
        if self._standing.nature.state.has_large_clusters and not self._journal.too_long:
            return
        try:
            self._journal.replace(partial(paint, self._standing), self._monotonic)
        except JournalFailed as failure:
            self._give_up(failure)

    def _give_up(self, failure: JournalFailed) -> None:
        """End it all, unanswered."""
        self._journal = None
        self._failed = True
        for connection in self._connections:
            connection.sever()
        self._hand_out()
        self.on_failure(failure)

    def _write(self) -> None:
        self._end_overfull()
        self._patience.note()
        self._keep()
        self._write_record()
        if self._audience is not None:
            self._audience.answer(self._standing.sessions)
        self._hand_out()
        self._take_picture()
        if self.has_work and not self._work_awaited:
            self._work_awaited = True
            self.on_work()

    def _hand_out(self) -> None:
        while self._outbox:
            connection, _ = self._outbox.popitem()
            if connection.closing and connection.deadline is None:
                connection.deadline = self._monotonic() + READ_WITHIN
            connection.ready(connection)


def _leave_it() -> None:
    """Leave the work to who calls ``work`` without being asked."""


def _raise(failure: JournalFailed) -> None:
    raise failure
