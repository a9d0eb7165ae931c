"""Pairs by the thousand that are treated alike, and the halves of them that a node holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared_state.engine import pairs
from shared_state.engine.pairs import Side, Tensors
from shared_state.errors import LinkDown, PartnerLost
from shared_state.ledger import Bereavement

Times = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Batch:
    """Pairs that are treated alike: their states, and the two holders' halves while they are there."""

    states: Tensors
    halves: list[Halves | None]

    def trace_out(self, side: Side) -> None:
        """Let the halves of one side be gone."""
        self.states = pairs.depolarise(self.states, side, 1.0)
        self.halves[side] = None


@dataclass(slots=True, eq=False)
class Halves:
    """One node's halves of a batch, under an id of its own.

    ``touched[i]`` is the emulated time up to which half i has aged, ``stored[i]`` when its storage began; it can
    be used from ``free_from[i]`` on, when its herald has arrived or the last operation on it was. At ``heralded`` all
    heralds have arrived.
    """

    number: int
    node: str
    run: str
    title: str
    batch: Batch
    side: Side
    stored: Times
    touched: Times
    free_from: Times
    heralded: float
    bereaved: Bereavement | None = None

    def partner(self) -> Halves | None:
        """Return the halves at the other end, None where they are gone."""
        return self.batch.halves[1 - self.side]


def lost(halves: Halves, reason: Bereavement) -> LinkDown | PartnerLost:
    """Return the error for who uses halves whose pairs are lost, and discards them by that."""
    if reason.link:
        return LinkDown(
            f"link {reason.link!r} was cut before the heralds of the pairs {reason.pair} had all come; "
            f"batch {halves.number} is discarded."
        )
    return PartnerLost(
        f"{reason.node} has departed and the other halves of the pairs {reason.pair} were traced out; "
        f"batch {halves.number} is discarded.",
        node=reason.node,
    )
