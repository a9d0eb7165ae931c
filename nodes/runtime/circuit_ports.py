"""What a circuit at this node is connected with: the request at its end, and the node that it is a part of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from nodes.network.signalling import Release, Signal
from nodes.network.tidings import Deliver, Send, Tidings
from nodes.runtime.units import Unit

CircuitT = TypeVar("CircuitT", contravariant=True)
"""What there is of a circuit at this node, ``nodes.runtime.circuits.LiveCircuit``."""


class End(Protocol[CircuitT]):
    """What is at an end of a circuit: the request, or who accepts it."""

    def up(self) -> None:
        """Hear that the circuit is complete."""

    def deliver(self, circuit: CircuitT, unit: Unit | None, delivery: Deliver) -> None:
        """Take a unit that both ends share now; None where it has been measured."""

    def hold(self) -> None:
        """Keep what is delivered from now on until the other end has said what it has."""

    def over(self, circuit: CircuitT, release: Release) -> None:
        """Hear that the circuit is over and delivers no more."""

    async def measure(self, unit: Unit, pair: str) -> None:
        """Measure a unit as soon as it is there, where outcomes are asked for."""


class Host(Protocol[CircuitT]):
    """What a circuit needs of its node, as ``nodes.runtime.network`` has it."""

    def send(self, circuit: CircuitT, position: int, message: Signal | Tidings) -> None:
        """Tell another node of the circuit something, in the order in which this is called."""

    def tell(self, circuit: CircuitT, position: int, send: Send) -> None:
        """Tell another node of the circuit a tiding, together with others."""

    def task(
        self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object
    ) -> Callable[[], object]:
        """Do something that takes time; return what calls it off."""

    def event(self, event: Callable[[], None]) -> None:
        """Let something happen when what has happened before is done."""

    def at(self, time: float, event: Callable[[], None]) -> Callable[[], object]:
        """Let something happen at an emulated time; return what calls it off."""

    def delay(self, node: str) -> float:
        """Return the seconds that a message to a node takes at least."""

    def record(self, event: str, **details: str | int) -> None:
        """Tell the lab's record, if there is one, what only this node knows."""

    def lend(self, memories: int) -> bool:
        """Promise memories to a role that keeps what was delivered, if there are any."""

    def give_back(self, memories: int) -> None:
        """Take that promise back."""

    def release(self, memories: int) -> None:
        """Take back what was promised to a circuit and is free."""

    def forget(self, circuit: CircuitT) -> None:
        """Hear that nothing of the circuit is left here."""
