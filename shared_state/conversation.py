"""The client's side of one session, without the socket: what was said, heard, and must be repeated."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from shared_state.config import ClockMode
from shared_state.errors import SharedStateError, WireError, from_wire
from shared_state.wire import MAX_REQUEST, VERSION, Decoder, Message, encode


class Durations(NamedTuple):
    """How long a node's own operations take, in emulated seconds; all 0 for an oracle."""

    single: float = 0.0
    two: float = 0.0
    readout: float = 0.0
    initialisation: float = 0.0


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the server says to who may come in. ``now`` in emulated seconds, ``lease`` in wall seconds.

    ``durable``: it keeps a journal, so it may come back after it has died. ``recorded``: it writes a record of events.
    """

    session: str
    mode: ClockMode
    scale: float
    now: float
    lease: float
    applied: int
    durable: bool
    recorded: bool
    durations: Durations


class Refused(NamedTuple):
    """The server ends the connection, and says why."""

    error: SharedStateError


class Answered(NamedTuple):
    """The server answers a request, with a value or an error."""

    request: int
    value: Message
    error: SharedStateError | None


Event: TypeAlias = Welcome | Refused | Answered


class Conversation:
    """Requests out, events in; a new connection continues where the old one broke off."""

    def __init__(self, *, lab: str, name: str, token: str, role: Literal["node", "oracle"]) -> None:
        self._identity: dict[str, Message] = {"lab": lab, "name": name, "token": token, "role": role}
        self._session = ""
        self._decoder = Decoder()
        self._requests = 0
        self._received = 0
        self._unapplied: deque[tuple[int, bytes]] = deque()

    @property
    def unapplied(self) -> int:
        """Return how many requests the server may not have seen: they would be sent again."""
        return len(self._unapplied)

    def hello(self) -> bytes:
        """Return the first frame of a new connection."""
        self._decoder = Decoder()
        progress: dict[str, Message] = {"resume": self._session, "received": self._received}
        return encode({"version": VERSION, **self._identity, **progress})

    def request(self, operation: str, arguments: list[Message]) -> tuple[int, bytes]:
        """Return the id and the frame of a new request. Raises LimitExceeded when it is too large."""
        frame = encode([self._requests + 1, self._received, operation, arguments], MAX_REQUEST)
        self._requests += 1
        self._unapplied.append((self._requests, frame))
        return self._requests, frame

    def outstanding(self) -> bytes:
        """Return the frames to be sent on a new connection, after its welcome."""
        return b"".join(frame for _, frame in self._unapplied)

    def receive(self, data: bytes) -> list[Event]:
        """Take in what was read. Raises WireError."""
        return [self._hear(message) for message in self._decoder.messages(data)]

    def _hear(self, message: Message) -> Event:
        match message:
            case [int(serial), int(request), value]:
                self._note(serial, request)
                return Answered(request, value, None)
            case [int(serial), int(request), None, error]:
                self._note(serial, request)
                return Answered(request, None, from_wire(error))
            case {"refused": error}:
                return Refused(from_wire(error))
            case {
                "session": str(session),
                "mode": "real-time" | "virtual" as mode,
                "scale": int() | float() as scale,
                "now": int() | float() as now,
                "lease": int() | float() as lease,
                "applied": int(applied),
                "durable": bool(durable),
                "recorded": bool(recorded),
                "durations": [float(single), float(two), float(readout), float(initialisation)],
            }:
                self._session = session
                self._forget(applied)
                durations = Durations(single, two, readout, initialisation)
                return Welcome(session, mode, scale, now, lease, applied, durable, recorded, durations)
        raise WireError("the server says something that is neither welcome, answer nor refusal.")

    def _note(self, serial: int, request: int) -> None:
        # requests are applied in order, so an answer says that all earlier ones were applied, too
        self._received = serial
        self._forget(request)

    def _forget(self, applied: int) -> None:
        while self._unapplied and self._unapplied[0][0] <= applied:
            self._unapplied.popleft()
