"""What can go wrong at a node. Every error says what failed and what to do about it.

::

    NodeError
    ├── ProtocolViolation      the peer's message is not what the protocol allows now (theirs)
    ├── AuthenticationFailed   a message is not what the peer sent here: forged, altered, replayed, missing
    ├── KeyRefused             the quantum channel does not yield a secret key (nobody's fault, or Eve's)
    │   └── TooManyErrors      because of the errors that were seen: Eve measures, or the devices are out of order
    ├── TooFewOutcomes         an estimate is asked for and a setting that it needs was never measured
    ├── TransferFailed         a file did not arrive, and nothing of it was left behind
    ├── PeerGone               the peer's process ended or its connection was lost for good
    ├── DeadlinePassed         what was awaited did not come in time
    │   └── PeerSilent             from a node of somebody's own: its program does not run, or asks for nothing
    ├── Partitioned            more is said across a partition than can wait for its end
    ├── TurnKept               in virtual time: a role has awaited what emulated time does not bring for too long
    ├── Deadlock               in virtual time: every role waits, and nothing is on its way to any of them
    │   (also PeerWithdrew in nodes.qkd.authentication, PrecisionLost in nodes.qkd.toeplitz, NoRoute in
    │   nodes.network.routing, RequestFailed in nodes.requests)
    ├── MeasurementFailed      a Bell measurement that succeeds at times has told nothing; its qubits are gone
    ├── QubitGone              the program uses a qubit that it no longer holds, or a cut-off has passed (mine)
    ├── ProgramInvalid         a program file that cannot be run, or asked for with the wrong roles or parameters (mine)
    ├── JoinRefused            a node of one's own cannot take its place in the lab (mine)
    ├── RunCancelled           the lab called the run off, because another role failed or the user did
    └── RunFailed              a run ended without a result; says at which node and why
"""

from __future__ import annotations


class NodeError(Exception):
    """The root of all errors raised by ``nodes``."""


class ProtocolViolation(NodeError):
    """The peer sent a message that the protocol does not allow at this point."""


class AuthenticationFailed(NodeError):
    """A message does not carry the tag that only the peer can make for it at this place of the dialogue."""


class KeyRefused(NodeError):
    """No secret key can be distilled. ``reason`` is a sentence fit for both parties and for the user."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooManyErrors(KeyRefused):
    """So many of the bits that were compared differ that no key is secret: a cause for alarm."""


class TooFewOutcomes(NodeError):
    """Nothing can be estimated: a setting that the estimate needs has not a single outcome."""


class TransferFailed(NodeError):
    """A file was not transferred; the destination is as it was before."""


class PeerGone(NodeError):
    """The peer left before the protocol ended. ``peer`` is its name."""

    def __init__(self, peer: str, awaited: str = "a message") -> None:
        super().__init__(f"node '{peer}' left while {awaited} was awaited; see its log and run again")
        self.peer = peer


class DeadlinePassed(NodeError):
    """Nothing came within the time allowed. ``peer`` is who was waited for."""

    def __init__(self, peer: str, deadline: float, awaited: str = "a message") -> None:
        super().__init__(
            f"node '{peer}' did not send {awaited} within {deadline:g} s; "
            "does its role send it, and await the sending?"
        )
        self.peer = peer
        self.deadline = deadline


class Partitioned(NodeError):
    """The network is partitioned, and too much waits for a party on the other side. ``peer`` is its name."""

    def __init__(self, peer: str, waiting: int) -> None:
        super().__init__(
            f"node '{peer}' is on the other side of a partition, and {waiting} bytes wait for it already; "
            "send less, or heal the partition"
        )
        self.peer = peer


class PeerSilent(DeadlinePassed):
    """A node of somebody's own has not done in time what both ends have to do. ``told`` says what, and what to do."""

    def __init__(self, peer: str, deadline: float, told: str) -> None:
        NodeError.__init__(self, told)
        self.peer = peer
        self.deadline = deadline


class JoinRefused(NodeError):
    """A node of one's own cannot take its place: there is no such lab or node, or somebody else is there already."""


class Deadlock(NodeError):
    """Every role in the lab waits for another one, and nothing is on its way: no time can pass any more."""


class TurnKept(NodeError):
    """A role has awaited something that emulated time does not bring, and the lab's clock has stood still too long."""


class QubitGone(NodeError):
    """The program uses a qubit that was measured, sent, discarded or handed over before, or kept past a cut-off."""


class MeasurementFailed(NodeError):
    """A Bell measurement of a device that does not always succeed has told nothing; both qubits are gone."""


class ProgramInvalid(NodeError):
    """A program cannot be run as asked: its file, its roles or parameters, or what it does with a port, are wrong."""


class RunCancelled(NodeError):
    """The lab called the run off."""


class RunFailed(NodeError):
    """A run ended without a result. ``node`` is where it failed, ``cause`` the name of the error there."""

    def __init__(self, node: str, cause: str, message: str) -> None:
        super().__init__(f"at node '{node}': {message}")
        self.node = node
        self.cause = cause
