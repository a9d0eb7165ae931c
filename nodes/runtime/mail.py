"""The mail of one node: each conversation gets its messages in order, each exactly once.

The mail of a session is kept from the moment it arrives, which may be before this node has heard of the run, until the
round or the run ends here (``nodes.runtime.run_mail``).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Protocol

from broker.bus import Announcement, Bus, MailLost
from broker.envelope import Envelope, encode
from broker.errors import InboxOverflow
from nodes.errors import DeadlinePassed, PeerGone
from nodes.runtime import lag
from nodes.runtime.lag import LagFigures
from nodes.runtime.orders import CONTROL, CONTROLLER
from nodes.runtime.outbox import Outbox
from nodes.runtime.partition import Partition
from nodes.runtime.presence import Presence
from nodes.runtime.run_mail import RunMail, run_of
from shared_state.arguments import Despatch
from shared_state.wire import Message

KEYS = "keys"
"""The channel on which a node tells what it has in store: numbers, no key."""
_OUTSIDE = (CONTROL, CONTROLLER)
"""Parties that stand outside of emulated time: what they say is there as soon as it comes."""
_RETURN_GRACE = 1.5
"""Wall seconds; less than the server's lease: in virtual time all know of a death when time goes on without the
dead.
"""
_GAP_PATIENCE = 2.0
"""Wall seconds for which, in real time, a standing conversation waits for a message when later ones have come."""
_UNREAD_BYTES = 64 << 20
"""How much of one sender's mail may lie unread; what comes beyond is lost, and who waits for it learns so."""
_UNKNOWN_RUNS = 64
"""For how many runs that this party has not heard of one sender's mail is kept."""
_MOST_ARRIVED = 1 << 17
"""How many messages that have come over the bus may wait for their time."""
_ENDED_RUNS = 4096
"""How many runs that are over are remembered, so that their late mail is recognised."""


class Timekeeper(Protocol):
    """Where time is virtual: what decides when a message that has come over the bus is there, as
    ``nodes.runtime.turns`` does."""

    def despatch(self, despatch: Despatch) -> None:
        """State that a message is on its way."""

    def look(self) -> None:
        """Notice that a message has come over the bus."""

    def stir(self, callback: Callable[[], None]) -> None:
        """Call back when this party may act."""


class Subscriber(Protocol):
    """What takes the mail of standing conversations as it comes, as ``nodes.runtime.network`` does."""

    def arrived(self, envelope: Envelope) -> None:
        """Take a message; in real time it may be before its time."""

    def lost(self, sender: str, session: str) -> None:
        """Hear that a message is due and does not come."""

    def gone(self, party: str) -> None:
        """Hear that a party has left."""


Note = Callable[[float, str, str, dict[str, Message]], None]
"""Takes an event for the lab's record: its emulated time, session, name and details."""


