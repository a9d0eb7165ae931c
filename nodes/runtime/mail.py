"""The mail of one node: each conversation gets its messages in order, each exactly once.

A session is named ``run``, ``run:round`` or ``run:round:service``; its mail is kept from the moment it arrives, which
may be before this node has heard of the run, until the round or the run ends here.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from broker.bus import Announcement, Bus
from broker.envelope import Envelope, encode
from broker.errors import InboxOverflow
from broker.inbox import Sequencer
from nodes.errors import DeadlinePassed, PeerGone
from nodes.runtime.orders import CONTROL
from nodes.runtime.presence import Presence

_IN_FLIGHT = 16
_RETURN_GRACE = 2.0
_UNREAD_BYTES = 64 << 20
"""How much of one sender's mail may lie unread; what comes beyond is lost, and who waits for it learns so."""
_UNKNOWN_RUNS = 64
"""For how many runs that this party has not heard of one sender's mail is kept."""
_ENDED_RUNS = 4096
"""How many runs that are over are remembered, so that their late mail is recognised."""


@dataclass(slots=True)
class _Mailbox:
    """What one sender has sent in one session and nobody has received yet."""

    waiting: deque[Envelope] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _RunMail:
    """The mail of one run. ``members`` are its parties, None while this one has not heard of it, and then ``opener``
    is who sent the first message."""

    opener: str
    members: frozenset[str] | None = None
    boxes: dict[tuple[str, str], _Mailbox] = field(default_factory=dict)
    sequencer: Sequencer = field(default_factory=Sequencer)
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)


