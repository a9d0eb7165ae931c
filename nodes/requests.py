"""The entanglement network as a protocol sees it: pairs with any node, whatever lies between.

    async def alice(network: Network, bob: Peer):
        async with network.request("bob", 100, Terms(min_fidelity=0.8, within=5.0)) as pairs:
            async for half in pairs:
                ...  # half.qubit, half.pair

    async def bob(network: Network, alice: Peer):
        async with network.accept("alice") as pairs:
            async for half in pairs:
                ...  # the same pairs, under the same ids, in the same order

One end requests, the other one accepts. Both get a pair when it is there from end to end, corrected to |Phi+>. The
number of pairs that are under way or unused at an end is limited (``Terms.window``): use, or discard, what you have
got.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from nodes.errors import NodeError, ProgramInvalid
from nodes.ports import Basis, Bits, Halves, Qubit

ShareT = TypeVar("ShareT", covariant=True)


class RequestFailed(NodeError):
    """There will be no more pairs. ``failure`` is one of ``nodes.link.service.Failure``; so many were ``delivered``."""

    def __init__(self, failure: str, reason: str, delivered: int) -> None:
        super().__init__(f"{failure}: {reason}")
        self.failure = failure
        self.reason = reason
        self.delivered = delivered


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms pairs are wanted.

    ``min_fidelity``: of the pairs, as predicted for the way that they take. ``within`` emulated seconds of the request;
    None for as long as it takes. ``cost``: what the way is best in, rate, fidelity, length, hops or the lab file's
    weight of links, or what a controller of one's own knows. ``order``: how swaps are ordered, "asap", "nested", or
    the names of nodes, one after the other, separated by commas. ``purify``: protocols, separated by commas, for the
    links' pairs, or with a level before, "dejmps,1:dejmps". ``window``: units that may be under way or unused at a
    time; with ``min_fidelity`` no more are than have to be, for those that queue grow old. ``cutoff``: seconds for
    which a node between keeps a half that it cannot swap.

    Raises ``ProgramInvalid`` for terms that nobody can keep.
    """

    min_fidelity: float = 0.0
    within: float | None = None
    cost: str = "rate"
    order: str = "asap"
    purify: str = ""
    window: int = 4
    cutoff: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_fidelity <= 1:
            raise ProgramInvalid(f"a fidelity lies between 0 and 1: {self.min_fidelity} is none")
        if self.within is not None and not self.within > 0:
            raise ProgramInvalid(f"pairs are wanted within a positive time, not {self.within} s")
        if self.cutoff is not None and not self.cutoff > 0:
            raise ProgramInvalid(f"a cut-off is a positive time, not {self.cutoff} s")
        if self.window < 1:
            raise ProgramInvalid(f"at least one pair has to be under way, not {self.window}")
        if not self.cost.isidentifier():
            raise ProgramInvalid(
                f"the cost of a way is rate, fidelity, length, hops or weight, not '{self.cost}'"
            )


@dataclass(frozen=True, slots=True)
class SharedHalf:
    """This end's half of a pair. ``pair`` is the id that both ends know it by.

    ``heralded_at``: when the oldest of the links' pairs that it was made of was there, ``delivered_at``: when this end
    had it, in emulated seconds; ``path``: the nodes that it came by, the requesting end first.
    """

    pair: str
    qubit: Qubit
    heralded_at: float
    delivered_at: float
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SharedHalves:
    """This end's halves of a batch of pairs; ``pair`` is the id of the batch at both ends."""

    pair: str
    halves: Halves
    heralded_at: float
    delivered_at: float
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SharedOutcomes:
    """What this end found of a unit of pairs whose halves were measured as soon as they came, all in ``basis``.

    ``bits`` are those of pairs in |Phi+>: the Pauli frame has been taken into account.
    """

    pair: str
    basis: Basis
    bits: Bits
    heralded_at: float
    delivered_at: float
    path: tuple[str, ...]


class Pairs(Protocol[ShareT]):
    """The pairs of one request, at one of its ends, as they come."""

    def __aiter__(self) -> AsyncIterator[ShareT]:
        """Iterate until all are there. Raises ``RequestFailed`` when there will be no more."""

    async def next(self) -> ShareT:
        """Wait for the next one. Raises ``RequestFailed`` when there will be no more, and after the last one."""


class Network(Protocol):
    """What a role asks for pairs. ``role`` names the other end's role, which has to accept.

    The requests of one role to another in one round are accepted in the order in which they are made. Leaving the
    block gives up what has not been delivered; what has been stays with the role. Raises ``ProgramInvalid`` for terms
    that cannot be.
    """

    @property
    def others(self) -> tuple[str, ...]:
        """Name the other roles of the program."""

    def request(
        self, role: str, number: int = 1, terms: Terms = ...
    ) -> AbstractAsyncContextManager[Pairs[SharedHalf]]:
        """Ask for ``number`` pairs to be kept."""

    def request_batches(
        self, role: str, number: int, batch: int, terms: Terms = ...
    ) -> AbstractAsyncContextManager[Pairs[SharedHalves]]:
        """Ask for ``number`` batches of 2 to 64 pairs that are made, swapped and delivered together."""

    def request_outcomes(
        self, role: str, number: int, bases: str = "ZX", batch: int = 1, terms: Terms = ...
    ) -> AbstractAsyncContextManager[Pairs[SharedOutcomes]]:
        """Ask for ``number`` pairs, or batches, that either end measures at once, in one of ``bases`` by coin."""

    def accept(self, role: str) -> AbstractAsyncContextManager[Pairs[SharedHalf]]:
        """Accept the next request for pairs."""

    def accept_batches(self, role: str) -> AbstractAsyncContextManager[Pairs[SharedHalves]]:
        """Accept the next request for batches."""

    def accept_outcomes(
        self, role: str, bases: str = "ZX"
    ) -> AbstractAsyncContextManager[Pairs[SharedOutcomes]]:
        """Accept the next request for outcomes."""