class PostOffice:
    """Sorts what arrives on the bus into mailboxes; numbers and dispatches what leaves.

    What the lab's control party sends goes to ``orders`` instead. ``on_status`` hears of every party's state,
    ``on_lag`` of what a node tells of its lag, ``on_arrival`` of each message from another node, in real time, and
    ``on_keys`` of what a node tells of the keys that it has in store, ``on_mail_lost`` of an outage of the broker over
    which mail for this party may have been lost. ``process`` tells this one from those that were this party before.
    """

    def __init__(
        self,
        bus: Bus,
        lab: str,
        on_status: Callable[[str, str], None] = lambda party, state: None,
        on_lag: Callable[[str, LagFigures], None] = lambda party, figures: None,
        on_arrival: Callable[[Envelope], None] = lambda envelope: None,
        on_keys: Callable[[str, dict[str, Any]], None] = lambda party, told: None,
        on_mail_lost: Callable[[], None] = lambda: None,
        on_end: Callable[[str], None] = lambda run: None,
        process: str = "",
    ) -> None:
        self._bus = bus
        self._process = process
        self._lab = lab
        self._on_status = on_status
        self._on_lag = on_lag
        self._on_arrival = on_arrival
        self._on_keys = on_keys
        self._on_mail_lost = on_mail_lost
        self._on_end = on_end
        self._runs: dict[str, RunMail] = {}
        self._ended: dict[str, None] = {}
        self._unread: Counter[str] = Counter()
        self._presence = Presence(self._went, _RETURN_GRACE)
        self._timekeeper: Timekeeper | None = None
        self._note: Note | None = None
        self._arrived: dict[tuple[str, str, int], Envelope | None] = {}
        self._subscribers: dict[str, Subscriber] = {}
        self._standing: dict[str, Callable[[Envelope], None]] = {}
        self.processes: dict[str, str] = {}
        """Which process each node has been, as it has last said: another name stands for another process."""
        self.last_arrival = 0.0
        """When the last of the messages to other nodes arrives that were sent here, in emulated seconds."""
        self.orders: asyncio.Queue[Envelope] = asyncio.Queue()
        self.partition = Partition()
        self._outbox = Outbox(bus, self.partition.released)

    @property
    def name(self) -> str:
        """Return the name under which this office sends."""
        return self._bus.name

    def keep_time(self, timekeeper: Timekeeper) -> None:
        """Let a timekeeper decide when messages are there: what comes over the bus waits for ``deliver``."""
        self._timekeeper = timekeeper

    def has_arrived(self, sender: str, session: str, sequence: int) -> bool:
        """Tell whether a message has come over the bus, or will never be wanted or come."""
        there = (sender, session, sequence) in self._arrived
        return there or self._is_past(session) or self._presence.gone(sender)

    def deliver(self, sender: str, session: str, sequence: int) -> None:
        """Put a message that has arrived into its mailbox, if anybody wants it still."""
        envelope = self._arrived.pop((sender, session, sequence), None)
        mail = self._runs.get(run_of(session))
        if mail is None or self._is_past(session):
            self._throw_away(envelope)
            return
        mail.of(session).delivered[sender, session] = sequence
        if envelope is not None:
            self._put(mail, envelope)

    def lose(self, sender: str, session: str, sequence: int, waited: float) -> None:
        """Tell who receives in the session that one of its messages is due and does not come over the bus."""
        if (subscriber := self._subscriber(session)) is not None:
            subscriber.lost(sender, session)
            return
        mail = self._runs.get(run_of(session))
        if mail is not None and not self._is_past(session):
            box = mail.box(session, sender)
            box.lost = (sequence, waited)
            box.changed.set()

    def subscribe(self, prefix: str, subscriber: Subscriber) -> None:
        """Hand all mail of the sessions that begin with ``prefix``, a run and a colon at least, to a subscriber.

        What has come before is handed over now.
        """
        self._subscribers[prefix] = subscriber
        if (mail := self._runs.get(run_of(prefix))) is not None:
            for envelope in mail.take_out(prefix):
                self._put(mail, envelope)

    def unsubscribe(self, prefix: str) -> None:
        """Drop what comes for these sessions from now on."""
        self._subscribers.pop(prefix, None)

    def stand(self, protocol: str, take: Callable[[Envelope], None]) -> None:
        """Hand all mail of a protocol that belongs to no run to ``take`` as it comes, outside of emulated time.

        Its sessions have no colon, as those of runs do.
        """
        self._standing[protocol] = take

    async def emptied(self) -> None:
        """Wait until everything that was left to the dispatch has been published."""
        await self._outbox.emptied()

    async def post(
        self,
        recipient: str,
        protocol: str,
        session: str,
        kind: str,
        body: dict[str, Any],
        times: tuple[float, float],
    ) -> None:
        """Leave a message of a standing protocol to the dispatch; ``times`` are those of sending and of arrival.

        Raise ``EnvelopeError`` for one that cannot travel, ``Partitioned`` as ``send`` does.
        """
        envelope = Envelope(self._lab, self.name, recipient, protocol, session, 0, *times, kind, body)
        size = len(encode(envelope))
        self.partition.check_room(recipient, size)
        if not self.partition.keep(envelope, size):
            await self._outbox.put(envelope)

    def release(self, arrival: Callable[[Envelope], float]) -> None:
        """Let what has waited for the end of a partition travel, each message to its ``arrival``."""
        for envelope, size in self.partition.healed():
            stamped = replace(envelope, arrives_at=arrival(envelope))
            if ":" in stamped.session or stamped.protocol not in self._standing:
                self.last_arrival = max(self.last_arrival, stamped.arrives_at)
                self._state(stamped, size)
            self.partition.released.put_nowait(stamped)

    def _subscriber(self, session: str) -> Subscriber | None:
        return next((each for prefix, each in self._subscribers.items() if session.startswith(prefix)), None)

    def keep_record(self, note: Note) -> None:
        """Tell of every message that is sent; where time is not virtual, of every one that is delivered, too."""
        self._note = note

    async def sort(self) -> None:
        """Put what arrives into its mailboxes until cancelled."""
        try:
            await self._sort()
        finally:
            self._presence.close()

    async def _sort(self) -> None:
        async for delivery in self._bus.deliveries():
            match delivery.content:
                case Announcement(sender, "status", body):
                    if isinstance(process := body.get("process"), str):
                        self.processes[sender] = process
                    self.note_status(sender, str(body.get("state")))
                case Announcement(sender, channel, body) if channel == lag.CHANNEL:
                    if (figures := LagFigures.read(body)) is not None:
                        self._on_lag(sender, figures)
                case Announcement(sender, channel, body) if channel == KEYS:
                    self._on_keys(sender, body)
                case MailLost():
                    self._on_mail_lost()
                case Envelope(protocol=protocol, session=session) as envelope if (
                    protocol in self._standing and ":" not in session
                ):
                    self._standing[protocol](envelope)
                case Envelope() as envelope:
                    self._file(envelope)
                case _:
                    pass  # other channels are for observers
            delivery.acknowledge()

    async def dispatch(self) -> None:
        """Publish what is said until cancelled; raise ``BrokerLost`` when that fails."""
        await self._outbox.dispatch()

    async def send(
        self,
        recipient: str,
        session: str,
        protocol: str,
        kind: str,
        body: dict[str, Any],
        sent_at: float,
        arrives_at: float,
    ) -> None:
        """Number a message and leave it to the dispatch; wait only while the outbox is full.

        Raise ``EnvelopeError`` for a message that cannot travel: too long, or holding what MessagePack cannot write;
        ``PeerGone`` when the recipient has left; ``Partitioned`` when too much waits for the end of a partition.
        """
        if recipient != CONTROL and self._presence.gone(recipient):
            raise PeerGone(recipient, f"the delivery of {kind}")
        sent = self._runs.setdefault(run_of(session), RunMail(self.name)).of(session).sent
        sequence = sent[recipient, session]
        envelope = Envelope(
            self._lab, self.name, recipient, protocol, session, sequence, sent_at, arrives_at, kind, body
        )
        # here, where the sender can be told, and not in the dispatch, which serves all
        size = len(encode(envelope))
        self.partition.check_room(recipient, size)
        sent[recipient, session] += 1
        if recipient not in _OUTSIDE:
            self.last_arrival = max(self.last_arrival, arrives_at)
            self._record(sent_at, "message.sent", "to", recipient, envelope, size)
        if not self.partition.keep(envelope, size):
            self._state(envelope, size)
            await self._outbox.put(envelope)

    def _state(self, envelope: Envelope, size: int) -> None:
        """State that a message is on its way, where somebody keeps the time."""
        if self._timekeeper is not None and envelope.recipient not in _OUTSIDE:
            self._timekeeper.despatch(
                Despatch(
                    envelope.recipient,
                    envelope.arrives_at,
                    envelope.session,
                    envelope.sequence,
                    envelope.protocol,
                    envelope.kind,
                    size,
                )
            )

    async def receive(self, sender: str, session: str, awaited: str, deadline: float | None) -> Envelope:
        """Return the sender's next message of the session.

        Raise ``PeerGone`` when the sender has left and sent nothing more, ``DeadlinePassed`` after ``deadline``
        wall seconds (None waits for ever).
        """
        mail = self._runs.setdefault(run_of(session), RunMail(self.name))
        box = mail.box(session, sender)
        try:
            async with asyncio.timeout(deadline):
                while not box.waiting:
                    if self._presence.gone(sender) or mail.is_over(sender, session):
                        raise PeerGone(sender, awaited)
                    if box.lost is not None:
                        sequence, waited = box.lost
                        raise DeadlinePassed(
                            sender, waited, f"{awaited} (its message number {sequence} is lost)"
                        )
                    box.changed.clear()
                    await box.changed.wait()
        except TimeoutError:
            assert deadline is not None
            missing = mail.gap(sender, session)
            why = "" if missing is None else f" (its message number {missing} is lost; later ones came)"
            if sender in self.partition.severed:
                why = " (a partition lies between the two)"
            raise DeadlinePassed(sender, deadline, awaited + why) from None
        envelope = box.waiting.popleft()
        self._unread[sender] -= _weight(envelope)
        return envelope

    def unread(self, sender: str, session: str) -> bool:
        """Tell whether there is something that the sender has said in a session and nobody has received."""
        mail = self._runs.get(run_of(session))
        return mail is not None and mail.has_unread(session, sender)

    def hang_up(self, sender: str, session: str) -> None:
        """Let who waits for a sender in a session, or one below it, know that nothing more comes from there.

        What has come is received first. In virtual time it is heard of in this party's turn.
        """
        if self._timekeeper is None:
            self._hang_up(sender, session)
        else:
            self._timekeeper.stir(lambda: self._hang_up(sender, session))
            self._timekeeper.look()

    def _hang_up(self, sender: str, session: str) -> None:
        if (mail := self._runs.get(run_of(session))) is not None:
            mail.hang_up(sender, session)

    def listen_again(self, sender: str, session: str) -> None:
        """Wait again for a sender with whom it was hung up in a session."""
        if (mail := self._runs.get(run_of(session))) is not None:
            mail.listen_again(sender, session)

    def begin_run(self, run: str, members: Collection[str]) -> None:
        """Take part in a run with ``members``: its mail is kept until ``end_run``, nobody else's is accepted."""
        self._runs.setdefault(run, RunMail(self.name)).members = frozenset(members)

    def end_round(self, session: str) -> None:
        """Forget the mail of a round and of the services that worked for it; what still comes for it is dropped."""
        self._throw_away(*self._runs[run_of(session)].end_round(session))

    def end_run(self, run: str) -> Counter[str]:
        """Forget all mail of a run; what still comes for it is dropped.

        Count, by recipient, what has waited here for the end of a partition and is lost.
        """
        self._forget(run)
        self._ended[run] = None
        for key in [key for key in self._arrived if run_of(key[1]) == run]:
            self._throw_away(self._arrived.pop(key))
        if len(self._ended) > _ENDED_RUNS:
            del self._ended[next(iter(self._ended))]
        self._on_end(run)
        return self.partition.forget(run)

    def greet(self, run: str, party: str) -> None:
        """Count what a party says and is told in a run from the beginning: another process has taken its place."""
        self._runs[run].greet(party)

    def process_of(self, node: str) -> str | None:
        """Return which process a node is, empty when it has not said so, None when it has gone."""
        return None if self._presence.gone(node) else self.processes.get(node, "")

    def note_status(self, party: str, state: str) -> None:
        """Note what a party says of itself, or what is known of it; who waits for one that has gone is told."""
        self._presence.note(party, state)
        self._on_status(party, state)

    def _file(self, envelope: Envelope) -> None:
        self._sort_in(envelope)
        if self._timekeeper is not None and envelope.sender not in _OUTSIDE:
            key = (envelope.sender, envelope.session, envelope.sequence)
            if (
                not self._is_past(envelope.session)
                and envelope.sequence > self._last_delivered(*key[:2])
                and len(self._arrived) < _MOST_ARRIVED
            ):
                self._arrived.setdefault(key, None)
            self._timekeeper.look()

    def _last_delivered(self, sender: str, session: str) -> int:
        mail = self._runs.get(run_of(session))
        return -1 if mail is None else mail.last_delivered(sender, session)

    def _sort_in(self, envelope: Envelope) -> None:
        run, sender = run_of(envelope.session), envelope.sender
        if sender == CONTROL and envelope.body.get("process", self._process) not in ("", self._process):
            return  # for a process before this one; what is for this one is counted anew
        if self._is_past(envelope.session) or self._unread[sender] + _weight(envelope) > _UNREAD_BYTES:
            return
        if run not in self._runs:
            self._make_room(sender)
            self._runs[run] = RunMail(sender)
        mail = self._runs[run]
        if mail.members is not None and sender not in mail.members:
            return
        try:
            due = mail.of(envelope.session).sequencer.accept(envelope)
        except InboxOverflow:
            return  # a message is missing for good; who waits for it learns so from the deadline
        if not due and self._timekeeper is None and self._subscriber(envelope.session) is not None:
            missing = mail.gap(sender, envelope.session)
            asyncio.get_running_loop().call_later(
                _GAP_PATIENCE, self._check_gap, mail, sender, envelope.session, missing
            )
        for ready in due:
            if sender == CONTROL:
                self.orders.put_nowait(ready)
                continue
            self._unread[sender] += _weight(ready)
            if sender == CONTROLLER:
                self._put(mail, ready)
            elif self._timekeeper is None:
                self._on_arrival(ready)
                if self._note is not None:
                    size = len(encode(ready))
                    self._record(ready.arrives_at, "message.delivered", "from", sender, ready, size)
                self._put(mail, ready)
            else:
                self._arrived[sender, ready.session, ready.sequence] = ready

    def _check_gap(self, mail: RunMail, sender: str, session: str, missing: int | None) -> None:
        """Tell a standing conversation of a message that is missing still."""
        if missing is None or mail.gap(sender, session) != missing:
            return
        if (subscriber := self._subscriber(session)) is not None:
            subscriber.lost(sender, session)

    def _record(self, at: float, event: str, way: str, other: str, envelope: Envelope, size: int) -> None:
        """Tell the record of a message, but nothing of what is in it."""
        if self._note is not None:
            details: dict[str, Message] = {
                "protocol": envelope.protocol,
                "kind": envelope.kind,
                way: other,
                "sequence": envelope.sequence,
                "bytes": size,
            }
            self._note(at, envelope.session, event, details)

    def _put(self, mail: RunMail, envelope: Envelope) -> None:
        if (subscriber := self._subscriber(envelope.session)) is not None:
            self._unread[envelope.sender] -= _weight(envelope)
            subscriber.arrived(envelope)
            return
        box = mail.box(envelope.session, envelope.sender)
        box.waiting.append(envelope)
        box.changed.set()

    def _make_room(self, opener: str) -> None:
        """Forget the oldest unknown run that this sender has written of, if there are too many."""
        unknown = [run for run, mail in self._runs.items() if mail.members is None and mail.opener == opener]
        if len(unknown) >= _UNKNOWN_RUNS:
            self._forget(unknown[0])

    def _forget(self, run: str) -> None:
        if (mail := self._runs.pop(run, None)) is not None:
            self._throw_away(*mail.unread())

    def _throw_away(self, *envelopes: Envelope | None) -> None:
        """Let messages go that nobody has received; None stands for one that had come and been dropped."""
        for envelope in envelopes:
            if envelope is not None:
                self._unread[envelope.sender] -= _weight(envelope)

    def _is_past(self, session: str) -> bool:
        """Tell whether nobody here receives anything more in a session, for its run or its round is over."""
        run = run_of(session)
        mail = self._runs.get(run)
        return run in self._ended or (mail is not None and mail.has_played(session))

    def _went(self, party: str) -> None:
        if self._timekeeper is None:
            self._wake(party)
        else:
            self._timekeeper.stir(lambda: self._wake(party))
            self._timekeeper.look()

    def _wake(self, party: str) -> None:
        for subscriber in self._subscribers.values():
            subscriber.gone(party)
        for mail in self._runs.values():
            mail.wake(party)


def _weight(envelope: Envelope) -> int:
    """Estimate how many bytes a message takes: texts and bytes count, and an allowance for the rest."""
    return 256 + sum(len(value) for value in envelope.body.values() if isinstance(value, str | bytes))
