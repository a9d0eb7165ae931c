"""The built-in routing controller: a party of its own on the bus, which any other program can take the place of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from math import sqrt
from typing import TypeAlias, cast

from broker.announcement import STATUS
from broker.bus import Bus
from broker.envelope import Envelope
from broker.errors import InboxOverflow
from broker.inbox import Sequencer
from nodes import codec
from nodes.errors import NodeError
from nodes.link.service import Failure
from nodes.network.control import PROTOCOL, NoRoutes, RouteRequest, Routes
from nodes.network.prediction import LinkFigures, NodeFigures, Protocol, purified
from nodes.network.request import Way
from nodes.network.routing import Cost, NoRoute, Route, Topology, routes
from nodes.network.tuning import Better, Tune, finest, tuned
from nodes.runtime.run_mail import run_of

_Tuning: TypeAlias = tuple[Way, Sequence[LinkFigures], Sequence[NodeFigures], Mapping[str, Tune], Better]


class RoutingController:
    """Answers what nodes ask it over ``bus``, from the figures of a lab; ``tunes``: see ``nodes.network.tuning``;
    ``weights`` of links, by name, are 1 where the lab file has none."""

    def __init__(
        self,
        bus: Bus,
        lab: str,
        topology: Topology,
        tunes: Mapping[str, Tune],
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._bus = bus
        self._lab = lab
        self._weights = weights or {}
        self._sequencer = Sequencer()
        self._sent: Counter[tuple[str, str]] = Counter()
        self.learn(topology, tunes)

    def learn(self, topology: Topology, tunes: Mapping[str, Tune]) -> None:
        """Go by other figures from now on: the lab has changed."""
        self._topology = topology
        self._tunes = tunes
        self._links = {link.name: link for link in topology.links}
        self._nodes = {node.name: node for node in topology.nodes}

    async def serve(self) -> None:
        """Answer until cancelled; raise ``BrokerLost``.

        It says that it is there as every party does: after an outage the bus says so again, and it is asked again.
        """
        await self._bus.announce(STATUS, {"state": "ready"})
        async for delivery in self._bus.deliveries():
            if isinstance(delivery.content, Envelope):
                with suppress(InboxOverflow):  # of who says so much out of order no more is heard
                    for envelope in self._sequencer.accept(delivery.content):
                        to = envelope.sender, envelope.session
                        await self._bus.publish(self._reply(envelope, self._sent[to]))
                        self._sent[to] += 1
            delivery.acknowledge()

    def forget(self, run: str) -> None:
        """Forget what was asked in a run that is over: what still comes of it is late."""
        for session in [each for each in self._sequencer.sessions() if run_of(each) == run]:
            self._sequencer.forget(session)
        for to in [to for to in self._sent if run_of(to[1]) == run]:
            del self._sent[to]

    def answer(self, request: RouteRequest) -> Routes | NoRoutes:
        """Find the ways that a request asks for."""
        try:
            ways = self._ways(request)
        except NoRoute as none:
            unattainable = none.code == "fidelity-unattainable"
            failure = Failure.UNSUPPORTED if unattainable else Failure.NO_ROUTE
            return NoRoutes(request.number, failure, str(none))
        except ValueError as error:
            return NoRoutes(request.number, Failure.UNSUPPORTED, str(error))
        return Routes(request.number, tuple(ways))

    def _reply(self, envelope: Envelope, sequence: int) -> Envelope:
        try:
            reply: Routes | NoRoutes = self.answer(codec.build(RouteRequest, envelope.body))
        except NodeError as error:
            number = envelope.body.get("number")
            reply = NoRoutes(number if isinstance(number, int) else 0, Failure.UNSUPPORTED, str(error))
        return Envelope(
            self._lab,
            self._bus.name,
            envelope.sender,
            PROTOCOL,
            envelope.session,
            sequence,
            envelope.sent_at,
            envelope.sent_at,
            codec.kind_of(reply),
            codec.fields_of(reply),
        )

    def _ways(self, request: RouteRequest) -> list[Way]:
        found = self._routes(request)
        if request.min_fidelity <= 0:
            return [_way(route) for route in found][: request.most]
        good = self._good_enough(found, request)
        if not good:  # the best by another cost than fidelity are not good enough: look at the best by that
            found += self._routes(replace(request, cost="fidelity"))
            good = self._good_enough(found, request)
        if not good:
            finest_ways = (finest(*self._of(route, request)) for route in found)
            best = max(finest_ways, key=lambda way: way.fidelity)
            raise NoRoute(
                f"no path from {request.source} to {request.destination} is predicted to have a fidelity of "
                f"{request.min_fidelity:g}: the best, {' - '.join(best.nodes)}, has {best.fidelity:.4f}; "
                "ask for less, or purify",
                "fidelity-unattainable",
            )
        return good[: request.most]

    def _routes(self, request: RouteRequest) -> list[Route]:
        return routes(
            self._topology,
            request.source,
            request.destination,
            cost=self._cost(request.cost),
            avoid_nodes=frozenset(request.avoid_nodes),
            avoid_links=frozenset(request.avoid_links),
            most=2 * max(1, request.most),
        )

    def _cost(self, word: str) -> Cost:
        """Return what a word stands for. Raise ``ValueError`` for one that this controller does not know."""
        match word:
            case "rate" | "fidelity" | "length" | "hops":
                return cast(Cost, word)
            case "weight":
                return lambda link: self._weights.get(link.name, 1.0)
        raise ValueError(
            f"the lab's own controller knows rate, fidelity, length, hops and weight, not '{word}'"
        )

    def _good_enough(self, found: Sequence[Route], request: RouteRequest) -> list[Way]:
        ways = []
        for route in found:
            way, links, nodes, tunes, better = self._of(route, request)
            ways.append(tuned(way, links, nodes, tunes, request.min_fidelity, better))
        return [way for way in ways if way is not None]

    def _of(self, route: Route, request: RouteRequest) -> _Tuning:
        """Return what tuning takes of a route."""
        return (
            _way(route),
            [self._links[name] for name in route.links],
            [self._nodes[name] for name in route.nodes],
            self._tunes,
            lambda link, fidelity: self._purified(link, fidelity, request.purify),
        )

    def _purified(self, link: str, fidelity: float, protocols: tuple[str, ...]) -> float:
        """Return what purifications, one after the other, make of a link's Werner pairs; ``epl`` is not for these.

        The first pair of two decays while the second is made: by r/(r + 1/T2a + 1/T2b) on average, at the rate r.
        """
        ends = [self._nodes[end] for end in self._links[link].endpoints]
        gate = sqrt(ends[0].gate * ends[1].gate)
        readout = (1 + sqrt(max(0.0, (2 * ends[0].readout - 1) * (2 * ends[1].readout - 1)))) / 2
        rate, decay = self._links[link].rate, sum(1 / end.t2 for end in ends)
        for protocol, rounds in groupby(each for each in protocols if each != "epl"):
            number = len(list(rounds))
            if not decay:
                fidelity, _ = purified(fidelity, cast(Protocol, protocol), number, gate, readout)
                continue
            for _ in range(number):
                werner = (4 * fidelity - 1) / 3 * (1 + rate / (rate + decay)) / 2
                fidelity, success = purified((1 + 3 * werner) / 4, cast(Protocol, protocol), 1, gate, readout)
                rate *= success / 2
        return fidelity


def _way(route: Route) -> Way:
    return Way(route.nodes, route.links, route.rate, route.fidelity, route.delay)
