"""The requesting end of a request: what the request's core wants done, and the role's way to ask."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Final, Protocol, TypeVar, cast, get_args

from nodes.errors import Deadlock, ProgramInvalid
from nodes.link.service import Failure, Kind
from nodes.network.circuit import MAX_BATCH, Circuit, Distillation, nested, ordered
from nodes.network.control import NoRoutes, RouteRequest, Routes
from nodes.network.request import AskRoute, Begin, Demand, End, Instruction, Request, State, Wait
from nodes.network.signalling import Install, Release
from nodes.ports import Basis, Coin
from nodes.requests import Pairs, RequestFailed, SharedHalf, SharedHalves, SharedOutcomes, Terms
from nodes.runtime.accepting import Acceptances, Closed
from nodes.runtime.circuits import End as CircuitEnd
from nodes.runtime.circuits import LiveCircuit
from nodes.runtime.clock import RunClock
from nodes.runtime.qubits import Register
from nodes.runtime.shares import Nearby, Share, Shares, Taker

ShareT = TypeVar("ShareT", SharedHalf, SharedHalves, SharedOutcomes)


class Surroundings(Nearby, Protocol):
    """What a request needs of its node's network layer."""

    name: str
    coin: Coin
    acceptances: Acceptances

    def at(self, time: float, event: Callable[[], None]) -> Callable[[], object]:
        """Let something happen at an emulated time; return what calls it off."""

    def begin(self, install: Install, end: CircuitEnd | None) -> LiveCircuit | Release:
        """Begin a circuit, or say why not."""

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


class NoAnswer(Exception):
    """The routing controller does not tell any ways; the message says why."""


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
            self._timer = self._here.at(self.deadline, lambda: self._do(self.request.expire()))
        self._do(self.request.begin())

    # a circuit's end

    def up(self) -> None:
        """Hear that the circuit is complete."""
        self._call_off_install()
        self._do(self.request.installed())

    def deliver(self, circuit: LiveCircuit, unit: object, delivery: object) -> None:
        """Take a unit that both ends share now."""
        super().deliver(circuit, unit, delivery)  # type: ignore[arg-type]
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
            self._do(self.request.released(Release(Failure.UNSUPPORTED, str(error))))
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
        failure = end.failure or ""
        self._here.tell_end(
            demand.destination, Closed(demand.purpose, self.request.delivered, failure, end.reason)
        )
        self.end(RequestFailed(failure, end.reason, self.request.delivered) if failure else None)


@dataclass(slots=True)
class RequestDesk:
    """A ``nodes.requests.Network`` for one role in one round."""

    network: Surroundings
    register: Register
    clock: RunClock
    coin: Coin
    session: str
    role: str
    nodes: Mapping[str, str]
    deadline: float
    _asked: Counter[str] = field(default_factory=Counter)

    @property
    def others(self) -> tuple[str, ...]:
        """Name the other roles."""
        return tuple(name for name in self.nodes if name != self.role)

    def request(self, role: str, number: int = 1, terms: Terms = Terms()) -> Pairs[SharedHalf]:  # noqa: B008
        """Ask for pairs to be kept."""
        return self._request(role, number, terms, SharedHalf)

    def request_batches(
        self,
        role: str,
        number: int,
        batch: int,
        terms: Terms = Terms(),  # noqa: B008
    ) -> Pairs[SharedHalves]:
        """Ask for batches of pairs."""
        if not 2 <= batch <= MAX_BATCH:
            raise ProgramInvalid(f"a batch has 2 to {MAX_BATCH} pairs, not {batch}")
        return self._request(role, number, terms, SharedHalves, batch=batch)

    def request_outcomes(
        self,
        role: str,
        number: int,
        bases: str = "ZX",
        batch: int = 1,
        terms: Terms = Terms(),  # noqa: B008
    ) -> Pairs[SharedOutcomes]:
        """Ask for pairs that either end measures at once."""
        return self._request(
            role, number, terms, SharedOutcomes, kind="measure", batch=batch, bases=_bases(bases)
        )

    def accept(self, role: str) -> Pairs[SharedHalf]:
        """Accept the next request for pairs."""
        return self._accept(role, SharedHalf)

    def accept_batches(self, role: str) -> Pairs[SharedHalves]:
        """Accept the next request for batches."""
        return self._accept(role, SharedHalves)

    def accept_outcomes(self, role: str, bases: str = "ZX") -> Pairs[SharedOutcomes]:
        """Accept the next request for outcomes."""
        return self._accept(role, SharedOutcomes, _bases(bases))

    def _request(
        self,
        role: str,
        number: int,
        terms: Terms,
        share: type[ShareT],
        *,
        kind: Kind = "keep",
        batch: int = 1,
        bases: tuple[Basis, ...] = ("Z",),
    ) -> Pairs[ShareT]:
        if number < 1:
            raise ProgramInvalid(f"at least one pair is asked for, not {number}")
        node, steps = self._node(role), distillations(terms.purify)
        demand = Demand(
            purpose=self._purpose(self.role, role),
            source=self.network.name,
            destination=node,
            number=number,
            kind=kind,
            min_fidelity=terms.min_fidelity,
            deadline=inf if terms.within is None else self.clock.now() + terms.within,
            cost=terms.cost,
            order=tuple(name.strip() for name in terms.order.split(",")),
            distillations=steps,
            window=terms.window if steps else min(terms.window, number),
            batch=batch,
            cutoff=terms.cutoff,
        )
        requesting = Requesting(self.network, demand)
        requesting.claim(self._taker(role, share, bases))
        self.network.event(requesting.begin)
        return cast("Pairs[ShareT]", requesting)

    def _accept(self, role: str, share: type[ShareT], bases: tuple[Basis, ...] = ("Z",)) -> Pairs[ShareT]:
        acceptance = self.network.acceptances.accept(self._node(role), self._purpose(role, self.role))
        acceptance.claim(self._taker(role, share, bases))
        return cast("Pairs[ShareT]", acceptance)

    def _taker(self, role: str, share: type[Share], bases: tuple[Basis, ...]) -> Taker:
        return Taker(self.register, self.clock, self.coin, role, share, bases, self.deadline)

    def _purpose(self, asking: str, accepting: str) -> str:
        way = f"{asking}-{accepting}"
        self._asked[way] += 1
        return f"{self.session}/{way}/{self._asked[way]}"

    def _node(self, role: str) -> str:
        if role not in self.nodes or role == self.role:
            raise ProgramInvalid(f"'{role}' is no other role; there are: {', '.join(self.others)}")
        return self.nodes[role]


def distillations(purify: str) -> tuple[Distillation, ...]:
    """Read which pairs are purified: "dejmps", or "dejmps,1:bbpssw" with the level of the segments before.

    Raise ``ProgramInvalid`` for what is none.
    """
    steps = []
    for step in filter(None, (each.strip() for each in purify.split(","))):
        level, colon, protocol = step.rpartition(":")
        if colon and not level.isdigit():
            raise ProgramInvalid(f"'{step}' is no purification: write LEVEL:PROTOCOL, such as 1:dejmps")
        steps.append(Distillation(int(level or 0), protocol))
    return tuple(steps)


def _levels(order: tuple[str, ...], between: tuple[str, ...]) -> tuple[int, ...]:
    if order == ("asap",):
        return ()
    return nested(len(between) + 1) if order == ("nested",) else ordered(order, between)


def _bases(bases: str) -> tuple[Basis, ...]:
    if not bases or set(bases) - set(get_args(Basis)):
        raise ProgramInvalid(f"bases are letters X, Y and Z, not '{bases}'")
    return tuple(cast(Basis, basis) for basis in bases)
