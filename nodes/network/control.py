"""What nodes and the routing controller say to each other, over the bus as the party ``controller``.

    node                                controller
    RouteRequest      ────▶                            which ways lead there?
                      ◀────             Routes         these, the best one first
                      ◀────             NoRoutes       none, and why

The built-in controller can be replaced by any program that speaks these (see ``broker/README.md``). It stands
outside of emulated time: its answer takes none, and in virtual time the lab's clock waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.network.request import Way

PROTOCOL = "routing"


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """Ask for up to ``most`` ways between two nodes.

    ``number`` comes back with the answer. ``cost`` is rate, fidelity, length, hops, weight, or another word.
    ``min_fidelity`` is wanted after the links' pairs were purified by the protocols ``purify``, one after the other.
    ``avoid_nodes`` and ``avoid_links``: what has just failed.
    """

    number: int
    source: str
    destination: str
    cost: str = "rate"
    min_fidelity: float = 0.0
    purify: tuple[str, ...] = ()
    avoid_nodes: tuple[str, ...] = ()
    avoid_links: tuple[str, ...] = ()
    most: int = 4


@dataclass(frozen=True, slots=True)
class Routes:
    """The ways asked for by request ``number``, the best one first; at least one."""

    number: int
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class NoRoutes:
    """There is none. ``failure`` is ``no-route``, or ``unsupported`` where none is good enough."""

    number: int
    failure: str
    reason: str
