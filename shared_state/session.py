"""The server's side of one session: what outlives a connection, so that nothing is lost or done twice."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from shared_state.connection import Connection
from shared_state.errors import LimitExceeded, SharedStateError, WireError, to_wire
from shared_state.wire import Message, encode

MAX_WAITING: Final = 1024
MAX_KEPT: Final = 4 * 2**24
"""Bytes of answers kept for a client that never says it has them."""
ANY_RUN: Final = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    serial: int
    request: int
    frame: bytes
    qubit: int | None


class Session:
    """A party's standing with the server, connected or not.

    ``applied`` is the id of its last request that was applied, ``waiting`` its requests that wait for
    somebody else, with their operations. ``expires`` is when it ends unless it is resumed: wall seconds, None
    while connected.
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
        self.waiting: dict[int, str] = {}
        self._serial = 0
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
        while self._answers and self._answers[0].serial <= received:
            self._size -= len(self._answers.popleft().frame)

    def delivered_by(self, request: int) -> int | None:
        """Return the qubit in the answer to a request, unless the client has acknowledged it."""
        return next((answer.qubit for answer in self._answers if answer.request == request), None)

    def repeat(self) -> None:
        """Send all answers again that the client does not have."""
        if self.connection is not None:
            for answer in self._answers:
                self.connection.send(answer.frame)

    def _send(self, request: int, frame: bytes, qubit: int | None) -> None:
        self.waiting.pop(request, None)
        self._serial += 1
        self._answers.append(_Answer(self._serial, request, frame, qubit))
        self._size += len(frame)
        if self.connection is None:
            return
        self.connection.send(frame)
        if self._size > MAX_KEPT and len(self._answers) > 1:
            # whoever asks on and on without reading would fill the server's memory
            self.connection.refuse(WireError(f"{self._size} bytes of answers were never acknowledged."))
