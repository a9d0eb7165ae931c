"""How much one node may leave on the links for others to pick up, or wait for."""

from __future__ import annotations

from typing import Final

from shared_state.errors import BadRequest, LimitExceeded
from shared_state.world.queues import Ask, Place, Queues

MAX_IN_FLIGHT: Final = 2**28
"""Bytes that the light of one node may take up without anybody receiving it: 2 10^7 pulses that have light."""
MAX_PHOTONS: Final = 1024
"""Single qubits on their way to one receiver on one link: a fibre is no memory."""
MAX_AWAITED: Final = 2**24
"""Pulses and pairs for which one node may have stated bases at a time without having measured them."""


def check_count(count: int) -> None:
    """Raise BadRequest when a train would have no pulse."""
    if count < 1:
        raise BadRequest(f"a train has at least one pulse; {count} were asked for.")


def check_in_flight(queues: Queues, sender: str, place: Place) -> None:
    """Raise LimitExceeded when the sender must not send anything more to this place."""
    if queues.in_flight[sender] > MAX_IN_FLIGHT:
        raise LimitExceeded(
            f"what {sender} has sent and nobody has received takes up more than {MAX_IN_FLIGHT} bytes: "
            "wait until the other end receives."
        )
    if place.kind == "qubit" and queues.photons[place.link, place.receiver] >= MAX_PHOTONS:
        raise LimitExceeded(
            f"{MAX_PHOTONS} qubits are on their way to {place.receiver} on link {place.link!r}: "
            "wait until it receives."
        )


def check_awaited(queues: Queues, ask: Ask) -> None:
    """Raise LimitExceeded when the request states too many bases, with those that wait already."""
    awaited = [other.bases for other in queues.asks(None) if other.node == ask.node]
    pulses = sum(len(bases) for bases in [*awaited, ask.bases] if bases is not None)
    if pulses > MAX_AWAITED:
        raise LimitExceeded(f"{ask.node} would wait for {pulses} pulses or pairs, more than {MAX_AWAITED}.")
