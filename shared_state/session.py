"""The server's side of one session: what outlives a connection, so that nothing is lost or done twice."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from shared_state.connection import Connection
from shared_state.engine.backlog import Account
from shared_state.engine.later import Later
from shared_state.errors import LimitExceeded, SharedStateError, WireError, to_wire
from shared_state.wire import Message, encode

MAX_WAITING: Final = 1024
MAX_KEPT: Final = 4 * 2**24
"""Bytes of answers kept for a client that does not say it has them, there or not; more, and its session ends."""
OVERHEAD: Final = 256
"""Bytes that an answer takes up besides its frame, roughly."""
ANY_RUN: Final = ""


@dataclass(slots=True)
class _Answer:
    """An answer in its place; ``frame`` is None until it is known."""

    serial: int
    request: int
    frame: bytes | None
    qubit: int | None


class Session:
    """A party's standing with the server, connected or not.

    ``applied`` is the id of its last request that was applied, ``waiting`` its requests that wait for
    somebody else, with their operations. ``expires`` is when it ends unless it is resumed: wall seconds, None
    while connected. On its ``account`` goes the work on the joint state that it has caused.

    Answers have their places in the order in which they were given, and are sent in that order: those behind one that
    is not known yet wait for it.
    """

    def __init__(
        self, identity: str, name: str, role: Literal["node", "oracle"], connection: Connection | None
    ) -> None:
        self.identity = identity
        self.name = name
        self.role = role
        self.connection: Connection | None = connection
        self.expires: float | None = None
        self.applied = 0
        self.received = 0
        self.waiting: dict[int, str] = {}
        self.account = Account()
        self._serial = 0
        self._told = 0
        self._acknowledged = 0
        self._answers: deque[_Answer] = deque()
        self._size = 0
        self._failures: dict[str, SharedStateError] = {}

    def accept(self, request: int) -> bool:
        """Tell whether a request is new; a repeated one was applied already.

        Raises:
            WireError: requests are missing before this one.
        """
        if request <= self.applied:
            return False
        if request != self.applied + 1:
            raise WireError(f"request {request} follows request {self.applied}: requests are missing.")
        self.applied = request
        return True

    def wait(self, request: int, word: str) -> None:
        """Note that the request waits. Raises LimitExceeded."""
        if len(self.waiting) >= MAX_WAITING:
            raise LimitExceeded(f"{self.name} has {MAX_WAITING} requests waiting already: cancel some first.")
        self.waiting[request] = word

    def answer(self, request: int, value: Message, qubit: int | None = None) -> None:
        """Answer a request; ``qubit`` is the one that it delivers. Raises LimitExceeded."""
        self._send(request, encode([self._serial + 1, request, value]), qubit)

    def answer_later(self, request: int, word: str, value: Later[Any]) -> None:
        """Answer a request for ``word`` when the value is known, in the place that it has now. Raises LimitExceeded."""
        if value.known:
            self.answer(request, value.value)
            return
        self._send(request, None, None)
        value.when_known(partial(self._fill, self._answers[-1], word))

    def refuse(self, request: int, error: SharedStateError) -> None:
        """Answer a request with an error."""
        self._send(request, encode([self._serial + 1, request, None, to_wire(error)]), None)

    def keep(self, failure: SharedStateError, run: str) -> None:
        """Keep the failure of a posted operation for the next answer that concerns its run.

        Only a run's first: those that follow tend to follow from it.
        """
        self._failures.setdefault(run, failure)

    @property
    def has_failures(self) -> bool:
        """Tell whether a posted operation has failed and nobody was told."""
        return bool(self._failures)

    def take_failure(self, run: str) -> SharedStateError | None:
        """Take the failure kept for this run (ANY_RUN for whichever there is), or for a run unknown."""
        if run == ANY_RUN and self._failures:
            return self._failures.pop(next(iter(self._failures)))
        return self._failures.pop(run, None) or self._failures.pop(ANY_RUN, None)

    def acknowledge(self, received: int) -> None:
        """Forget the answers that the client has."""
        if received > self._acknowledged:
            self._acknowledged = min(received, self._serial)
        while self._answers and self._answers[0].serial <= self._acknowledged:
            frame = self._answers[0].frame
            if frame is None:
                break  # nobody can have it: it is forgotten when it is known
            self._size -= len(frame) + OVERHEAD
            self._answers.popleft()

    @property
    def overfull(self) -> bool:
        """Tell whether the answers that it keeps take up too much memory."""
        return self._size > MAX_KEPT

    @property
    def unheard(self) -> bool:
        """Tell whether the client had an answer before it when it said what it has said last."""
        return bool(self._answers) and self._answers[-1].serial > self.received

    def delivered_by(self, request: int) -> int | None:
        """Return the qubit in the answer to a request, unless the client has acknowledged it."""
        return next((answer.qubit for answer in self._answers if answer.request == request), None)

    def repeat(self) -> None:
        """Send all answers again that the client does not have."""
        self._told = 0
        self._tell()

    def _fill(self, answer: _Answer, word: str, value: Message) -> None:
        """Let an answer be known; one that is too long is a refusal."""
        try:
            answer.frame = encode([answer.serial, answer.request, value])
        except LimitExceeded as error:
            error.operation = word
            answer.frame = encode([answer.serial, answer.request, None, to_wire(error)])
        self._size += len(answer.frame) + OVERHEAD
        self._tell()
        self.acknowledge(self._acknowledged)

    def _tell(self) -> None:
        """Send what the connection has not been told, up to an answer that is not known yet."""
        if self.connection is None:
            return
        forgotten = self._serial - len(self._answers)
        self._told = max(self._told, forgotten)
        while self._told < self._serial:
            frame = self._answers[self._told - forgotten].frame
            if frame is None:
                return
            self.connection.send(frame)
            self._told += 1

    def _send(self, request: int, frame: bytes | None, qubit: int | None) -> None:
        self.waiting.pop(request, None)
        self._serial += 1
        self._answers.append(_Answer(self._serial, request, frame, qubit))
        if frame is not None:
            self._size += len(frame) + OVERHEAD
        self._tell()
