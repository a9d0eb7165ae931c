"""Who may write and read what: the one rule that every broker of a lab enforces.

party      publishes below <lab>/<own name>/; subscribes to its inbox and to the lab's announcements
monitor    subscribes to everything in the lab, besides
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.topics import announcements_filter, inbox_filter


@dataclass(frozen=True, slots=True)
class AccessRule:
    """The rule of one lab. ``monitor`` names the user who may read everything."""

    lab: str
    monitor: str

    def may_publish(self, user: str, topic: str) -> bool:
        """Tell whether ``user`` may publish on ``topic``: below its own name only."""
        return topic.startswith(f"{self.lab}/{user}/")

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        """Tell whether all topics that ``topic_filter`` matches are open to ``user``."""
        return any(covers(granted, topic_filter) for granted in self.readable(user))

    def readable(self, user: str) -> tuple[str, ...]:
        """Return the subscriptions that are open to ``user``."""
        everything = (f"{self.lab}/#",) if user == self.monitor else ()
        return (inbox_filter(self.lab, user), announcements_filter(self.lab), *everything)


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
