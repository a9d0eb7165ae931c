"""The mail of one run at one node, round by round.

A session is named ``run``, ``run:round`` or ``run:round:service``. Rounds are played one after the other, so all that
is kept of one goes at once when it is over; what belongs to none, as that of a visit or a circuit, stays with the run.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.envelope import Envelope
from broker.inbox import Sequencer


@dataclass(slots=True)
class Mailbox:
    """What one sender has sent in one session and nobody has received yet.

    ``lost``: a message that did not come, by its number and the wall seconds for which it was waited.
    """

    waiting: deque[Envelope] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    lost: tuple[int, float] | None = None


@dataclass(slots=True)
class RoundMail:
    """What is kept of one round, or of all that belongs to none. ``sent`` and ``delivered`` count by party and session,
    ``boxes`` are by session and party."""

    boxes: dict[tuple[str, str], Mailbox] = field(default_factory=dict)
    sequencer: Sequencer = field(default_factory=Sequencer)
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    delivered: dict[tuple[str, str], int] = field(default_factory=dict)

    def unread(self) -> list[Envelope]:
        """Return all that nobody has received."""
        return [envelope for box in self.boxes.values() for envelope in box.waiting]


class RunMail:
    """The mail of one run. ``members`` are its parties, None while this one has not heard of it, and then ``opener``
    is who sent the first message."""

    def __init__(self, opener: str) -> None:
        self.opener = opener
        self.members: frozenset[str] | None = None
        self._rounds: dict[int, RoundMail] = {}
        self._over: set[tuple[str, str]] = set()
        self._played = -1

    def of(self, session: str) -> RoundMail:
        """Return what is kept of the round that a session belongs to."""
        number = _round_of(session)
        kept = self._rounds.get(number)
        if kept is None:
            kept = self._rounds[number] = RoundMail()
        return kept

    def gap(self, sender: str, session: str) -> int | None:
        """Return the number of a message that is missing while later ones wait, None when none is."""
        kept = self._known(session)
        return None if kept is None else kept.sequencer.gap(sender, session)

    def last_delivered(self, sender: str, session: str) -> int:
        """Return the number of the last message that was due, -1 when none was."""
        kept = self._known(session)
        return -1 if kept is None else kept.delivered.get((sender, session), -1)

    def box(self, session: str, sender: str) -> Mailbox:
        """Return the mailbox of a sender in a session."""
        return self.of(session).boxes.setdefault((session, sender), Mailbox())

    def has_unread(self, session: str, sender: str) -> bool:
        """Tell whether there is something from a sender in a session that nobody has received."""
        kept = self._known(session)
        box = kept.boxes.get((session, sender)) if kept else None
        return box is not None and bool(box.waiting)

    def boxes(self) -> Iterator[tuple[tuple[str, str], Mailbox]]:
        """Yield all mailboxes, each with its session and sender."""
        for each in self._rounds.values():
            yield from each.boxes.items()

    def unread(self) -> list[Envelope]:
        """Return all that nobody has received."""
        return [envelope for each in self._rounds.values() for envelope in each.unread()]

    def take_out(self, prefix: str) -> list[Envelope]:
        """Remove the mailboxes of the sessions that begin with ``prefix``; return what was in them."""
        taken = list[Envelope]()
        for each in self._rounds.values():
            for key in [key for key in each.boxes if key[0].startswith(prefix)]:
                taken += each.boxes.pop(key).waiting
        return taken

    def end_round(self, session: str) -> list[Envelope]:
        """Forget a round, and remember that it and those before it are over; return what nobody has received."""
        number = _round_of(session)
        self._played = max(self._played, number)
        over = self._rounds.pop(number, None)
        return [] if over is None else over.unread()

    def has_played(self, session: str) -> bool:
        """Tell whether the round that a session belongs to is over."""
        return 0 <= _round_of(session) <= self._played

    def greet(self, party: str) -> None:
        """Count what a party says and is told from the beginning: another process has taken its place."""
        self._over = {over for over in self._over if over[0] != party}
        for each in self._rounds.values():
            each.sequencer.forget_sender(party)
            for sent in [sent for sent in each.sent if sent[0] == party]:
                del each.sent[sent]

    def hang_up(self, sender: str, session: str) -> None:
        """Let who waits for a sender in a session, or one below it, know that nothing more comes from there."""
        self._over.add((sender, session))
        for (each, whose), box in self.boxes():
            if whose == sender and _belongs(each, session):
                box.changed.set()

    def is_over(self, sender: str, session: str) -> bool:
        """Tell whether nothing more comes from a sender in a session."""
        return any(sender == whose and _belongs(session, over) for whose, over in self._over)

    def listen_again(self, sender: str, session: str) -> None:
        """Wait again for a sender with whom it was hung up in a session."""
        self._over.discard((sender, session))

    def wake(self, sender: str) -> None:
        """Let who waits for a sender look again."""
        for (_, whose), box in self.boxes():
            if whose == sender:
                box.changed.set()

    def _known(self, session: str) -> RoundMail | None:
        """Return what ``of`` does, and None where nothing is kept yet."""
        return self._rounds.get(_round_of(session))


def run_of(session: str) -> str:
    """Return the run that a session belongs to."""
    return session.partition(":")[0]


def _round_of(session: str) -> int:
    """Return the number of the round that a session belongs to; -1 for what is of the run, of a visit or a request."""
    _, _, rest = session.partition(":")
    number = rest.partition(":")[0]
    return int(number) if number.isascii() and number.isdecimal() else -1


def _belongs(session: str, above: str) -> bool:
    return session == above or session.startswith(above + ":")
