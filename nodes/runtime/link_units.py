"""What a circuit gets from the link on one side of it: units, or reasons why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.link.service import Failure, LinkService
from nodes.runtime.halves import HeldHalves
from nodes.runtime.qubits import Register
from nodes.runtime.units import Batch, Single, Unit
from shared_state.errors import (
    LinkDown,
    NoFreeMemory,
    NoSuchQubit,
    PeerDeparted,
    PeerError,
    PeerLeftRun,
    QubitExpired,
    RunClosed,
    SharedStateError,
)


@dataclass(frozen=True, slots=True)
class Wire:
    """The link on one side of a circuit's node: its name, and who is at its other end."""

    service: LinkService
    peer: str
    alpha: float | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a circuit gets no unit, and what another one had better avoid."""

    failure: Failure
    reason: str
    avoid_node: str = ""
    avoid_link: str = ""


async def next_unit(register: Register, wire: Wire, batch: int) -> tuple[str, Unit]:
    """Ask a link for a unit of ``batch`` pairs; return its name and this end's halves, heralded now or later.

    Raise ``SharedStateError``.
    """
    client, now, link = register.client, register.clock.now(), wire.service.link
    if batch == 1:
        delivery = await client.pair(now, register.run, link, alpha=wire.alpha)
        return delivery.pair, Single(register, delivery.qubit, delivery.time)
    several = await client.pairs(now, register.run, link, batch, alpha=wire.alpha)
    halves = HeldHalves(register, link)
    halves.add(several)
    return f"{link}/{several.first}", Batch(halves)


def refusal_of(error: SharedStateError, here: str, wire: Wire) -> Refusal | None:
    """Say why the node ``here`` gets no unit; None when the circuit is over at one end, which says so itself."""
    match error:
        case PeerLeftRun() | RunClosed():
            return None
        case PeerDeparted():
            return Refusal(Failure.NODE_GONE, f"node '{wire.peer}' has left", avoid_node=wire.peer)
        case LinkDown():
            link = wire.service.link
            return Refusal(Failure.LINK_DOWN, f"link '{link}' is down", avoid_link=link)
        case NoFreeMemory():
            return Refusal(Failure.OUT_OF_MEMORY, f"at '{here}': {error.message}", avoid_node=here)
        case PeerError() | NoSuchQubit() | QubitExpired():
            # of a gate before, on a half that was gone: the first answer after that tells
            return Refusal(Failure.LOST, error.message)
        case _:
            return Refusal(Failure.UNSUPPORTED, error.message, avoid_node=here)
