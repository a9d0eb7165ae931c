"""What can go wrong in the classical network.

    BrokerError
    ├── InvalidName                 a lab, party, protocol or channel has a name that topics cannot hold
    ├── EnvelopeError               a message cannot be encoded, or what arrived is not an envelope
    │   └── ForgedEnvelope          its fields contradict the topic, which the broker vouches for
    ├── InboxOverflow               too many messages arrived ahead of one that is missing
    ├── BrokerUnreachable           nobody answers at the broker's address
    ├── BrokerRefused               the broker is there and does not let this party in
    ├── BrokerLost                  the broker went away and did not come back in time
    └── ProgramError                a broker program cannot serve
        ├── ProgramMissing          it is not installed
        ├── PortTaken               another program listens on its port
        └── ProgramFailed           it did not start, or ended by itself

``EnvelopeError`` and ``InboxOverflow`` are the sender's fault, ``BrokerRefused`` and ``InvalidName`` the
caller's, the others the surroundings'.
"""

from __future__ import annotations


class BrokerError(Exception):
    """Root of every error that this package raises."""


class InvalidName(BrokerError):
    """A lab, party, protocol or channel has a name that topics cannot hold."""


class EnvelopeError(BrokerError):
    """A message cannot be encoded, or what arrived is not an envelope."""


class ForgedEnvelope(EnvelopeError):
    """An envelope's fields contradict the topic on which it travels."""


class InboxOverflow(BrokerError):
    """Too many messages arrived ahead of one that is missing."""


class BrokerUnreachable(BrokerError):
    """Nobody answers at the broker's address."""


class BrokerRefused(BrokerError):
    """The broker is there and does not let this party in."""


class BrokerLost(BrokerError):
    """The broker went away and did not come back in time."""


class ProgramError(BrokerError):
    """A broker program cannot serve."""


class ProgramMissing(ProgramError):
    """The broker program is not installed."""


class PortTaken(ProgramError):
    """Another program listens on the broker's port."""


class ProgramFailed(ProgramError):
    """The broker program did not start, or ended by itself."""