class PostOffice:
    """Sorts what arrives on the bus into mailboxes; numbers and dispatches what leaves.

    What the lab's control party sends goes to ``orders`` instead. ``on_status`` hears of every party's state.
    """

    def __init__(
        self, bus: Bus, lab: str, on_status: Callable[[str, str], None] = lambda party, state: None
    ) -> None:
        self._bus = bus
        self._lab = lab
        self._on_status = on_status
        self._runs: dict[str, _RunMail] = {}
        self._ended: dict[str, None] = {}
        self._unread: Counter[str] = Counter()
        self._outbox: asyncio.Queue[Envelope] = asyncio.Queue(maxsize=64)
        self._presence = Presence(self._wake, _RETURN_GRACE)
        self.orders: asyncio.Queue[Envelope] = asyncio.Queue()

    @property
    def name(self) -> str:
        """Return the name under which this office sends."""
        return self._bus.name

    async def sort(self) -> None:
        """Put what arrives into its mailboxes until cancelled."""
        async for delivery in self._bus.deliveries():
            match delivery.content:
                case Announcement(sender, "status", body):
                    self.note_status(sender, str(body.get("state")))
                case Envelope() as envelope:
                    self._file(envelope)
                case _:
                    pass  # other channels are for observers
            delivery.acknowledge()

    async def dispatch(self) -> None:
        """Publish the outbox until cancelled, a few messages at a time; raise ``BrokerLost`` when that fails."""
        places = asyncio.Semaphore(_IN_FLIGHT)
        async with asyncio.TaskGroup() as publishing:
            while True:
                await places.acquire()
                envelope = await self._outbox.get()
                publishing.create_task(self._publish(envelope, places))

    async def send(
        self, recipient: str, session: str, protocol: str, kind: str, body: dict[str, Any], sent_at: float
    ) -> None:
        """Number a message and leave it to the dispatch; wait only while the outbox is full.

        Raise ``EnvelopeError`` for a message that cannot travel: too long, or holding what MessagePack cannot write.
        """
        sent = self._runs.setdefault(_run_of(session), _RunMail(self.name)).sent
        sequence = sent[recipient, session]
        envelope = Envelope(self._lab, self.name, recipient, protocol, session, sequence, sent_at, kind, body)
        encode(envelope)  # here, where the sender can be told, and not in the dispatch, which serves all
        sent[recipient, session] += 1
        await self._outbox.put(envelope)

    async def receive(self, sender: str, session: str, awaited: str, deadline: float | None) -> Envelope:
        """Return the sender's next message of the session.

        Raise ``PeerGone`` when the sender has left and sent nothing more, ``DeadlinePassed`` after ``deadline``
        wall seconds (None waits for ever).
        """
        mail = self._runs.setdefault(_run_of(session), _RunMail(self.name))
        box = mail.boxes.setdefault((session, sender), _Mailbox())
        try:
            async with asyncio.timeout(deadline):
                while not box.waiting:
                    if self._presence.gone(sender):
                        raise PeerGone(sender, awaited)
                    box.changed.clear()
                    await box.changed.wait()
        except TimeoutError:
            assert deadline is not None
            missing = mail.sequencer.gap(sender, session)
            lost = "" if missing is None else f" (its message number {missing} is lost; later ones came)"
            raise DeadlinePassed(sender, deadline, awaited + lost) from None
        envelope = box.waiting.popleft()
        self._unread[sender] -= _weight(envelope)
        return envelope

    def begin_run(self, run: str, members: Collection[str]) -> None:
        """Take part in a run with ``members``: its mail is kept until ``end_run``, nobody else's is accepted."""
        self._runs.setdefault(run, _RunMail(self.name)).members = frozenset(members)

    def end_round(self, session: str) -> None:
        """Forget the mail of a round and of the services that worked for it."""
        mail = self._runs[_run_of(session)]
        for key in [key for key in mail.boxes if _belongs(key[0], session)]:
            self._throw_away(mail.boxes.pop(key))
            mail.sequencer.forget(key[0])
        for sent in [sent for sent in mail.sent if _belongs(sent[1], session)]:
            del mail.sent[sent]

    def end_run(self, run: str) -> None:
        """Forget all mail of a run; what still comes for it is dropped."""
        self._forget(run)
        self._ended[run] = None
        if len(self._ended) > _ENDED_RUNS:
            del self._ended[next(iter(self._ended))]

    def note_status(self, party: str, state: str) -> None:
        """Note what a party says of itself, or what is known of it; who waits for one that has gone is told."""
        self._presence.note(party, state)
        self._on_status(party, state)

    def _file(self, envelope: Envelope) -> None:
        run, sender = _run_of(envelope.session), envelope.sender
        if run in self._ended or self._unread[sender] + _weight(envelope) > _UNREAD_BYTES:
            return
        if run not in self._runs:
            self._make_room(sender)
            self._runs[run] = _RunMail(sender)
        mail = self._runs[run]
        if mail.members is not None and sender not in mail.members:
            return
        try:
            due = mail.sequencer.accept(envelope)
        except InboxOverflow:
            return  # a message is missing for good; who waits for it learns so from the deadline
        for ready in due:
            if sender == CONTROL:
                self.orders.put_nowait(ready)
                continue
            box = mail.boxes.setdefault((ready.session, sender), _Mailbox())
            box.waiting.append(ready)
            self._unread[sender] += _weight(ready)
            box.changed.set()

    def _make_room(self, opener: str) -> None:
        """Forget the oldest unknown run that this sender has written of, if there are too many."""
        unknown = [run for run, mail in self._runs.items() if mail.members is None and mail.opener == opener]
        if len(unknown) >= _UNKNOWN_RUNS:
            self._forget(unknown[0])

    def _forget(self, run: str) -> None:
        mail = self._runs.pop(run, None)
        for box in mail.boxes.values() if mail else ():
            self._throw_away(box)

    def _throw_away(self, box: _Mailbox) -> None:
        for envelope in box.waiting:
            self._unread[envelope.sender] -= _weight(envelope)

    def _wake(self, party: str) -> None:
        for mail in self._runs.values():
            for (_, sender), box in mail.boxes.items():
                if sender == party:
                    box.changed.set()

    async def _publish(self, envelope: Envelope, places: asyncio.Semaphore) -> None:
        try:
            await self._bus.publish(envelope)
        finally:
            places.release()


def _run_of(session: str) -> str:
    return session.partition(":")[0]


def _belongs(session: str, round_session: str) -> bool:
    return session == round_session or session.startswith(round_session + ":")


def _weight(envelope: Envelope) -> int:
    """Estimate how many bytes a message takes: texts and bytes count, and an allowance for the rest."""
    return 256 + sum(len(value) for value in envelope.body.values() if isinstance(value, str | bytes))
