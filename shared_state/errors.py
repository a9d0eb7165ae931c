"""What can go wrong with the quantum world, one class per condition, one wire code per class.

    SharedStateError
    ├── RequestError             mine: the request was wrong; asking again will not help
    │   ├── BadRequest               bad-request          unknown operation, wrong argument, wrong role
    │   ├── NotYours                 not-yours            the qubit was never given to this node
    │   ├── NoSuchQubit              no-such-qubit        it was: measured, discarded or sent since
    │   ├── QubitExpired             qubit-expired        it, or its pair's other half, was kept past a cut-off
    │   ├── MeasurementFailed        measurement-failed   a Bell measurement that succeeds at times has told nothing
    │   ├── NoFreeMemory             no-free-memory
    │   ├── ClusterTooLarge          cluster-too-large    more entangled qubits than the lab allows
    │   ├── TimeReversed             time-reversed        virtual time never runs backwards
    │   ├── RunClosed                run-closed           this node has ended its part of the run
    │   ├── PulseMismatch            pulse-mismatch       as many bases as pulses, please
    │   └── LimitExceeded            limit-exceeded
    ├── LinkDown                 link-down            the fibre is cut; once it is up again, asking will help
    ├── PeerError                theirs: the other end of a link is gone; ``node`` names it
    │   ├── PeerDeparted             peer-departed
    │   ├── PeerLeftRun              peer-left-run
    │   └── PartnerLost              partner-lost         the other half of this pair was traced out
    ├── AdmissionError           the server does not let this party in
    │   ├── BadCredential            bad-credential
    │   ├── WrongLab                 wrong-lab
    │   ├── WrongVersion             wrong-version
    │   ├── NameInUse                name-in-use
    │   ├── SessionExpired           session-expired      nothing left to resume
    │   └── TurnOverdue              turn-overdue         it has kept its turn, and nobody waits for it any more
    ├── DocumentInvalid          mine: a document is not the configuration that it is to be; not on the wire
    ├── WireError                malformed-frame      the other side does not speak this protocol
    └── ServerError              theirs: the server
        ├── InternalError            internal-error       a fault of the server; its log tells the story
        ├── JournalFailed            journal-failed       it cannot write down what it would acknowledge
        ├── RecordFailed             record-failed        it cannot write the record of what happens
        └── ServerLost               server-lost          it is gone for good

On the wire an error is [code, sentence, operation, node]; ``to_wire`` and ``from_wire`` translate, nothing
else does.
"""

from __future__ import annotations

from collections.abc import Iterator


class SharedStateError(Exception):
    """The root. ``operation`` names what failed and ``node`` the other party, or they are empty."""

    code = "error"

    def __init__(self, message: str, *, operation: str = "", node: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.node = node

    def __str__(self) -> str:
        return f"{self.operation}: {self.message}" if self.operation else self.message


class RequestError(SharedStateError):
    """The request was wrong."""


class BadRequest(RequestError):
    """The operation does not exist, is not this role's, or an argument is not what it takes."""

    code = "bad-request"


class NotYours(RequestError):
    """The node does not hold this qubit and never did."""

    code = "not-yours"


class NoSuchQubit(RequestError):
    """The node no longer holds this qubit."""

    code = "no-such-qubit"


class QubitExpired(RequestError):
    """The cut-off of a memory has passed for this qubit or the other half of its pair; ``node`` kept that one.

    The qubit is discarded.
    """

    code = "qubit-expired"


class MeasurementFailed(RequestError):
    """A Bell measurement of a device that does not always succeed has told nothing; both qubits are gone."""

    code = "measurement-failed"


class NoFreeMemory(RequestError):
    """All memories of the node hold a qubit or are reserved for one that it waits for."""

    code = "no-free-memory"


class ClusterTooLarge(RequestError):
    """The operation would entangle more qubits than the lab allows; nothing was changed."""

    code = "cluster-too-large"


class TimeReversed(RequestError):
    """In virtual mode, an operation lies before the last one on the same qubit."""

    code = "time-reversed"


class RunClosed(RequestError):
    """The node itself has ended its part of this run."""

    code = "run-closed"


class PulseMismatch(RequestError):
    """The receiver chose another number of bases than the sender emitted pulses."""

    code = "pulse-mismatch"


class LimitExceeded(RequestError):
    """The request is larger, or waits for more, than the server allows one session."""

    code = "limit-exceeded"


class LinkDown(SharedStateError):
    """A link is cut, and so no pair comes over it; or it was, before this qubit was heralded, which is discarded."""

    code = "link-down"


class PeerError(SharedStateError):
    """The other end of a link is gone; ``node`` names it."""


class PeerDeparted(PeerError):
    """The other end's session has ended."""

    code = "peer-departed"


class PeerLeftRun(PeerError):
    """The other end has ended its part of this run."""

    code = "peer-left-run"


class PartnerLost(PeerError):
    """The other half of this qubit's pair was traced out with its departed node; this half is discarded."""

    code = "partner-lost"


class AdmissionError(SharedStateError):
    """The server does not let this party in."""


class BadCredential(AdmissionError):
    """Unknown name or wrong token."""

    code = "bad-credential"


class WrongLab(AdmissionError):
    """The server serves another lab."""

    code = "wrong-lab"


class WrongVersion(AdmissionError):
    """The server speaks another version of the protocol."""

    code = "wrong-version"


class NameInUse(AdmissionError):
    """Another connection of this name is alive."""

    code = "name-in-use"


class SessionExpired(AdmissionError):
    """The session to be resumed has ended."""

    code = "session-expired"


class TurnOverdue(AdmissionError):
    """In virtual mode, the party had the turn and said nothing for longer than the lab waits: its session has ended."""

    code = "turn-overdue"


class DocumentInvalid(SharedStateError):
    """A document is not the configuration that it is to be; says where, and nothing of what is there."""


class WireError(SharedStateError):
    """The bytes are not frames of this protocol."""

    code = "malformed-frame"


class ServerError(SharedStateError):
    """The server failed."""


class InternalError(ServerError):
    """A fault inside the server met this request."""

    code = "internal-error"


class JournalFailed(ServerError):
    """The server's journal cannot be read or written; the server ends rather than forget what it acknowledges."""

    code = "journal-failed"


class RecordFailed(ServerError):
    """The server cannot write the record of the lab's events; the lab goes on without it."""

    code = "record-failed"


class ServerLost(ServerError):
    """The server is gone for good, and with it every qubit."""

    code = "server-lost"


def to_wire(error: SharedStateError) -> list[str]:
    """Write an error as [code, sentence, operation, node]."""
    return [error.code, error.message, error.operation, error.node]


def from_wire(fields: object) -> SharedStateError:
    """Read an error as it was raised at the other side; WireError when it is none."""
    match fields:
        case [str(code), str(message), str(operation), str(node)] if code in _CLASSES:
            return _CLASSES[code](message, operation=operation, node=node)
    return WireError(f"the server reports an error that this version does not know: {fields!r}")


def _leaves(root: type[SharedStateError]) -> Iterator[type[SharedStateError]]:
    for child in root.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from _leaves(child)


_CLASSES = {kind.code: kind for kind in _leaves(SharedStateError)}
