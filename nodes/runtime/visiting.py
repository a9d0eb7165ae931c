"""Two nodes that act by themselves: their messages, and how they agree on which pair is which.

Each has a visit of its own. What one tells the other travels in the visit of the one who receives it, so that a message
is there still when its sender has left.

Pairs are made in the visit of the node whose name comes first, the head, by requests that the other one, the tail,
accepts. So that neither gets a half for which nobody waits at the other end, a request is made when both have asked:

    tail                                head
    PairAsked(1)      ────▶                            as soon as its program asks
                      ◀────             PairAgreed(1)  when its own asks, too; and at once a request

The n-th agreement stands for the n-th request. A tail that has given up meanwhile accepts nothing for it, and the head
goes on to its next question.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from typing import TypeAlias, cast

from nodes.errors import NodeError, PeerGone, PeerSilent
from nodes.link.service import Failure
from nodes.requests import Pairs, RequestFailed, SharedHalf, Terms
from nodes.runtime.desk import RequestDesk
from nodes.runtime.peers import BusPeer
from nodes.runtime.stage import Stage
from nodes.runtime.visits import Visits

_Asked: TypeAlias = AbstractAsyncContextManager[Pairs[SharedHalf]]
"""What a desk gives: pairs, to be entered."""


@dataclass(frozen=True, slots=True)
class PairAsked:
    """The sender's program waits for a pair with the recipient's; its ``number``-th question, from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class PairAgreed:
    """The sender's program waits for a pair, too, and its request for it follows: the answer to ``number``."""

    number: int


