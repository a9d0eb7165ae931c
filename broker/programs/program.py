"""What all broker programs have in common: their configuration and how they are run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from broker.access import AccessRule
from broker.errors import InvalidName
from broker.topics import valid_name

MAX_PACKET = (1 << 20) + (1 << 16)
"""The longest MQTT packet in bytes: the longest envelope and room for its topic."""


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """Who the broker is under TLS, in PEM: the authority's certificate, its own, and its own key.

    A party then is the common name of the certificate that it shows.
    """

    authority: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """One broker of one lab.

    ``users`` maps the name of every party, control and monitor included, to its password. ``port`` 0 takes
    a free one; with ``tls`` it serves parties with a certificate there, and nobody else. ``directory`` is where a
    program keeps its files; only its owner should be able to read it.
    Raises ``InvalidName`` for a lab or user that topics cannot hold, or without a password.
    """

    lab: str
    users: dict[str, str] = field(repr=False)
    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    monitor: str = "monitor"
    tls: BrokerTls | None = None

    def __post_init__(self) -> None:
        valid_name(self.lab, "lab")
        for user, password in self.users.items():
            valid_name(user)
            if not password or not password.isprintable():
                raise InvalidName(f"The user {user!r} needs a password of printable characters.")

    @property
    def access(self) -> AccessRule:
        """Return the rule that the broker enforces."""
        return AccessRule(self.lab, self.monitor)


class BrokerProgram(Protocol):
    """A broker that this process runs. Use as an async context manager: entered, it accepts connections.

    Entering raises ``PortTaken``, ``ProgramMissing`` or ``ProgramFailed``.
    """

    @property
    def program(self) -> str:
        """Return the program's name: ``embedded`` or ``mosquitto``."""

    @property
    def host(self) -> str:
        """Return the address on which it listens."""

    @property
    def port(self) -> int:
        """Return the port on which it listens."""

    async def __aenter__(self) -> Self:
        """Start the program and wait until it accepts connections."""

    async def __aexit__(self, *exc: object) -> None:
        """End the program and wait until it is gone."""

    async def watch(self) -> None:
        """Wait for ever; raise ``ProgramFailed`` with its last log lines when the program ends by itself."""
