"""Turns: the conservative clock of a lab whose time is virtual.

One party at a time has the turn. It does what it can at the present emulated time and ends its turn by saying until
when it waits; then the earliest thing that is due decides who is next and what time it is. Ties are broken by (time,
node, order of planning), so the course of events is a function of what the parties do, never of how fast they do it.
Nothing happens between two things that are due, so idle time costs nothing.

Chandy and Misra's null messages (CACM 24, 1981, 198) are not needed: the one server knows all that is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, NamedTuple, TypeAlias

from shared_state.clock import MAX_TIME, ROUNDING
from shared_state.errors import BadRequest, LimitExceeded, SharedStateError, TimeReversed
from shared_state.record import Event
from shared_state.wire import Message

MAX_PLANNED: Final = 2**16
"""So many things may be due to one party: messages on their way to it, say."""


class Arrival(NamedTuple):
    """A classical message is due: number ``sequence`` of what ``sender`` says in ``session``.

    ``protocol``, ``kind`` and ``size`` in bytes are for the record.
    """

    sender: str
    session: str
    sequence: int
    protocol: str = ""
    kind: str = ""
    size: int = 0


class Herald(NamedTuple):
    """An answer tells of pairs of ``link``: to a request for the operation ``word`` in ``run``."""

    link: str
    word: str
    run: str


class Answer(NamedTuple):
    """What a request has waited for is due: a herald, a qubit, clicks, or a refusal; ``event`` is for the record.

    ``failed_in``: the run in which something else had failed before, of which the refusal tells.
    """

    request: int
    value: Message
    qubit: int | None = None
    error: SharedStateError | None = None
    event: Event | None = None
    herald: Herald | None = None
    failed_in: str | None = None


class Wake(NamedTuple):
    """The party has asked for a turn."""


class Stalled(NamedTuple):
    """Everybody waits and nothing is due: ``story`` says who for what."""

    story: str


Due: TypeAlias = Arrival | Answer | Wake | Stalled


class _Visit(NamedTuple):
    """Somebody from outside wants time to stand still when all that happens until ``time`` has happened."""

    time: float
    order: int
    who: str
    ticket: object


class _Planned(NamedTuple):
    time: float
    node: str
    order: int
    due: Due


@dataclass(slots=True)
class _Member:
    """A party that takes turns. ``since``: the time of its last turn; ``until``: when it wants the next, at latest."""

    since: float
    until: float = inf
    waits: Sequence[str] = ()
    planned: int = field(default=0)


class Turns:
    """Who has the turn, and what is due. ``grant`` is called with who has the turn, the time, and what is due;
    ``rest`` when nobody has the turn and nothing is due or will be before somebody from outside brings it about;
    ``halted`` with the ticket of who has asked for a halt, and the time, when time stands still for it.

    A party that never ends a turn takes no part: it states the times of what it does and nobody waits for it.
    """

    def __init__(
        self,
        grant: Callable[[str, float, list[Due]], None],
        rest: Callable[[], None] = lambda: None,
        halted: Callable[[object, float], None] = lambda ticket, time: None,
    ) -> None:
        self.now = 0.0
        self.count = 0
        self._grant = grant
        self._rest = rest
        self._halted = halted
        self._members: dict[str, _Member] = {}
        self._running: dict[str, None] = {}
        self._planned: list[_Planned] = []
        self._order = 0
        self._holds: set[str] = set()
        self._visits: list[_Visit] = []

    def __contains__(self, node: object) -> bool:
        return node in self._members

    @property
    def holder(self) -> str | None:
        """Return who has the turn."""
        return next(iter(self._running), None)

    @property
    def at_rest(self) -> bool:
        """Tell whether nobody has the turn, nobody holds time, and nothing is due."""
        timers = any(member.until < inf for member in self._members.values())
        return not (self._running or self._planned or self._holds or self._visits or timers)

    def join(self, node: str) -> None:
        """Let a party take part; it has the turn until it ends it."""
        if node not in self._members:
            self._members[node] = _Member(self.now)
            self._running[node] = None

    def leave(self, node: str) -> None:
        """Let a party go, with all that is due to it."""
        if self._members.pop(node, None) is not None:
            self._running.pop(node, None)
            self._planned = [planned for planned in self._planned if planned.node != node]
            heapify(self._planned)
            self._advance()

    def end(self, node: str, until: float | None, waits: Sequence[str]) -> None:
        """End a party's turn. It wants the next one at ``until`` unless something is due before.

        ``waits`` names what it waits for that somebody else has to bring about; without any it is content.

        Raises:
            TimeReversed: ``until`` has passed.
        """
        if until is not None:
            self._check_future(until, "a timer")
        self.join(node)
        member = self._members[node]
        member.until = inf if until is None else max(until, self.now)
        member.waits = waits
        self._running.pop(node, None)
        self._advance()

    def plan(self, time: float, node: str, due: Due) -> None:
        """Let something be due to ``node`` at ``time``; to one that takes no part, nothing is.

        Raises:
            TimeReversed: that time has passed.
            LimitExceeded: too much is on its way to this node.
        """
        self._check_future(time, "what is due")
        member = self._members.get(node)
        if member is None:
            return
        if member.planned >= MAX_PLANNED and isinstance(due, Arrival | Wake):
            raise LimitExceeded(f"{MAX_PLANNED} messages are on their way to {node}: let some arrive first.")
        member.planned += 1
        self._order += 1
        heappush(self._planned, _Planned(max(time, self.now), node, self._order, due))
        self._advance()

    def withdraw(self, node: str, request: int) -> Answer | None:
        """Take back what is due to a request; return it, None when nothing is."""
        for planned in self._planned:
            if planned.node == node and isinstance(planned.due, Answer) and planned.due.request == request:
                self._planned.remove(planned)
                heapify(self._planned)
                self._members[node].planned -= 1
                return planned.due
        return None

    def recall(self, link: str) -> list[tuple[str, Answer]]:
        """Take back the heralds of a link that come later than now; return each with the node that it was due to."""
        late = {
            planned.order: (planned.node, planned.due)
            for planned in sorted(self._planned)
            if isinstance(planned.due, Answer)
            and planned.due.herald is not None
            and planned.due.herald.link == link
            and planned.time > self.now
        }
        self._planned = [planned for planned in self._planned if planned.order not in late]
        heapify(self._planned)
        for node, _ in late.values():
            self._members[node].planned -= 1
        return list(late.values())

    def hold(self, who: str) -> None:
        """Let time stand still until ``release``: who has the turn keeps it, nobody else gets one."""
        self._holds.add(who)

    def release(self, who: str) -> None:
        """Let time go on, unless somebody else holds it."""
        self._holds.discard(who)
        self._advance()

    def halt(self, until: float | None, who: str, ticket: object) -> None:
        """Let time stand still for ``who``, until ``go_on``, when nobody has the turn and all has happened that is due
        until a time, the present one where it is None or has passed; time goes on until then, whether anything is due
        or not.
        """
        time = self.now if until is None else max(until, self.now)
        self._check_future(time, "a halt")
        self._order += 1
        heappush(self._visits, _Visit(time, self._order, who, ticket))
        self._advance()

    def go_on(self, *whom: str) -> None:
        """Let time go on for whom it stands still, or was to do so."""
        self._visits = [visit for visit in self._visits if visit.who not in whom]
        heapify(self._visits)
        self._holds.difference_update(whom)
        self._advance()

    def abandon(self, visitor: str) -> None:
        """Let time go on for all the halts of a visitor, whose names begin with its own and a slash."""
        halts = [*self._holds, *(visit.who for visit in self._visits)]
        self.go_on(*(who for who in halts if who.startswith(f"{visitor}/")))

    def check(self, node: str, at: float) -> None:
        """Raise TimeReversed when a party that takes turns states a time before its last one."""
        member = self._members.get(node)
        if member is not None and at < member.since - ROUNDING * max(1.0, member.since):
            raise TimeReversed(
                f"{node} states {at!r} s, and its turn began at {member.since!r} s: time does not run backwards."
            )

    def _check_future(self, time: float, what: str) -> None:
        if time < self.now - ROUNDING * max(1.0, self.now):
            raise TimeReversed(f"{what} is stated for {time!r} s, and the lab is at {self.now!r} s already.")
        if time > MAX_TIME:
            raise BadRequest(f"{what} is stated for {time!r} s, and virtual time ends at {MAX_TIME:g} s.")

    def _advance(self) -> None:
        """Give the turn to whoever is next, if nobody has it."""
        if self._holds or self._running:
            return
        time, node = min(((member.until, name) for name, member in self._members.items()), default=(inf, ""))
        if self._planned:
            time, node = min((time, node), self._planned[0][:2])
        if self._visits and self._visits[0].time < time:
            visit = heappop(self._visits)
            self.now = max(self.now, visit.time)
            self._holds.add(visit.who)
            self._halted(visit.ticket, self.now)
            return
        if time == inf:
            self._tell_the_stalled()
            return
        self.now = max(self.now, time)
        due = []
        while self._planned and self._planned[0][:2] <= (self.now, node):
            due.append(heappop(self._planned).due)
        member = self._members[node]
        member.since, member.waits, member.until = self.now, (), inf
        self._running[node] = None
        member.planned -= len(due)
        self.count += 1
        self._grant(node, self.now, due)

    def _tell_the_stalled(self) -> None:
        stalled = {name: member.waits for name, member in sorted(self._members.items()) if member.waits}
        if not stalled:
            self._rest()
            return
        story = "; ".join(f"{name} for {', '.join(waits)}" for name, waits in stalled.items())
        self._holds.add("")  # all of them are told before the first one acts
        for name in stalled:
            self.plan(self.now, name, Stalled(f"at {self.now:.9g} s everybody waits: {story}"))
        self.release("")
