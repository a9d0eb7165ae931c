"""The topics of a lab.

    <lab>/<sender>/to/<recipient>/<protocol>    an envelope
    <lab>/<sender>/pub/<channel>                an announcement; ``status`` is retained, ``events`` is not

A broker checks that nobody publishes below another party's name, so the sender in a topic is authentic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from broker.errors import InvalidName

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class EnvelopeTopic:
    """Where one party writes to another."""

    lab: str
    sender: str
    recipient: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.lab}/{self.sender}/to/{self.recipient}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class AnnouncementTopic:
    """Where one party writes to all."""

    lab: str
    sender: str
    channel: str

    def __str__(self) -> str:
        return f"{self.lab}/{self.sender}/pub/{self.channel}"


def valid_name(name: str, role: str = "party") -> str:
    """Return ``name`` if a topic can hold it: 1 to 64 letters, digits, ``_``, ``-``, a letter or digit first.

    ``role`` says in the error what was named. Raises ``InvalidName``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name!r} cannot name a {role}: "
            "use 1 to 64 letters, digits, '_' and '-', and start with a letter or a digit."
        )
    return name


def inbox_filter(lab: str, name: str) -> str:
    """Return the subscription to every envelope for ``name``."""
    return f"{lab}/+/to/{name}/#"


def announcements_filter(lab: str, channel: str = "#") -> str:
    """Return the subscription to every announcement of the lab, or to those of one channel."""
    return f"{lab}/+/pub/{channel}"


def parse(topic: str) -> EnvelopeTopic | AnnouncementTopic | None:
    """Return what the topic says, or None when it is not one of a lab's."""
    match topic.split("/"):
        case [lab, sender, "to", recipient, protocol] if _all_valid(lab, sender, recipient, protocol):
            return EnvelopeTopic(lab, sender, recipient, protocol)
        case [lab, sender, "pub", channel] if _all_valid(lab, sender, channel):
            return AnnouncementTopic(lab, sender, channel)
        case _:
            return None


def _all_valid(*names: str) -> bool:
    return all(_NAME.fullmatch(name) for name in names)
