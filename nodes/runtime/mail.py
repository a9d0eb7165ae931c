"""The mail of one node: each conversation gets its messages in order, each exactly once.

A session is named ``run``, ``run:round`` or ``run:round:service``; its mail is kept from the moment it arrives, which
may be before this node has heard of the run, until the round or the run ends here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from broker.bus import Announcement, Bus
from broker.envelope import Envelope
from broker.errors import InboxOverflow
from broker.inbox import Sequencer
from nodes.errors import DeadlinePassed, PeerGone
from nodes.runtime.orders import CONTROL

_IN_FLIGHT = 16
_KEPT_STRANGERS = 256
"""For how many runs that are over, or that this party has not heard of, mail is recognised."""


@dataclass(slots=True)
class _Mailbox:
    """What one sender has sent in one session and nobody has received yet."""

    waiting: deque[Envelope] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _RunMail:
    """The mail of one run: ``known`` once this party takes part in it; ``ended`` afterwards, so that late mail is
    recognised."""

    boxes: dict[tuple[str, str], _Mailbox] = field(default_factory=dict)
    sequencer: Sequencer = field(default_factory=Sequencer)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    known: bool = False
    ended: bool = False


class PostOffice:
    """Sorts what arrives on the bus into mailboxes; numbers and dispatches what leaves.

    What the lab's control party sends goes to ``orders`` instead.
    """

    def __init__(
        self, bus: Bus, lab: str, on_status: Callable[[str, dict[str, Any]], None] | None = None
    ) -> None:
        self._bus = bus
        self._lab = lab
        self._on_status = on_status
        self._runs: dict[str, _RunMail] = {}
        self._outbox: asyncio.Queue[Envelope] = asyncio.Queue(maxsize=64)
        self._gone: set[str] = set()
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
                    self.note_status(sender, body)
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
        """Number a message and leave it to the dispatch; wait only while the outbox is full."""
        numbers = self._run(session).sent
        sequence = numbers.get((recipient, session), 0)
        numbers[(recipient, session)] = sequence + 1
        await self._outbox.put(
            Envelope(self._lab, self.name, recipient, protocol, session, sequence, sent_at, kind, body)
        )

    async def receive(self, sender: str, session: str, awaited: str, deadline: float | None) -> Envelope:
        """Return the sender's next message of the session.

        Raise ``PeerGone`` when the sender has left and sent nothing more, ``DeadlinePassed`` after ``deadline``
        wall seconds (None waits for ever).
        """
        box = self._box(session, sender)
        try:
            async with asyncio.timeout(deadline):
                while not box.waiting:
                    if sender in self._gone:
                        raise PeerGone(sender, awaited)
                    box.changed.clear()
                    await box.changed.wait()
        except TimeoutError:
            assert deadline is not None
            missing = self._run(session).sequencer.gap(sender, session)
            lost = "" if missing is None else f" (its message number {missing} is lost; later ones came)"
            raise DeadlinePassed(sender, deadline, awaited + lost) from None
        return box.waiting.popleft()

    async def flush(self) -> None:
        """Wait until the broker has everything that was sent."""
        await self._outbox.join()

    def end_round(self, session: str) -> None:
        """Forget the mail of a round and of the services that worked for it."""
        mail = self._run(session)
        for key in [key for key in mail.boxes if _belongs(key[0], session)]:
            del mail.boxes[key]
            mail.sequencer.forget(key[0])
        for sent in [sent for sent in mail.sent if _belongs(sent[1], session)]:
            del mail.sent[sent]

    def begin_run(self, run: str) -> None:
        """Take part in a run: from here on its mail is kept until ``end_run``, whatever comes for others."""
        self._run(run).known = True

    def end_run(self, run: str) -> None:
        """Forget all mail of a run; what still comes for it is dropped."""
        self._runs[run] = _RunMail(ended=True)

    def note_status(self, sender: str, body: dict[str, Any]) -> None:
        """Note what a party says of itself, or what is known of it; who waits for one that has left is told."""
        if body.get("state") == "ready":
            self._gone.discard(sender)
        else:
            self._gone.add(sender)
            for mail in self._runs.values():
                for (_, from_whom), box in mail.boxes.items():
                    if from_whom == sender:
                        box.changed.set()
        if self._on_status is not None:
            self._on_status(sender, body)

    def _file(self, envelope: Envelope) -> None:
        mail = self._run(envelope.session)
        if mail.ended:
            return
        try:
            due = mail.sequencer.accept(envelope)
        except InboxOverflow:
            return  # a message is missing for good; who waits for it learns so from the deadline
        for ready in due:
            if ready.sender == CONTROL:
                self.orders.put_nowait(ready)
                continue
            box = self._box(ready.session, ready.sender)
            box.waiting.append(ready)
            box.changed.set()

    def _run(self, session: str) -> _RunMail:
        run = session.partition(":")[0]
        if run not in self._runs:
            strangers = [name for name, mail in self._runs.items() if not mail.known]
            if len(strangers) >= _KEPT_STRANGERS:
                del self._runs[strangers[0]]
            self._runs[run] = _RunMail()
        return self._runs[run]

    def _box(self, session: str, sender: str) -> _Mailbox:
        return self._run(session).boxes.setdefault((session, sender), _Mailbox())

    async def _publish(self, envelope: Envelope, places: asyncio.Semaphore) -> None:
        try:
            await self._bus.publish(envelope)
        finally:
            places.release()
            self._outbox.task_done()


def _belongs(session: str, round_session: str) -> bool:
    return session == round_session or session.startswith(round_session + ":")
