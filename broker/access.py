"""Who may write and read what: the one rule that every broker of a lab enforces.

party      publishes below <lab>/<own name>/to and <lab>/<own name>/pub, its status alone to be kept;
           subscribes to its inbox and to the lab's announcements
monitor    subscribes to everything in the lab, besides
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.announcement import STATUS
from broker.topics import AnnouncementTopic, announcements_filter, inbox_filter


@dataclass(frozen=True, slots=True)
class AccessRule:
    """The rule of one lab. ``monitor`` names the user who may read everything."""

    lab: str
    monitor: str

    def may_publish(self, user: str, topic: str) -> bool:
        """Tell whether ``user`` may publish on ``topic``: to parties or to all, under its own name."""
        return "+" not in topic and "#" not in topic and _any_covers(self.writable(user), topic)

    def may_retain(self, user: str, topic: str) -> bool:
        """Tell whether what ``user`` publishes on ``topic`` is kept for who subscribes later: its status."""
        return topic == str(AnnouncementTopic(self.lab, user, STATUS))

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        """Tell whether all topics that ``topic_filter`` matches are open to ``user``."""
        return _any_covers(self.readable(user), topic_filter)

    def writable(self, user: str) -> tuple[str, ...]:
        """Return the filters of the topics on which ``user`` may publish."""
        return (f"{self.lab}/{user}/to/#", f"{self.lab}/{user}/pub/#")

    def readable(self, user: str) -> tuple[str, ...]:
        """Return the subscriptions that are open to ``user``."""
        everything = (f"{self.lab}/#",) if user == self.monitor else ()
        return (inbox_filter(self.lab, user), announcements_filter(self.lab), *everything)


def _any_covers(grants: tuple[str, ...], asked: str) -> bool:
    return any(covers(granted, asked) for granted in grants)


def covers(granted: str, asked: str) -> bool:
    """Tell whether every topic that the filter ``asked`` matches is matched by ``granted``, too."""
    granted_levels, asked_levels = granted.split("/"), asked.split("/")
    for index, level in enumerate(granted_levels):
        if level == "#":
            return True
        if index == len(asked_levels):
            return False
        if asked_levels[index] == "#" or level not in ("+", asked_levels[index]):
            return False
    return len(granted_levels) == len(asked_levels)
