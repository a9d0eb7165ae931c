"""One connection to an MQTT broker, from opening to loss. The only file that knows the client library."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from broker.errors import BrokerLost, BrokerRefused, BrokerUnreachable

_AT_LEAST_ONCE = 1
_HANDSHAKE = 5.0
_PARTING = 2.0
_OVERSLEPT = 1.0
"""A timer that goes off so many seconds late tells that this process was stopped, or had no processor."""
_SERVER_UNAVAILABLE = 136
# The client library scans its unconfirmed messages at each publish: more than these make every one slower.
CONCURRENT_PUBLISHES = 32


@dataclass(frozen=True, slots=True)
class Account:
    """Where a broker is and who one is there: the user name is the client id. ``keepalive`` in seconds."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None = None
    keepalive: int = 15

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An MQTT message as it came in; ``retained`` if the broker had kept it for later subscribers."""

    topic: str
    payload: bytes
    retained: bool
    acknowledge: Callable[[], None]


class Connection:
    """A connection that is never opened again. Use as an async context manager, which connects.

    ``arrived`` is called for each message, in the broker's order. A message is confirmed to the broker only
    when its ``acknowledge`` is called; what is left unconfirmed bounds how much the broker sends ahead.
    ``will`` is the topic and payload that the broker publishes, retained, when the connection breaks.
    ``resumed`` tells whether the broker has kept subscriptions and messages from an earlier connection.

    Entering raises ``BrokerUnreachable`` or ``BrokerRefused``.
    """

    def __init__(self, account: Account, will: tuple[str, bytes], arrived: Callable[[Arrival], None]) -> None:
        self.resumed = False
        self._account = account
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._waiting: set[asyncio.Timeout] = set()
        self._client = aiomqtt.Client(
            account.host,
            account.port,
            username=account.username,
            password=account.password,
            identifier=account.username,
            clean_session=False,
            will=aiomqtt.Will(*will, qos=_AT_LEAST_ONCE, retain=True),
            keepalive=account.keepalive,
            timeout=_HANDSHAKE,
            tls_context=account.tls,
            logger=logging.Logger("mqtt", logging.CRITICAL),  # losses are told by ``loss``, once
            queue_type=_queue_that_calls(partial(self._pass_on, arrived)),
            max_inflight_messages=CONCURRENT_PUBLISHES,
            # Without it Nagle's algorithm and delayed acknowledgements hold small messages for 40 ms.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        # The library offers this only underneath: by itself it confirms on arrival, before anyone has looked.
        self._paho = self._client._client
        self._paho.manual_ack_set(True)
        self._paho.on_socket_register_write = self._register_write
        # Nor does it tell whether the broker has known this party.
        self._paho.on_connect = self._note_connected

    async def __aenter__(self) -> Self:
        try:
            await self._client.__aenter__()
        except aiomqtt.MqttError as error:
            self._paho.disconnect()
            raise self._refusal(error) from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._lose()
        with suppress(aiomqtt.MqttError):  # what is gone need not be closed
            await self._client.__aexit__(None, None, None)
        if self._client._disconnected.done():
            self._client._disconnected.exception()  # asyncio complains of an exception that nobody looks at

    async def subscribe(self, filters: list[str]) -> None:
        """Subscribe. Raise ``BrokerRefused`` when one of the filters is not open to this user."""
        try:
            codes = await self._client.subscribe([(topic, _AT_LEAST_ONCE) for topic in filters])
        except aiomqtt.MqttError as error:
            raise self._refusal(error) from error
        for topic, code in zip(filters, codes, strict=True):
            if isinstance(code, ReasonCode) and code.is_failure:
                raise BrokerRefused(
                    f"The broker at {self._account} does not let user {self._account.username!r} subscribe "
                    f"to {topic}: check that lab and user name are those of the broker's lab."
                )

    async def unsubscribe(self, filters: list[str]) -> None:
        """Unsubscribe, so that the broker keeps nothing for a party that has left."""
        with suppress(aiomqtt.MqttError):
            await self._client.unsubscribe(filters, timeout=_PARTING)

    async def publish(self, topic: str, payload: bytes, *, retain: bool, patience: float) -> bool:
        """Publish at least once; return whether the broker confirmed it before the connection was lost.

        Who was stopped for longer than the patience does not know, and publishes again.

        Raise ``BrokerLost`` when it does neither within ``patience`` seconds.
        """
        try:
            async with asyncio.timeout(patience) as scope:
                self._waiting.add(scope)
                try:
                    await self._client.publish(topic, payload, _AT_LEAST_ONCE, retain, timeout=math.inf)
                except aiomqtt.MqttError:
                    await self._gone.wait()
                    return False
                finally:
                    self._waiting.discard(scope)
        except TimeoutError as error:
            if self._gone.is_set() or self._overslept(scope):
                return False
            raise BrokerLost(
                f"The broker at {self._account} has not confirmed a message of {self._account.username!r} for "
                f"{patience} s."
            ) from error
        return True

    async def loss(self) -> str:
        """Wait until the connection is lost and return the reason."""
        try:
            # Messages go straight to ``arrived``; the library's own queue stays empty and only tells the end.
            async for _ in self._client.messages:
                pass
        except aiomqtt.MqttError as error:
            return str(error.__cause__ or error)
        finally:
            self._lose()
        return "closed"

    def _note_connected(self, client: Any, data: Any, flags: Any, code: Any, properties: Any = None) -> None:
        self.resumed = flags.session_present
        self._client._on_connect(client, data, flags, code, properties)

    def _overslept(self, scope: asyncio.Timeout) -> bool:
        """Tell whether a deadline has passed while this process was stopped, and nobody looked what had come."""
        when = scope.when()
        return when is not None and self._loop.time() - when > _OVERSLEPT

    def _lose(self) -> None:
        self._gone.set()
        # The library leaves whoever waits for a confirmation waiting: let their time end now.
        now = self._loop.time()
        for scope in self._waiting:
            if not scope.expired():
                scope.reschedule(now)

    def _pass_on(self, arrived: Callable[[Arrival], None], message: aiomqtt.Message) -> None:
        acknowledge = partial(self._acknowledge, message.mid, message.qos)
        arrived(Arrival(message.topic.value, message.payload, message.retain, acknowledge))

    def _acknowledge(self, message_id: int, qos: int) -> None:
        # After a loss the broker sends the message again, under an id of the next connection.
        if qos and not self._gone.is_set():
            self._paho.ack(message_id, qos)

    def _register_write(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._watch_writable, sock)

    def _watch_writable(self, sock: socket.socket) -> None:
        # The library's own version watches a socket that a failed write has just closed.
        if sock.fileno() >= 0:
            self._loop.add_writer(sock, self._paho.loop_write)

    def _refusal(self, error: aiomqtt.MqttError) -> BrokerRefused | BrokerUnreachable:
        code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
        if isinstance(code, ReasonCode) and code.value != _SERVER_UNAVAILABLE:
            return BrokerRefused(
                f"The broker at {self._account} refused user {self._account.username!r}: {code}. "
                "Check the lab, user name and password; a lab may make new passwords at each start."
            )
        return BrokerUnreachable(
            f"The broker at {self._account} does not answer {self._account.username!r}: "
            f"{str(error) or type(error).__name__}. Check that it runs and speaks MQTT."
        )


def _queue_that_calls(receive: Callable[[aiomqtt.Message], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    class Straight(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            receive(item)

    return Straight
