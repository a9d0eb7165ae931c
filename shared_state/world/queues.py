"""What waits on the links: requests for something to come, and light that has not been received."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from shared_state.engine.batch import Codes
from shared_state.ledger import Holding
from shared_state.world.pulses import PulseTrain

Ticket: TypeAlias = Hashable
"""Names a request to whoever made it; unique among those that wait."""


class Place(NamedTuple):
    """Where a request meets what it waits for. ``receiver`` is empty for pairs, which both ends ask for."""

    kind: Literal["pair", "pairs", "outcomes", "qubit", "pulses", "train"]
    link: str
    run: str
    receiver: str


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """A request of ``node``, made under a ticket, for something at a place.

    ``bases`` only where the nodes state them, for pulses and for pairs measured on arrival; the latter may be measured
    along ``angles``, of which bases are then the indices. Of pulses whose settings the devices draw ``pulses`` says how
    many are expected from now on. ``count``: so many qubits or pairs. ``alpha``:
    the bright-state population that the emitters of a single-click source shall have, None for the link's own.
    """

    ticket: Ticket
    node: str
    at: float
    place: Place
    bases: Codes | None = None
    count: int = 1
    pulses: int = 0
    alpha: float | None = None
    angles: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Photon:
    """A qubit on a fibre, arriving at ``arrives_at``; without a holding it was lost on the way.

    ``size`` is what it takes of the sender's share of the server's memory, in bytes, roughly.
    """

    sender: str
    holding: Holding | None
    arrives_at: float
    size: int = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Flash:
    """A train of pulses that has passed the fibre.

    Where the devices draw the settings, the sender will send ``promised`` pulses in all, from this train's first on.
    """

    sender: str
    train: PulseTrain
    promised: int = 0

    @property
    def size(self) -> int:
        return 1024 + self.train.size


Light: TypeAlias = Photon | Flash


@dataclass(slots=True)
class _Queue:
    """At most one of both is not empty, and all asks of a queue are one node's."""

    asks: deque[Ask] = field(default_factory=deque)
    light: deque[Light] = field(default_factory=deque)


class Queues:
    """First come, first served, per place. A run's places are forgotten when nothing waits there any more."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[Place, _Queue]] = {}
        self._asks: dict[Ticket, Ask] = {}
        self.in_flight: Counter[str] = Counter()
        """Bytes of memory that each sender's light takes up."""
        self.photons: Counter[tuple[str, str]] = Counter()
        """Single qubits, lost ones too, on their way on each (link, to each receiver)."""

    def __len__(self) -> int:
        """Return the number of requests that wait."""
        return len(self._asks)

    def wait(self, ask: Ask) -> None:
        """Add a request at the end of its queue."""
        self._queue(ask.place).asks.append(ask)
        self._asks[ask.ticket] = ask

    def fly(self, place: Place, light: Light) -> None:
        """Add light at the end of its queue."""
        self._queue(place).light.append(light)
        self._count(place, light, 1)

    def light(self) -> int:
        """Return the number of qubits and trains of pulses that have not been received."""
        return sum(len(queue.light) for _, queue in self._places(None))

    def first_ask(self, place: Place) -> Ask | None:
        """Return the request that has waited longest, and leave it there."""
        queue = self._runs.get(place.run, {}).get(place)
        return queue.asks[0] if queue and queue.asks else None

    def has_light(self, place: Place) -> bool:
        """Tell whether something has been sent there that was not received."""
        queue = self._runs.get(place.run, {}).get(place)
        return bool(queue and queue.light)

    def take_light(self, place: Place) -> Light:
        """Remove and return what was sent first."""
        light = self._runs[place.run][place].light.popleft()
        self._count(place, light, -1)
        self._tidy(place)
        return light

    def withdraw(self, ticket: Ticket) -> Ask | None:
        """Remove a request; None when it does not wait (any more)."""
        ask = self._asks.pop(ticket, None)
        if ask is not None:
            self._runs[ask.place.run][ask.place].asks.remove(ask)
            self._tidy(ask.place)
        return ask

    def asks(self, run: str | None) -> list[Ask]:
        """Return the requests that wait under one run, or all."""
        return [ask for _, queue in self._places(run) for ask in queue.asks]

    def remove_light(self, run: str | None, where: Callable[[Place, Light], bool]) -> list[Light]:
        """Remove and return the light of one run, or of all, for which ``where`` holds."""
        removed: list[Light] = []
        for place, queue in list(self._places(run)):
            chosen: list[Light] = []
            kept = deque[Light]()
            for light in queue.light:
                (chosen if where(place, light) else kept).append(light)
            queue.light = kept
            removed += chosen
            for light in chosen:
                self._count(place, light, -1)
            self._tidy(place)
        return removed

    def _places(self, run: str | None) -> Iterator[tuple[Place, _Queue]]:
        runs = list(self._runs.values()) if run is None else [self._runs.get(run, {})]
        for places in runs:
            yield from places.items()

    def _queue(self, place: Place) -> _Queue:
        return self._runs.setdefault(place.run, {}).setdefault(place, _Queue())

    def _count(self, place: Place, light: Light, number: int) -> None:
        self.in_flight[light.sender] += number * light.size
        if isinstance(light, Photon):
            self.photons[place.link, place.receiver] += number

    def _tidy(self, place: Place) -> None:
        places = self._runs[place.run]
        queue = places[place]
        if not queue.asks and not queue.light:
            del places[place]
        if not places:
            del self._runs[place.run]
