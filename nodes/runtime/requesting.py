"""The requesting end of a request: what the request's core wants done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import Final, Protocol

from nodes.errors import Deadlock
from nodes.link.service import Failure
from nodes.network.circuit import Circuit, nested, ordered
from nodes.network.control import NoRoutes, RouteRequest, Routes
from nodes.network.request import AskRoute, Begin, Demand, End, Instruction, Request, State, Wait
from nodes.network.signalling import Install, Release
from nodes.network.tidings import Deliver
from nodes.ports import Coin
from nodes.requests import RequestFailed
from nodes.runtime.accepting import Acceptances, Closed
from nodes.runtime.circuit_ports import End as CircuitEnd
from nodes.runtime.circuits import LiveCircuit
from nodes.runtime.inquiries import NoAnswer
from nodes.runtime.shares import Nearby, Shares
from nodes.runtime.units import Unit


class Surroundings(Nearby, Protocol):
    """What a request needs of its node's network layer."""

    name: str
    coin: Coin
    acceptances: Acceptances

    def at(self, time: float, event: Callable[[], None]) -> Callable[[], object]:
        """Let something happen at an emulated time; return what calls it off."""

    def begin(self, install: Install, end: CircuitEnd[LiveCircuit] | None) -> LiveCircuit | Release:
        """Begin a circuit, or say why not."""

    def record(self, event: str, **details: str | int) -> None:
        """Tell the lab's record, if there is one."""

    def new_circuit(self) -> str:
        """Return a name for a circuit."""

    def tell_end(self, node: str, closed: Closed) -> None:
        """Tell the other end that the request is over."""

    def when_reached(self, circuit: str, ended: Callable[[], None]) -> None:
        """Call when the tail knows that a circuit is over, or never will."""

    async def ask_controller(self, request: RouteRequest) -> Routes | NoRoutes:
        """Ask for ways. Raise ``NoAnswer``."""


_FIRST_ANSWER: Final = 0.01
_ROUND_TRIPS: Final = 10
"""All nodes of a way have answered so many emulated seconds, and round trips of light, after they were asked;"""
_INSTALLED_WITHIN: Final = 2.0
"""and so many wall seconds, in real time."""
_RELEASED_WITHIN: Final = 1.0
"""For so many wall seconds, in real time, a role waits until all nodes know that its request is over."""