class Acquaintance:
    """The node of ``mine`` and that of ``theirs``, as long as neither leaves.

    ``deadline`` bounds, in wall seconds, each wait for a pair that has been requested. ``requests`` and ``acceptances``
    are the network service as the two have it beside ``pair``.
    """

    def __init__(self, visits: Visits, mine: Stage, theirs: Stage, deadline: float) -> None:
        self._visits = visits
        self.run = theirs.order.run
        self.name = theirs.order.visitor
        self._mine = mine
        self._me = mine.order.visitor
        self._is_head = self._me < self.name
        self._theirs = theirs
        self._deadline = deadline
        self._beginning = asyncio.Lock()
        self._numbers = count(1)
        self._asked: deque[int] = deque()
        self._agreed: dict[int, asyncio.Future[_Asked]] = {}
        self._changed = asyncio.Event()
        self._gone: PeerGone | None = None
        self._listens = self._has_hung_up = False
        self._pairs = self._desk("pairs", mine if self._is_head else theirs)
        self.requests = self._desk("network", mine)
        self.acceptances = self._desk("network", theirs)

    @property
    def is_over(self) -> bool:
        """Tell whether the other one has left."""
        return self._visits.of(self.name) is not self._theirs

    def is_between(self, mine: Stage, theirs: Stage) -> bool:
        """Tell whether the visits of the two are still those."""
        return mine is self._mine and theirs is self._theirs

    def _desk(self, purpose: str, host: Stage) -> RequestDesk:
        """Return where pairs of the two are asked for and accepted, for one purpose, in the visit of one of them."""
        assert host.network is not None
        other = self._mine.order.run if host is self._theirs else self.run
        return RequestDesk(
            network=host.network,
            register=self._mine.register,
            clock=self._mine.clock,
            coin=self._mine.coin,
            session=f"{host.order.run}:{other}:{purpose}",
            role=self._me,
            nodes={self._me: self._me, self.name: self.name},
            deadline=self._deadline,
        )

    def outgoing(self, subject: str, deadline: float) -> BusPeer:
        """Return the way of messages there."""
        return self._peer(f"{self.run}:{self._mine.order.run}:{subject}", deadline)

    def incoming(self, subject: str, deadline: float) -> BusPeer:
        """Return the way of messages from there."""
        return self._peer(f"{self._mine.order.run}:{self.run}:{subject}", deadline)

    def has_said(self, subject: str) -> bool:
        """Tell whether there is something from there that nobody has received."""
        incoming = self.incoming(subject, inf)
        return incoming.office.unread(self.name, incoming.session)

    async def pair(self, terms: Terms, deadline: float) -> SharedHalf:
        """Return this end's half of a pair that both have asked for.

        Raise ``PeerSilent`` when the other one has not asked within ``deadline`` wall seconds, ``PeerGone`` when it has
        left, ``RequestFailed`` when there is no pair to be had.
        """
        if self._gone is not None and not self.is_over:
            self._gone, self._listens = None, False  # it was taken for gone, and has come back
        if not self._listens:
            self._listens = True
            assert self._mine.network is not None
            self._mine.network.event(self._begin_listening)
        asked = f"'{self.name}' has not asked for a pair with '{self._me}' within {deadline:g} s"
        while True:
            pairs: _Asked | None = None
            try:
                async with asyncio.timeout(self._mine.clock.deadline(deadline)):
                    pairs = await (self._request(terms) if self._is_head else self._be_requested())
            except TimeoutError:
                if pairs is not None:
                    await _refuse(pairs)
                raise PeerSilent(self.name, deadline, f"{asked}: is its program running?") from None
            try:
                async with pairs as halves:
                    return await halves.next()
            except RequestFailed as failed:
                if not self._is_head or failed.failure != Failure.DENIED:
                    raise  # else the other one has given up, and may ask again

    async def _request(self, terms: Terms) -> _Asked:
        """At the head: request a pair when the other one has asked for it."""
        async with self._beginning:
            with self._mine.clock.waiting(f"'{self.name}' to ask for a pair"):
                while not self._asked:
                    self._check()
                    self._changed.clear()
                    await self._changed.wait()
            number = self._asked.popleft()
            pairs = cast(_Asked, self._pairs.request(self.name, 1, terms))
            await self.outgoing("pairs", inf).send(PairAgreed(number))
            return pairs

    async def _be_requested(self) -> _Asked:
        """At the tail: ask, and wait until the other one has asked, too."""
        self._check()
        number = next(self._numbers)
        agreed: asyncio.Future[_Asked] = asyncio.get_running_loop().create_future()
        self._agreed[number] = agreed
        taken = False
        try:
            await self.outgoing("pairs", inf).send(PairAsked(number))
            with self._mine.clock.waiting(f"'{self.name}' to ask for a pair"):
                pairs = await agreed
            taken = True
            return pairs
        finally:
            self._agreed.pop(number, None)
            if not taken and agreed.done() and not agreed.cancelled() and agreed.exception() is None:
                await _refuse(agreed.result())

    def _begin_listening(self) -> None:
        """Listen in a task of the visit, of which virtual time knows for what it waits."""
        assert self._mine.network is not None
        self._mine.network.task(self._listen)

    async def _listen(self) -> None:
        """Take what the other one says of pairs, until it leaves."""
        incoming = replace(self.incoming("pairs", inf), standing=True)
        try:
            while True:
                if self._is_head:
                    self._asked.append((await incoming.receive(PairAsked)).number)
                    self._changed.set()
                    continue
                agreed = self._agreed.pop((await incoming.receive(PairAgreed)).number, None)
                if self.is_over:  # and with its visit all that it has requested
                    if agreed is not None and not agreed.done():
                        agreed.set_exception(PeerGone(self.name, "a pair with it"))
                    continue
                pairs = cast(_Asked, self._pairs.accept(self.name))
                if agreed is None or agreed.done():
                    await _refuse(pairs)
                else:
                    agreed.set_result(pairs)
        except NodeError:
            self._mourn()

    def look(self) -> None:
        """Notice that the other one's visit is over, though nobody has said so: a wire was cut, and it is back.

        Where time is virtual, who has gone is heard of in its turn.
        """
        if self.is_over and not self._has_hung_up:
            self._has_hung_up = True
            self._mine.office.hang_up(self.name, f"{self._mine.order.run}:{self.run}")
        if self.is_over and self._gone is None and self._mine.clock.deadline(self._deadline) is not None:
            self._mourn()

    def _mourn(self) -> None:
        self._gone = PeerGone(self.name, "a pair with it")
        self._changed.set()
        for waiting in self._agreed.values():
            if not waiting.done():
                waiting.set_exception(self._gone)

    def _check(self) -> None:
        if self._gone is not None:
            raise PeerGone(self.name, "a pair with it")

    def _peer(self, session: str, deadline: float) -> BusPeer:
        return replace(self._mine.peer_in(self.name, session, "visit"), deadline=deadline)


async def _refuse(pairs: _Asked) -> None:
    async with pairs:
        pass
