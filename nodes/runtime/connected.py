"""A node of one's own, as a program that is connected as it sees it: it acts by itself, outside of any ordered run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import inf, nextafter
from typing import Final

from nodes.errors import PeerGone, ProgramInvalid, QubitGone
from nodes.identity import Identity
from nodes.ports import Clock, Coin, Memory, Qubit
from nodes.requests import SharedHalf, Terms
from nodes.runtime.attendants import Attend, attendants
from nodes.runtime.node import Node
from nodes.runtime.open_network import OpenNetwork
from nodes.runtime.stage import Stage
from nodes.runtime.visiting import Acquaintance
from nodes.runtime.visiting_peer import VisitingPeer
from nodes.shared_keys import SharedKeys
from shared_state.errors import PeerError, RequestError

_PARTING: Final = 5.0
"""Wall seconds that a program which leaves waits for the lab."""


class ConnectedNode:
    """The node that this program is. What waits for another one ends after ``deadline`` wall seconds at the latest.

    It also plays the parts that the lab orders, and swaps for others, meanwhile.
    """

    def __init__(
        self, name: str, lab: str, external: tuple[str, ...], node: Node, attend: Attend, deadline: float
    ) -> None:
        self.name = name
        self.lab = lab
        self.deadline = deadline
        self.others = tuple(each for each in external if each != name)
        """The other nodes of the lab that programs of their own can be."""
        self._node = node
        self._attend = attend
        self._acquaintances: dict[str, Acquaintance] = {}
        node.visits.attended = True
        node.visits.on_change = self._look

    def __repr__(self) -> str:
        return f"<node {self.name} of lab {self.lab}>"

    @property
    def clock(self) -> Clock:
        """Return the lab's clock of emulated time."""
        return self._own.clock

    @property
    def coin(self) -> Coin:
        """Return this node's random bits."""
        return self._own.coin

    @property
    def memory(self) -> Memory:
        """Return this node's quantum memories."""
        return self._own.register

    @property
    def identity(self) -> Identity:
        """Return this node's signing key and the public keys of the others."""
        return self._own.surroundings.identity

    @property
    def network(self) -> OpenNetwork:
        """Return the network service, for many pairs at a time, or on terms: one end requests, the other accepts."""
        return OpenNetwork(self.others, lambda other: self._acquainted(other, self.deadline))

    async def qubit(self) -> Qubit:
        """Initialise a free memory to |0>."""
        return await self._own.register.qubit()

    async def pair(
        self,
        other: str,
        terms: Terms = Terms(),  # noqa: B008
        *,
        deadline: float | None = None,
    ) -> SharedHalf:
        """Return this node's half of a fresh pair with another one, made when both programs have asked for it.

        The pair is in |Phi+>, up to noise; nodes between swap it. Its id, ``pair``, is the same at both ends. The terms
        that count are those of the node whose name comes first. Raises ``PeerSilent`` when the other program has not
        connected, or has not asked, within ``deadline`` wall seconds; ``RequestFailed`` when no pair can be had.
        """
        within = self.deadline if deadline is None else deadline
        while True:
            met = await self._acquainted(other, within)
            try:
                return await met.pair(terms, within)
            except PeerGone:
                if self._node.visits.of(other) is None or not met.is_over:
                    raise  # else another process has taken its place, and may ask as well

    def peer(self, other: str) -> VisitingPeer:
        """Return another node that a program is, to send messages to and to receive them from."""
        self._check(other)
        return VisitingPeer(
            other,
            lambda: self._acquainted(other, self.deadline),
            lambda: self._last_met(other),
            self.deadline,
        )

    def keys(self, other: str) -> SharedKeys:
        """Return the keys in store with another node, whoever runs that."""
        own = self._own
        if other not in own.surroundings.channels:
            raise ProgramInvalid(f"no chain of links connects '{self.name}' and '{other}'")
        return own.keys_with(other)

    async def arrive(self) -> None:
        """Wait until the lab lets this node act by itself. Raise ``PeerSilent``."""
        late = f"the lab '{self.lab}' has not let '{self.name}' take part within {self.deadline:g} s: is it still up?"
        await self._node.visits.begun(self.name, self.deadline, late)
        if (reproached := self._node.receive_guest()) is not None:
            self._attend(_reproach(reproached))

    async def leave(self) -> None:
        """Give up all qubits; return when what was said has been published, or after a few seconds.

        What waits for the end of a partition is lost: the log says so.
        """
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PARTING):
                    await self._give_up()
                    if (own := self._node.visits.of(self.name)) is not None:
                        await _arrived(own)
                    await self._node.emptied()
        finally:
            self._node.forsake()

    async def _give_up(self) -> None:
        if (own := self._node.visits.of(self.name)) is not None:
            # a partner's may be gone by now, and with it the pair
            with suppress(RequestError, PeerError, PeerGone, QubitGone):
                await own.register.discard_rest()

    @property
    def _own(self) -> Stage:
        own = self._node.visits.of(self.name)
        if own is None:
            raise PeerGone(self.name, f"its place in the lab '{self.lab}', which has taken it for gone")
        return own

    def _check(self, other: str) -> None:
        """Raise ``ProgramInvalid`` unless a program can be the other node."""
        if other in self.others:
            return
        if other == self.name:
            raise ProgramInvalid(f"'{other}' is this node itself; name another one")
        if other in self._own.surroundings.channels:
            raise ProgramInvalid(
                f"node '{other}' is run by the lab and plays parts in runs only, so it asks for nothing by itself; "
                f"write 'nodes: {{{other}: {{external: true}}}}' into the lab file and connect a program as it"
            )
        known = ", ".join(self.others) or "none"
        raise ProgramInvalid(f"the lab has no node '{other}' that a program can be; there are: {known}")

    async def _acquainted(self, other: str, deadline: float) -> Acquaintance:
        """Return what there is between this node and another one that is there; wait for it."""
        self._check(other)
        silent = (
            f"'{other}' has not connected to the lab '{self.lab}' within {deadline:g} s, and '{self.name}' waits for "
            f'it: start its program, with nodes.connect("{other}")'
        )
        return self._met(other, await self._node.visits.begun(other, deadline, silent, self._own.clock))

    def _look(self) -> None:
        for acquaintance in self._acquaintances.values():
            acquaintance.look()

    def _last_met(self, other: str) -> Acquaintance | None:
        """Return what there was between this node and the last process that the other one was."""
        last = self._node.visits.last(other)
        return None if last is None else self._met(other, last)

    def _met(self, other: str, theirs: Stage) -> Acquaintance:
        mine, known = self._own, self._acquaintances.get(other)
        if known is None or not known.is_between(mine, theirs):
            known = self._acquaintances[other] = Acquaintance(self._node.visits, mine, theirs, self.deadline)
            known.look()  # it may be over already
        return known


@asynccontextmanager
async def acting(
    node: Node, name: str, lab: str, external: tuple[str, ...], deadline: float = 20.0
) -> AsyncIterator[ConnectedNode]:
    """Let a node serve, and the block act as it; the ``external`` nodes of the lab are what programs can be.

    What ends the node meanwhile is raised in an exception group, and what is raised in the block as it is.
    """
    over = asyncio.Event()

    async def serve() -> None:
        try:
            await node.serve()
        finally:
            over.set()

    async with attendants() as attend:
        attend(serve())
        me = ConnectedNode(name, lab, external, node, attend, deadline)
        await me.arrive()
        try:
            yield me
        finally:
            if not over.is_set():
                await me.leave()


async def _arrived(own: Stage) -> None:
    """Wait until all that was said has arrived: where time is virtual, who leaves is gone at once.

    What sets off meanwhile, for a partition has healed, arrives later.
    """
    last = -inf
    while last < own.office.last_arrival:
        last = own.office.last_arrival
        await own.clock.until(nextafter(last, inf))


async def _reproach(reproached: asyncio.Future[Exception]) -> None:
    raise await reproached
