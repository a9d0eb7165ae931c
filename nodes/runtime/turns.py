"""A node's part in the lab's virtual clock: it acts when it has the turn, and ends the turn when all its roles wait.

One thing happens after the other, each when what the last one set off has come to rest: an answer of the server is
handed to the role that asked, a message to its mailbox, a timer goes off. So the order in which the tasks of a node
run does not depend on how its packets were cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple, Protocol

from nodes.errors import Deadlock, TurnKept
from nodes.runtime.calm import Calm
from nodes.runtime.ensemble import Ensemble
from shared_state.arguments import Despatch
from shared_state.client import NodeClient, Turn
from shared_state.errors import ServerLost
from shared_state.wire import Message

_SIGN_OF_LIFE = 5.0
"""A node that keeps its turn, because a role awaits something, says so to the server so often: wall seconds."""


class _Timer(NamedTuple):
    """``after``: it goes off in a later turn than that one."""

    time: float
    order: int
    goes_off: asyncio.Future[None]
    after: int = -1


class Post(Protocol):
    """What has the messages that came over the bus, by sender, session and sequence: ``nodes.runtime.mail``."""

    def has_arrived(self, sender: str, session: str, sequence: int) -> bool:
        """Tell whether a message has come."""

    def deliver(self, sender: str, session: str, sequence: int) -> None:
        """Put it into its mailbox."""

    def lose(self, sender: str, session: str, sequence: int, waited: float) -> None:
        """Tell who waits for it that it will not come."""


class TurnTaker:
    """Takes this node's turns.

    ``now`` is the emulated time of the present turn, or of the last one; ``patience`` for how many wall seconds the bus
    may keep a message that is due, and a role the turn, by awaiting what emulated time does not bring.
    """

    def __init__(
        self,
        client: NodeClient,
        calm: Calm,
        post: Post,
    ) -> None:
        self.now = client.now()
        self.ensemble = Ensemble(self.look)
        self._client = client
        self._calm = calm
        self._post = post
        self._loop = asyncio.get_running_loop()
        self._order = count()
        self.patience = 30.0
        self._missing: asyncio.TimerHandle | None = None
        self._held: asyncio.TimerHandle | None = None
        self._held_since = 0.0
        self._having = False
        self._looking = False
        self._answers: deque[Callable[[], None]] = deque()
        self._due: deque[tuple[str, str, int]] = deque()
        self._stirred: deque[Callable[[], None]] = deque()
        self._timers: list[_Timer] = []
        self._despatched: list[Despatch] = []
        self._holds: set[str] = set()
        self._questions = 0
        self._turn = 0
        self._failed: asyncio.Future[None] = self._loop.create_future()
        client.hand_answers_over_by(lambda: self._keep if self.ensemble.is_current() else _at_once)

    async def serve(self) -> None:
        """Take turns until cancelled; raise what the server objects to."""
        self._end()
        await self._failed

    def look(self) -> None:
        """Go on when everything has come to rest."""
        if not self._looking:
            self._looking = True
            self._calm.then(self._step)

    async def until(self, time: float) -> None:
        """Wait for an emulated time."""
        goes_off: asyncio.Future[None] = self._loop.create_future()
        heappush(self._timers, _Timer(time, next(self._order), goes_off))
        with self.ensemble.waiting(f"{time:.9g} s", timed=True):
            await goes_off

    def waiting(self, story: str, *, standing: bool = False) -> AbstractContextManager[None]:
        """Let the current task wait for what emulated time brings; ``story`` says what that is.

        When everybody waits and nothing is due, ``Deadlock`` is raised in the block, unless it is ``standing``.
        """
        return self.ensemble.waiting(story, timed=standing)

    async def call_at(self, time: float, callback: Callable[[], object]) -> None:
        """Call back in a turn of this node at an emulated time; return when the server knows of it.

        A turn that this node has already, or that is on its way to it, is not that turn: who is first at a time is
        decided by the server. What the server has granted before is here when it answers. Nobody gets a turn meanwhile:
        control holds the clock.
        """
        goes_off: asyncio.Future[None] = self._loop.create_future()
        goes_off.add_done_callback(lambda _: callback())
        self._client.wake(time)
        await self._client.sync()
        heappush(self._timers, _Timer(time, next(self._order), goes_off, self._turn))

    def stir(self, callback: Callable[[], None]) -> None:
        """Call back in the next turn: for what happens on the wall, such as the death of a peer."""
        self._stirred.append(callback)
        self._client.wake(self.now)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let nothing happen at this node inside the block, in which who stands outside of emulated time is asked."""
        self._questions += 1
        try:
            yield
        finally:
            self._questions -= 1
            self.look()

    def despatch(self, despatch: Despatch) -> None:
        """State that a message is on its way; at its time the recipient has a turn."""
        self._despatched.append(despatch)

    def hold(self, run: str) -> None:
        """Keep the turn for as long as a run that has failed here is not called off: no time passes for the others."""
        self._holds.add(run)

    def release(self, run: str) -> None:
        """Let a run that is over go."""
        self._holds.discard(run)
        self._client.wake(self.now)
        self.look()

    def _keep(self, settle: Callable[[], None]) -> None:
        """Keep an answer until it is this node's turn, and the answer's."""
        self._answers.append(settle)
        self.look()

    def _step(self) -> None:
        """Do one thing; when there is none left, and all roles wait, end the turn."""
        self._looking = False
        if not self._having:
            return
        if self._questions:
            self._watch_held()
            return
        if self._answers:
            self._answers.popleft()()
        elif self._due:
            if not self._post.has_arrived(*self._due[0]):
                self._miss(self._due[0])
                return  # the broker is slower than the server; whoever files the message looks again
            self._post.deliver(*self._due.popleft())
        elif self._stirred:
            self._stirred.popleft()()
        elif self._timers and self._timers[0].time <= self.now and self._timers[0].after < self._turn:
            timer = heappop(self._timers)
            if not timer.goes_off.done():
                timer.goes_off.set_result(None)
        elif self._holds or self.ensemble.held_by():
            self._watch_held()
            return
        else:
            self._end()
            return
        self.look()

    def _miss(self, message: tuple[str, str, int]) -> None:
        """Wait for a message that the bus has not brought yet, but not for ever."""
        if self._missing is None:
            self._missing = self._loop.call_later(self.patience, self._give_up, message)

    def _give_up(self, message: tuple[str, str, int]) -> None:
        self._missing = None
        if self._due and self._due[0] == message and not self._post.has_arrived(*message):
            self._due.popleft()
            self._post.lose(*message, self.patience)
        self.look()

    def _watch_held(self) -> None:
        """Let a role hold the clock for ``patience``, at any one place."""
        self._held_since = self._loop.time()
        if self._held is None:
            self._held = self._loop.call_later(min(self.patience, _SIGN_OF_LIFE), self._check_held)

    def _check_held(self) -> None:
        self._held = None
        if not self._having or not self.ensemble.held_by():
            return
        left = self._held_since + self.patience - self._loop.time()
        if left > 0:
            self._client.wake(self.now)  # so that the server knows that this node is alive
            self._held = self._loop.call_later(min(left, _SIGN_OF_LIFE), self._check_held)
            return
        told = (
            f"it has awaited what emulated time does not bring for {self.patience:g} s, and the lab's clock stands "
            "still meanwhile; allow it more time with a longer deadline"
        )
        self.ensemble.fail_held(lambda place: TurnKept(f"{place}: {told}"))

    def _end(self) -> None:
        while self._timers and self._timers[0].goes_off.done():
            heappop(self._timers)
        until = self._timers[0].time if self._timers else None
        despatched, self._despatched = self._despatched, []
        self._having = False
        try:
            asked = self._client.end_turn(until, despatched, self.ensemble.stories())
        except ServerLost:
            return  # who watches the connection tells
        asked.add_done_callback(self._begin)

    def _begin(self, granted: asyncio.Future[Message]) -> None:
        if granted.cancelled():
            return
        if (error := granted.exception()) is not None:
            if not isinstance(error, ServerLost) and not self._failed.done():
                self._failed.set_exception(error)
            return
        turn = Turn.read(granted.result())
        self.now, self._having, self._turn = turn.time, True, turn.number
        self._due.extend(turn.arrivals)
        if turn.stalled:
            self.ensemble.fail(Deadlock(turn.stalled))
        self.look()


def _at_once(settle: Callable[[], None]) -> None:
    settle()
