"""amqtt's broker with the lab's access rule, and without its defects that a lab would meet.

The project's dependencies bind amqtt to version 0.12 because methods of its own are replaced here:

- ``_initialize_client_session``: amqtt gives a session to whoever names its client id, and only then checks
  the password. Here nothing is touched before the credentials are right. Sessions are always clean: what
  amqtt keeps over a disconnection it does not deliver afterwards.
- ``_topic_filtering``: the access rule, at once instead of in one task per plugin and message.
- ``_run_broadcast``: amqtt walks its subscriptions while others change them, and a message is dropped.
- ``_publish_retained_messages_for_subscription``: on connecting, amqtt sends retained messages for the
  subscriptions of all clients.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from typing import Any

from amqtt.adapters import ReaderAdapter, StreamReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, ListenerConfig, ListenerType
from amqtt.contexts import BrokerConfig as AmqttConfig
from amqtt.errors import MQTTError, NoDataError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import OutgoingApplicationMessage, Session

from broker.errors import EnvelopeError
from broker.programs.program import MAX_PACKET, BrokerConfig

LISTENER = "default"
_HANDSHAKE = 10.0


class LimitedReader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt is untyped
    """A reader that refuses a packet longer than the limit before any of it is kept."""

    async def read(self, n: int = -1) -> bytes:
        """Read ``n`` bytes. Raises ``EnvelopeError`` when they are too many."""
        if n > MAX_PACKET:
            raise EnvelopeError(f"A packet of {n} bytes exceeds the limit of {MAX_PACKET}.")
        data: bytes = await super().read(n)
        return data


class AbortableWriter(StreamWriterAdapter):  # type: ignore[misc]  # amqtt is untyped
    """A writer whose connection can be ended at once."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__(writer)
        self.abort = writer.transport.abort


class LabBroker(Broker):  # type: ignore[misc]  # amqtt is untyped
    """A broker of one lab. Connections are given to it; it does not listen."""

    def __init__(self, config: BrokerConfig) -> None:
        listener = ListenerConfig(type=ListenerType.EXTERNAL, bind="")
        super().__init__(AmqttConfig(listeners={LISTENER: listener}, plugins={}))
        self._users = config.users
        self._access = config.access

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
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
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
            await self._take_over(session.client_id or "")
        else:
            handler.attach(session, reader, writer)
            await handler.mqtt_connack_authorize(False)
            raise MQTTError(f"{remote_address}:{remote_port} is not who it says.")
        return handler, session

    async def _take_over(self, client_id: str) -> None:
        """End the client's earlier session. Its reader sees the end of its stream, or might never stop."""
        _, handler = self._sessions.get(client_id, (None, None))
        if handler is not None and handler.writer is not None:
            handler.writer.abort()
        await self._cleanup_session(client_id)

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        user = session.username or ""
        if action == Action.PUBLISH:
            return self._access.may_publish(user, topic)
        return self._access.may_subscribe(user, topic)

    async def _run_broadcast(self, running_tasks: deque[asyncio.Task[OutgoingApplicationMessage]]) -> None:
        broadcast: dict[str, Any] = await self._broadcast_queue.get()
        for topic_filter, subscriptions in list(self._subscriptions.items()):
            if not self._matches(broadcast["topic"], topic_filter):
                continue
            for session, qos in list(subscriptions):
                handler = self._get_handler(session)
                if handler is not None and session.transitions.state == "connected":
                    message = handler.mqtt_publish(broadcast["topic"], broadcast["data"], qos, retain=False)
                    running_tasks.append(asyncio.ensure_future(message))

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(subscriber is session for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)
