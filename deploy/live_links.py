"""The links of a lab that is up as they are now: what the lab file says, what was changed, which are cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from deploy.errors import NotFound
from deploy.lab import Link
from deploy.link_changes import changes_between
from deploy.link_state import LinkState
from deploy.plan import Plan
from deploy.routes import shortest_paths
from deploy.wording import unknown
from nodes.runtime.channel import Hop

Channels = Mapping[str, tuple[Hop, ...]]
"""What messages pass on their way to each other node."""


class LiveLinks:
    """The links of a plan; each is cut for any number of reasons at a time, and up when none is left."""

    def __init__(self, plan: Plan) -> None:
        self._planned = plan.links
        self._now = dict(plan.links)
        self._cut: defaultdict[str, set[str]] = defaultdict(set)
        self._channels: dict[str, Channels] = {name: node.channels for name, node in plan.nodes.items()}

    def all(self) -> Mapping[str, Link]:
        """Return all links as they are now, by name."""
        return self._now

    def names(self) -> list[str]:
        """Return the names of all links."""
        return list(self._now)

    def link(self, name: str) -> Link:
        """Return a link as it is now. Raise ``NotFound``."""
        self.check(name)
        return self._now[name]

    def planned(self, name: str) -> Link:
        """Return a link as the lab file has it. Raise ``NotFound``."""
        self.check(name)
        return self._planned[name]

    def state(self, name: str) -> LinkState:
        """Tell how a link is. Raise ``NotFound``."""
        link = self.link(name)
        return LinkState(
            name,
            link.endpoints,
            self.is_up(name),
            dict(link.written),
            changes_between(self._planned[name], link),
        )

    def check(self, name: str) -> None:
        """Raise ``NotFound`` unless there is a link of this name."""
        if name not in self._now:
            raise NotFound(unknown("link", name, self._now))

    def is_up(self, name: str) -> bool:
        """Tell whether a link is up."""
        return not self._cut[name]

    def cut(self, name: str, reason: str) -> None:
        """Note that a link is cut for a reason."""
        self._cut[name].add(reason)

    def mend(self, name: str, reason: str) -> None:
        """Note that a reason has gone."""
        self._cut[name].discard(reason)

    def channels(self, node: str) -> Channels:
        """Return what messages of a node pass now."""
        return self._channels[node]

    def adopt(self, link: Link) -> dict[str, Channels]:
        """Let a link be another one; return the nodes whose messages pass other channels by that, with these."""
        former = self._now[link.name]
        self._now[link.name] = link
        if (former.length, former.classical) == (link.length, link.classical):
            return {}
        concerned: dict[str, Channels] = {}
        for node, channels in self._channels.items():
            routes = shortest_paths(node, self._now.values())
            ways = {other: route.channels for other, route in routes.items()}
            if ways != channels:
                concerned[node] = self._channels[node] = ways
        return concerned
