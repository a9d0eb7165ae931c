"""Tells the record what happens, where the record is on: who did what, when, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared_state.engine.later import Later
from shared_state.errors import PartnerLost, PeerError, RunClosed, SharedStateError
from shared_state.narration import (
    RECORDED,
    Told,
    of_delivery,
    of_link,
    of_operation,
    of_outcome,
    of_pair_outcomes,
    of_refusal,
    of_swap,
)
from shared_state.record import Event, Record
from shared_state.turns import Arrival

_FROM_OUTSIDE: Final = (PeerError, RunClosed)
"""Refusals that come of the end of a run or of a session: that is decided on the wall, not in emulated time."""


class Narrator:
    """What a lab of so many ``nodes`` tells ``record``."""

    def __init__(self, record: Record, nodes: int) -> None:
        self.record = record
        self._nodes = nodes

    def wants(self, word: str) -> bool:
        """Tell whether an operation is to be told of."""
        return self.record.on and (word in RECORDED or word == "note")

    def done(self, at: float, node: str, word: str, values: Mapping[str, Any], session: str) -> None:
        """Tell of an operation that was done."""
        event = of_operation(word, values, session, self.number)
        if event is not None:
            self.tell(at, node, event)

    def refused(self, at: float, node: str, word: str, error: SharedStateError, session: str) -> None:
        """Tell of an operation that was refused."""
        event = self.refusal(word, error, session) if word in RECORDED else None
        if event is not None:
            self.tell(at, node, event)

    def refusal(self, word: str, error: SharedStateError, session: str) -> Event | None:
        """Return what will be told of a request that was refused, when its asker hears of it."""
        if isinstance(error, _FROM_OUTSIDE) and not isinstance(error, PartnerLost):
            return None
        return of_refusal(word, error, session)

    def initialised(self, at: float, node: str, qubit: int, session: str) -> None:
        """Tell of a new qubit."""
        self.tell(at, node, Event(session, "qubit.initialised", {"qubit": self.number(qubit)}))

    def measured(
        self, at: float, node: str, values: Mapping[str, Any], session: str, outcome: Later[Any]
    ) -> None:
        """Tell of a measurement, as soon as its outcome is known."""
        event, completed = of_outcome(values, session, self.number)
        self.record.tell_later(
            at, node, session, event.name, outcome, lambda known: {**event.details, **completed(known)}
        )

    def swapped_pairs(
        self, at: float, node: str, values: Mapping[str, Any], session: str, x: Any, z: Any
    ) -> None:
        """Tell of two batches of pairs that were swapped."""
        self.tell(at, node, of_swap(values, session, self.number, x, z))

    def measured_pairs(
        self, at: float, node: str, values: Mapping[str, Any], session: str, outcomes: Any
    ) -> None:
        """Tell of halves that were measured."""
        self.tell(at, node, of_pair_outcomes(values, session, self.number, outcomes))

    def set_link(self, at: float, who: str, name: str, up: bool) -> None:
        """Tell of a link that is cut or mended."""
        self.tell(at, who, of_link(name, up))

    def delivery(self, told: Told, session: str, link: str) -> Event:
        """Return what will be told of what a link brings, when it is there."""
        return of_delivery(told, session, link, self.number)

    def delivered(self, at: float, node: str, arrival: Arrival) -> None:
        """Tell of a classical message that is there."""
        details = {
            "protocol": arrival.protocol,
            "kind": arrival.kind,
            "from": arrival.sender,
            "sequence": arrival.sequence,
            "bytes": arrival.size,
        }
        self.tell(at, node, Event(arrival.session, "message.delivered", details))

    def tell(self, at: float, node: str, event: Event) -> None:
        """Write an event down."""
        if self.record.on:
            self.record.tell(at, node, *event)

    def number(self, qubit: int) -> int:
        """Return the how many-eth qubit of its node this is; a batch has such a number for its id."""
        return qubit if qubit < 0 else qubit // self._nodes
