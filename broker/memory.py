"""The bus in memory, for tests and for labs within one process: rules and errors as over MQTT, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

from broker.announcement import STATUS, Announcement, decode_announcement, encode_announcement
from broker.bus import Delivery
from broker.envelope import Envelope, decode, encode
from broker.errors import ForgedEnvelope
from broker.topics import AnnouncementTopic, valid_name

_Inbox = asyncio.Queue[Delivery | None]


@dataclass(slots=True)
class _Lab:
    """One lab: the inboxes by party, who listens to announcements, the retained statuses."""

    inboxes: dict[str, _Inbox] = field(default_factory=dict)
    listeners: set[str] = field(default_factory=set)
    statuses: dict[str, bytes] = field(default_factory=dict)


class MemoryBroker:
    """The hub of memory buses: delivers what is published to whom it concerns, within its lab, at once.

    As over MQTT, an envelope for a party that has not connected is lost; one for a party whose bus was lost
    waits for its return. Contents pass through their wire form, so nobody shares an object with anybody.
    """

    def __init__(self) -> None:
        self._labs: dict[str, _Lab] = {}

    def bus(self, name: str, lab: str = "lab", *, announcements: bool = False) -> MemoryBus:
        """Return a party's bus; ``announcements`` subscribes to those of the whole lab."""
        return MemoryBus(self, valid_name(name), valid_name(lab, "lab"), announcements=announcements)

    def connect(self, name: str, lab: str, *, announcements: bool) -> _Inbox:
        """Open the party's inbox, with the statuses so far when it listens to announcements."""
        place = self._labs.setdefault(lab, _Lab())
        inbox = place.inboxes.setdefault(name, asyncio.Queue())
        if announcements:
            place.listeners.add(name)
            for sender, payload in place.statuses.items():
                _announce(inbox, AnnouncementTopic(lab, sender, STATUS), payload)
        return inbox

    def disconnect(self, name: str, lab: str, state: str) -> None:
        """Announce ``state`` for the party, and forget its inbox if it has left."""
        status = Announcement(name, STATUS, {"state": state})
        self.announce(AnnouncementTopic(lab, name, STATUS), encode_announcement(status))
        place = self._labs[lab]
        place.listeners.discard(name)
        inbox = place.inboxes.pop(name)
        if state == "lost":
            place.inboxes[name] = _moved(inbox)

    def carry(self, envelope: Envelope) -> None:
        """Deliver the envelope to its recipient."""
        payload = encode(envelope)
        inbox = self._labs[envelope.lab].inboxes.get(envelope.recipient)
        if inbox is not None:
            inbox.put_nowait(Delivery(decode(payload, envelope.topic), _nothing))

    def announce(self, topic: AnnouncementTopic, payload: bytes) -> None:
        """Deliver the announcement to all who listen, and keep it if it is a status."""
        place = self._labs[topic.lab]
        if topic.channel == STATUS:
            place.statuses[topic.sender] = payload
        for listener in place.listeners:
            _announce(place.inboxes[listener], topic, payload)


class MemoryBus:
    """One party's bus in memory."""

    def __init__(self, broker: MemoryBroker, name: str, lab: str, *, announcements: bool) -> None:
        self._broker, self._name, self._lab = broker, name, lab
        self._announcements = announcements

    @property
    def name(self) -> str:
        """Return the party's name."""
        return self._name

    async def __aenter__(self) -> Self:
        self._inbox = self._broker.connect(self._name, self._lab, announcements=self._announcements)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._broker.disconnect(self._name, self._lab, "lost" if isinstance(exc[1], Exception) else "left")
        self._inbox.put_nowait(None)

    async def publish(self, envelope: Envelope) -> None:
        """Deliver the envelope."""
        if (envelope.lab, envelope.sender) != (self._lab, self._name):
            raise ForgedEnvelope(f"{self._name} of lab {self._lab} cannot send as {envelope.topic}.")
        valid_name(envelope.recipient)
        valid_name(envelope.protocol, "protocol")
        self._broker.carry(envelope)
        await asyncio.sleep(0)  # a publish over MQTT lets others run, too

    async def announce(self, channel: str, body: dict[str, Any]) -> None:
        """Tell everyone."""
        topic = AnnouncementTopic(self._lab, self._name, valid_name(channel, "channel"))
        self._broker.announce(topic, encode_announcement(Announcement(self._name, channel, body)))
        await asyncio.sleep(0)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Iterate over what arrives until the bus is closed."""
        while (delivery := await self._inbox.get()) is not None:
            yield delivery
        self._inbox.put_nowait(None)  # the end is there for every reader


def _announce(inbox: _Inbox, topic: AnnouncementTopic, payload: bytes) -> None:
    inbox.put_nowait(Delivery(decode_announcement(payload, topic), _nothing))


def _moved(inbox: _Inbox) -> _Inbox:
    moved: _Inbox = asyncio.Queue()
    while not inbox.empty():
        moved.put_nowait(inbox.get_nowait())
    return moved


def _nothing() -> None:
    """Acknowledge to nobody: memory loses nothing, so nothing comes again."""
