"""From a journal back to the world as it was when the last server wrote in it."""

from __future__ import annotations

from collections.abc import Callable

from shared_state.clock import LabClock
from shared_state.errors import JournalFailed
from shared_state.journal import Journal
from shared_state.picture import view
from shared_state.standing import Standing


def recovered(new: Standing, journal: Journal, clock: LabClock, monotonic: Callable[[], float]) -> Standing:
    """Do again, unheard, what the journal says: from its picture on, or from ``new`` when it has none.

    ``monotonic`` returns wall seconds: what this takes counts towards the next picture. Raises JournalFailed.
    """
    picture = journal.picture()
    standing: Standing = new if picture is None else view(picture, clock)
    standing.record.on = new.record.on
    began = monotonic()
    for entry in journal.entries():
        _repeat(standing, entry)
        standing.nature.state.work_off()
    journal.work(monotonic() - began)
    return standing


def _repeat(standing: Standing, entry: list[object]) -> None:
    match entry:
        case ["begin", "node" | "oracle" as role, str(name), str(identity)]:
            standing.begin(role, name, identity)
        case ["resume", str(role), str(name), int(received)]:
            standing.sessions[role, name].acknowledge(received)
        case ["end", str(role), str(name), str(given_up)]:
            standing.end(standing.sessions[role, name], given_up=given_up)
        case ["ask", str(role), str(name), int(number), int(received), str(word), list(arguments)]:
            session = standing.sessions[role, name]
            session.accept(number)
            standing.take(session, number, received, word, arguments)
        case _:
            raise JournalFailed(f"the journal has an entry that this server does not know: {entry!r:.100}")
