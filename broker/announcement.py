"""What a party tells everyone, and its MessagePack form on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from broker.envelope import VERSION, pack, unpack
from broker.errors import EnvelopeError
from broker.topics import AnnouncementTopic

STATUS = "status"
"""The channel whose last announcement the broker keeps for whoever comes later."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a party tells everyone: ``channel`` is ``status`` (retained, also the last will) or ``events``."""

    sender: str
    channel: str
    body: dict[str, Any]


def encode_announcement(announcement: Announcement) -> bytes:
    """Write the announcement as a MessagePack map of ``version`` and ``body``. Raises ``EnvelopeError``."""
    record = {"version": VERSION, "body": announcement.body}
    return pack(record, f"The {announcement.channel} of {announcement.sender}")


def decode_announcement(payload: bytes, topic: AnnouncementTopic) -> Announcement:
    """Read the announcement that arrived on ``topic``. Raises ``EnvelopeError``."""
    match unpack(payload, str(topic)):
        case {"version": version, "body": dict(body), **rest} if version == VERSION and not rest:
            return Announcement(topic.sender, topic.channel, body)
    raise EnvelopeError(f"The message on {topic} is no announcement of version {VERSION}.")