class Requesting(Shares):
    """A request of a role of this node; it is the left end of its circuits."""

    def __init__(self, network: Surroundings, demand: Demand) -> None:
        super().__init__(network)
        self.request = Request(demand)
        self.deadline = demand.deadline
        self._here = network
        self._circuit: LiveCircuit | None = None
        self._released = asyncio.Event()
        self._timer: Callable[[], object] | None = None
        self._call_off_install: Callable[[], object] = lambda: None

    def begin(self) -> None:
        """Look for a way."""
        if self.deadline < inf:
            self._timer = self._here.at(self.deadline, lambda: self._do(self.request.expire(self._unused)))
        self._do(self.request.begin())

    # a circuit's end

    def up(self) -> None:
        """Hear that the circuit is complete."""
        self._call_off_install()
        self._do(self.request.installed())

    def deliver(self, circuit: LiveCircuit, unit: Unit | None, delivery: Deliver) -> None:
        """Take a unit that both ends share now."""
        super().deliver(circuit, unit, delivery)
        self._do(self.request.deliver())

    def over(self, circuit: LiveCircuit, release: Release) -> None:
        """Hear that the circuit is over."""
        self._call_off_install()
        if self._circuit is circuit:
            self._circuit = None
            self._network.event(lambda: self._do(self.request.released(release)))

    def lose(self, reason: str) -> None:
        """Want no more."""
        self._do(self.request.fail(Failure.LOST, reason))

    # a role's

    def leave(self) -> None:
        """Want no more."""
        self._network.event(lambda: self._do(self.request.cancel()))

    async def finished(self) -> None:
        """Wait until the tail knows that it is over: then every node on the way has given up what it had of it."""
        taker = self._taker
        assert taker is not None
        try:
            with taker.clock.waiting(f"the end of what it asked for at {taker.peer}"):
                async with asyncio.timeout(taker.clock.deadline(min(taker.deadline, _RELEASED_WITHIN))):
                    await self._released.wait()
        except (TimeoutError, Deadlock):
            pass  # a message is lost; the nodes clean up when the run ends

    def _do(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case AskRoute():
                    self._network.task(self._ask_route, instruction)
                case Begin():
                    self._begin(instruction)
                case Wait(seconds):
                    pause = seconds * (1 + 0.5 * self._here.coin.uniform())
                    self._here.at(self._here.clock.now() + pause, lambda: self._do(self.request.waited()))
                case End():
                    self._end(instruction)

    async def _ask_route(self, ask: AskRoute) -> None:
        demand = self.request.demand
        on_links = tuple(step.protocol for step in demand.distillations if step.level == 0)
        request = RouteRequest(
            number=0,
            source=demand.source,
            destination=demand.destination,
            cost=demand.cost,
            min_fidelity=demand.min_fidelity,
            purify=on_links,
            avoid_nodes=ask.avoid_nodes,
            avoid_links=ask.avoid_links,
        )
        try:
            answer = await self._here.ask_controller(request)
        except NoAnswer as silence:
            told = partial(self.request.unroutable, Failure.NO_ROUTE, str(silence), final=True)
            self._network.event(lambda: self._do(told()))
            return
        if isinstance(answer, Routes):
            self._network.event(lambda: self._do(self.request.routed(list(answer.ways))))
        else:
            failure = Failure(answer.failure) if answer.failure in set(Failure) else Failure.NO_ROUTE
            self._network.event(lambda: self._do(self.request.unroutable(failure, answer.reason)))

    def _begin(self, begin: Begin) -> None:
        demand, way = self.request.demand, begin.way
        try:
            circuit = Circuit(
                name=self._here.new_circuit(),
                purpose=demand.purpose,
                path=way.nodes,
                links=way.links,
                levels=_levels(demand.order, way.nodes[1:-1]),
                distillations=demand.distillations,
                alphas=way.alphas,
                kind=demand.kind,
                window=demand.window,
                batch=demand.batch,
                cutoff=demand.cutoff,
            )
        except ValueError as error:
            self._do(self.request.unsuitable(str(error)))
            return
        begun = self._here.begin(Install(circuit, begin.number, demand.deadline), self)
        if isinstance(begun, Release):
            self._network.event(lambda: self._do(self.request.released(begun)))
        else:
            self._circuit = begun
            self._call_off_install = self._network.task(self._await_install, begun, begin.way.delay)

    async def _await_install(self, circuit: LiveCircuit, delay: float) -> None:
        """Give a circuit up that is not complete in time: a message is lost, or a node gone of which nobody has
        heard.
        """
        clock = self._here.clock
        if (patience := clock.deadline(_INSTALLED_WITHIN)) is not None:
            await asyncio.sleep(patience)
        await clock.until(clock.now() + _ROUND_TRIPS * 2 * delay + _FIRST_ANSWER)
        self._network.event(partial(self._miss_install, circuit))

    def _miss_install(self, circuit: LiveCircuit) -> None:
        if self.request.state is State.INSTALLING and self._circuit is circuit:
            silent = " - ".join(circuit.circuit.path)
            circuit.fail(Failure.LOST, f"not all nodes of the way {silent} have answered")

    def _end(self, end: End) -> None:
        if self._timer is not None:
            self._timer()
        demand, circuit = self.request.demand, self._circuit
        if circuit is None:
            self._released.set()
        else:
            self._circuit = None
            self._here.when_reached(circuit.circuit.name, self._released.set)
            circuit.done(end.failure, end.reason)
        failure = str(end.failure or "")
        self._here.record("request.ended", delivered=self.request.delivered, failure=failure)
        self._here.tell_end(
            demand.destination, Closed(demand.purpose, self.request.delivered, failure, end.reason)
        )
        self.end(RequestFailed(failure, end.reason, self.request.delivered) if failure else None)


def _levels(order: tuple[str, ...], between: tuple[str, ...]) -> tuple[int, ...]:
    if order == ("asap",):
        return ()
    return nested(len(between) + 1) if order == ("nested",) else ordered(order, between)
