"""amqtt's broker with the lab's access rule, and without its defects that a lab would meet.

The project's dependencies bind amqtt to version 0.12 because methods of its own are replaced here:

- ``_initialize_client_session``: amqtt gives a session to whoever names its client id, and only then checks
  the password. Here nothing is touched before the credentials are right. Sessions are always clean: what
  amqtt keeps over a disconnection it does not deliver afterwards.
- ``_topic_filtering``: the access rule, at once instead of in one task per plugin and message.
- ``_run_broadcast``: amqtt walks its subscriptions while others change them, and a message is dropped.
- ``_publish_retained_messages_for_subscription``: on connecting, amqtt sends retained messages for the
  subscriptions of all clients.
- ``retain_message``: amqtt keeps whatever it is asked to keep, without limit.
- ``_handle_client_session``: a client that amqtt throws out for what it sent stays subscribed, and its will
  is not published. When a client connects again, amqtt stops its earlier session from outside, and both
  wait for ever if that one had just begun. Here it loses its connection, and ends before the next begins.
- ``_client_message_loop``: amqtt waits for ever for the end of a client that hung up while it was greeted.

Nor does amqtt end a connection that has fallen silent, or one whose client lets its messages pile up here.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import defaultdict, deque
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import Action, ListenerConfig, ListenerType
from amqtt.contexts import BrokerConfig as AmqttConfig
from amqtt.errors import MQTTError, NoDataError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from broker.programs.lab_connection import AbortableWriter, LimitedReader
from broker.programs.program import BrokerConfig

LISTENER = "default"
_HANDSHAKE = 10.0
MAX_BACKLOG = 64 << 20
"""How many bytes may be under way to one client, unsent or unacknowledged, before its connection is ended."""
_MESSAGE_OVERHEAD = 4 << 10  # what a message costs here besides its payload: a task and its bookkeeping


class LabBroker(Broker):  # type: ignore[misc]  # amqtt is untyped
    """A broker of one lab. Connections are given to it; it does not listen."""

    def __init__(self, config: BrokerConfig) -> None:
        listener = ListenerConfig(type=ListenerType.EXTERNAL, bind="")
        super().__init__(AmqttConfig(listeners={LISTENER: listener}, plugins={}))
        self._users = config.users
        self._access = config.access
        self._newest: dict[str, AbortableWriter] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        """Tell whether the password is the user's, the client id its name, and the will below its name."""
        expected = self._users.get(session.username or "", "")
        given = session.password or ""
        authentic = hmac.compare_digest(expected.encode(), given.encode()) and expected != ""
        will_allowed = not session.will_flag or self._access.may_publish(
            session.username or "", session.will_topic or ""
        )
        return authentic and session.client_id == session.username and will_allowed

    async def _initialize_client_session(
        self, reader: LimitedReader, writer: AbortableWriter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        try:
            async with asyncio.timeout(_HANDSHAKE):
                handler, session = await BrokerProtocolHandler.init_from_connect(
                    reader, writer, self.plugins_manager
                )
        except (TimeoutError, NoDataError) as error:
            raise MQTTError(f"{remote_address}:{remote_port} has not sent a CONNECT.") from error
        if await self._authenticate(session, self.listeners_config[LISTENER]):
            session.clean_session = True
            session.parent = 0
            reader.patience = 1.5 * session.keep_alive or None  # MQTT 3.1.1 section 3.1.2.10
            session.keep_alive *= 2  # when this is over, amqtt interrupts the reader, and does no more
        else:
            handler.attach(session, reader, writer)
            await handler.mqtt_connack_authorize(False)
            raise MQTTError(f"{remote_address}:{remote_port} is not who it says.")
        return handler, session

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        user = session.username or ""
        if action == Action.PUBLISH:
            return self._access.may_publish(user, topic)
        return self._access.may_subscribe(user, topic)

    async def _run_broadcast(self, running_tasks: deque[asyncio.Task[None]]) -> None:
        broadcast: dict[str, Any] = await self._broadcast_queue.get()
        for topic_filter, subscriptions in list(self._subscriptions.items()):
            if not self._matches(broadcast["topic"], topic_filter):
                continue
            for session, qos in list(subscriptions):
                handler = self._get_handler(session)
                if handler is not None and session.transitions.state == "connected":
                    delivery = self._deliver(handler, broadcast["topic"], broadcast["data"], qos)
                    running_tasks.append(asyncio.ensure_future(delivery))

    async def _deliver(self, handler: BrokerProtocolHandler, topic: str, data: bytes, qos: int) -> None:
        """Send a message to a subscriber, or end its connection if it owes too many already."""
        writer: AbortableWriter = handler.writer
        size = len(data) + _MESSAGE_OVERHEAD
        if writer.backlog + size > MAX_BACKLOG:
            writer.abort()
            return
        writer.backlog += size
        try:
            await handler.mqtt_publish(topic, data, qos, retain=False)
        finally:
            writer.backlog -= size

    async def retain_message(
        self, source_session: Session, topic_name: str, data: bytes, qos: int | None = None
    ) -> None:
        """Keep the message for later subscribers if it is its sender's status; keep nothing else."""
        if self._access.may_retain(source_session.username or "", topic_name):
            await super().retain_message(source_session, topic_name, data, qos)

    async def _handle_client_session(
        self,
        reader: LimitedReader,
        writer: AbortableWriter,
        client_session: Session,
        handler: BrokerProtocolHandler,
        *place: Any,
    ) -> None:
        user = client_session.username or ""
        earlier, self._newest[user] = self._newest.get(user), writer
        if earlier is not None:
            earlier.abort()
        async with self._turns[user]:
            try:
                await super()._handle_client_session(reader, writer, client_session, handler, *place)
            finally:
                writer.abort()
                if client_session.transitions.state == "connected":
                    gone = asyncio.get_running_loop().create_future()
                    gone.set_result(None)
                    await self._handle_disconnect(client_session, handler, gone)
                await self._cleanup_session(user)

    async def _handle_disconnect(
        self, client_session: Session, handler: BrokerProtocolHandler, disconnect_waiter: asyncio.Future[Any]
    ) -> None:
        # What has been confirmed to the client is delivered, also when the client was gone before its turn came.
        waiting = client_session.delivered_message_queue
        while not waiting.empty():
            arrived = asyncio.get_running_loop().create_future()
            arrived.set_result(waiting.get_nowait())
            await self._handle_message_delivery(client_session, handler, arrived)
        await super()._handle_disconnect(client_session, handler, disconnect_waiter)

    async def _client_message_loop(self, client_session: Session, handler: BrokerProtocolHandler) -> None:
        if not handler._reader_stopped.is_set():
            await super()._client_message_loop(client_session, handler)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(subscriber is session for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)
