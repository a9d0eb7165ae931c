"""The bus over MQTT: one party's place in the classical network, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

from broker.announcement import STATUS, Announcement, decode_announcement, encode_announcement
from broker.bus import Delivery, MailLost
from broker.envelope import Envelope, decode, encode
from broker.errors import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    EnvelopeError,
    ForgedEnvelope,
)
from broker.mqtt_connection import CONCURRENT_PUBLISHES, Account, Arrival, Connection
from broker.telemetry import Record, Sink
from broker.topics import (
    AnnouncementTopic,
    EnvelopeTopic,
    announcements_filter,
    inbox_filter,
    parse,
    valid_name,
)

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_PARTING = 2.0
_LONGEST_TOPIC = 300  # four names and what joins them; MQTT allows a peer 65,535 bytes


class MqttBus:
    """One party's bus over an MQTT 3.1.1 broker.

    ``patience`` is the wall time in seconds for which an outage, or an unconfirmed message, is borne: then
    every waiting call raises ``BrokerLost`` and the bus gives up. ``keepalive`` bounds, in seconds, for how
    long a dead connection goes unnoticed. ``announcements`` subscribes to those of the whole lab, this
    party's own included; ``statuses`` to no others than who is there and who is not. What arrives and is no
    envelope, or a forged one, or was kept by the broker and is no status, is dropped and recorded as
    ``bus.rejected``. ``MailLost`` comes after an outage in which the broker has forgotten this party. ``clock``
    gives the time of the records, by default the event loop's.
    """

    def __init__(
        self,
        name: str,
        lab: str,
        host: str,
        port: int,
        username: str,
        password: str,
        *,
        tls: ssl.SSLContext | None = None,
        announcements: bool = False,
        statuses: bool = False,
        patience: float = 10.0,
        keepalive: int = 15,
        telemetry: Sink | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._name, self._lab = valid_name(name), valid_name(lab, "lab")
        self._account = Account(host, port, username, password, tls, keepalive)
        self._filters = [inbox_filter(lab, name)]
        if announcements or statuses:
            self._filters.append(announcements_filter(lab, "#" if announcements else STATUS))
        self._patience, self._telemetry, self._clock = patience, telemetry, clock
        self._arrivals: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._slots = asyncio.Semaphore(CONCURRENT_PUBLISHES)
        self._settled = asyncio.Event()  # set while there is a connection, and for good after the failure
        self._connection: Connection | None = None
        self._failure: BrokerError | None = None
        self._status: bytes | None = None
        self._closing = False
        self._subscribed = False

    @property
    def name(self) -> str:
        """Return the party's name."""
        return self._name

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._keeper = self._group.create_task(self._keep_connected())
        try:
            await self._settled.wait()
            self._raise_failure()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._part("lost" if isinstance(exc[1], Exception) else "left")
        finally:
            await self._close()

    async def publish(self, envelope: Envelope) -> None:
        """Send the envelope, again after an outage; return when the broker has confirmed it."""
        if (envelope.lab, envelope.sender) != (self._lab, self._name):
            raise ForgedEnvelope(f"{self._name} of lab {self._lab} cannot send as {envelope.topic}.")
        valid_name(envelope.recipient)
        valid_name(envelope.protocol, "protocol")
        await self._confirm(str(envelope.topic), encode(envelope))

    async def announce(self, channel: str, body: dict[str, Any]) -> None:
        """Tell everyone; the last status is told again after an outage, for the last will has replaced it."""
        payload = encode_announcement(Announcement(self._name, valid_name(channel, "channel"), body))
        if channel == STATUS:
            self._status = payload
        await self._confirm(self._topic(channel), payload, retain=channel == STATUS)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Iterate over what arrives until the bus is closed; raise ``BrokerLost`` when the broker is lost."""
        while (delivery := await self._arrivals.get()) is not None:
            yield delivery
        self._arrivals.put_nowait(None)  # the end is there for every reader
        self._raise_failure()

    async def _confirm(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        async with self._slots:
            confirmed = False
            while not confirmed:
                await self._settled.wait()
                self._raise_failure()
                if self._connection is None:
                    raise BrokerLost(f"{self._name} has left the broker at {self._account}.")
                confirmed = await self._connection.publish(
                    topic, payload, retain=retain, patience=self._patience
                )

    async def _keep_connected(self) -> None:
        try:
            await self._hold_connection()
            while not self._closing:
                await self._recover()
        except BrokerError as error:
            self._failure = error
            self._settled.set()
            self._arrivals.put_nowait(None)

    async def _hold_connection(self) -> None:
        """Connect, subscribe and stay until the connection is lost."""
        will = encode_announcement(Announcement(self._name, STATUS, {"state": "lost"}))
        async with Connection(self._account, (self._topic(STATUS), will), self._arrived) as connection:
            if self._subscribed and not connection.resumed:
                self._arrivals.put_nowait(Delivery(MailLost(), lambda: None))
            await connection.subscribe(self._filters)
            self._subscribed = True
            if self._closing:  # Python 3.11 forgets a cancellation that meets the end of a ``wait_for``
                return
            self._connection = connection
            self._settled.set()
            if self._status is not None:
                self._group.create_task(self._restate(self._status))
            try:
                reason = await connection.loss()
            finally:
                self._connection = None
                if not self._closing:
                    self._settled.clear()
        self._record("bus.reconnecting", reason=reason)

    async def _recover(self) -> None:
        """Connect again and stay. Raise ``BrokerLost`` when the broker stays away beyond the patience."""
        now = asyncio.get_running_loop().time
        lost_at = now()
        for pause in _growing_pauses():
            # The pause comes first, or two parties under one name would throw each other out without a rest.
            await asyncio.sleep(pause)
            try:
                await self._hold_connection()
            except (BrokerRefused, BrokerUnreachable) as error:
                if now() - lost_at > self._patience:
                    raise BrokerLost(
                        f"{self._name} lost the broker at {self._account} and has tried for "
                        f"{self._patience} s to come back: {error}"
                    ) from error
            else:
                return

    async def _restate(self, status: bytes) -> None:
        try:
            await self._confirm(self._topic(STATUS), status, retain=True)
        except BrokerLost as error:
            self._record("bus.lost", reason=str(error))

    async def _part(self, state: str) -> None:
        connection = self._connection
        if connection is None:
            return
        payload = encode_announcement(Announcement(self._name, STATUS, {"state": state}))
        try:
            await connection.publish(self._topic(STATUS), payload, retain=True, patience=_PARTING)
        except BrokerLost as error:
            self._record("bus.lost", reason=str(error))
        if state == "left":
            await connection.unsubscribe(self._filters)

    async def _close(self) -> None:
        self._closing = True
        self._settled.set()
        self._arrivals.put_nowait(None)
        self._keeper.cancel()
        await self._group.__aexit__(None, None, None)

    def _arrived(self, arrival: Arrival) -> None:
        topic, shown = parse(arrival.topic), arrival.topic[:_LONGEST_TOPIC]
        content: Envelope | Announcement
        try:
            if arrival.retained and not (isinstance(topic, AnnouncementTopic) and topic.channel == STATUS):
                raise EnvelopeError(f"The message on {shown} is an old one that the broker had kept.")
            match topic:
                case EnvelopeTopic():
                    content = decode(arrival.payload, topic)
                case AnnouncementTopic():
                    content = decode_announcement(arrival.payload, topic)
                case None:
                    raise EnvelopeError(f"{shown} is not a topic of a lab.")
        except EnvelopeError as error:
            self._record("bus.rejected", topic=shown, reason=str(error))
            arrival.acknowledge()
        else:
            self._arrivals.put_nowait(Delivery(content, arrival.acknowledge))

    def _topic(self, channel: str) -> str:
        return str(AnnouncementTopic(self._lab, self._name, channel))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(*self._failure.args)  # anew for each caller, with a trace of its own

    def _record(self, name: str, **fields: Any) -> None:
        if self._telemetry is not None:
            clock = self._clock or asyncio.get_running_loop().time
            self._telemetry.record(Record(name, clock(), self._name, fields=fields))


def _growing_pauses() -> Iterator[float]:
    pause = _SHORTEST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)
