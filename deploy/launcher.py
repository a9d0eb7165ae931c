"""What a lab needs of whoever starts its processes: an operating system on this host, or an engine of containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, Self

from deploy.child import Child
from deploy.children import Part

SERVERS: Final = ("broker", "state")
"""The processes to which the nodes say goodbye, and which therefore end after them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server of the lab listens: on which address and port, 0 a free one, and as whom nodes find it.

    ``known_as`` is empty where nodes find it at the address on which it listens, and at the port that it has taken.
    """

    host: str = "127.0.0.1"
    port: int = 0
    known_as: str = ""

    def seen_by_nodes(self, here: tuple[str, int]) -> tuple[str, int]:
        """Return the address of a server at this place, which from this host is that of ``here``."""
        return (self.known_as, self.port) if self.known_as else here

    @property
    def found_at(self) -> str:
        """Return at which address this host finds it: who has a name for nodes listens on all of them."""
        return "127.0.0.1" if self.known_as else self.host

    @property
    def names(self) -> list[str]:
        """Return the names and addresses that its certificate is to have."""
        return list(dict.fromkeys([self.known_as or self.host, "localhost", "127.0.0.1"]))


class Launcher(Protocol):
    """The processes of one lab. Use as an async context manager: leaving ends them all, and waits until they have.

    ``broker`` and ``state`` are the places of the two servers.
    """

    broker: Place
    state: Place

    async def __aenter__(self) -> Self:
        """Get ready to start processes."""

    async def __aexit__(self, *exc: object) -> None:
        """End all processes."""

    @property
    def children(self) -> Mapping[str, Child]:
        """Return the processes, the latest of each name."""

    def start(self, name: str, part: Part) -> Child:
        """Start a process; return at once."""

    async def started(self, *children: Child, within: float | None = None) -> None:
        """Wait until all are ready; raise ``ProcessDied`` for one that ends first or is not ``within`` so many s."""

    async def watch(self) -> None:
        """Wait until a process ends that was not stopped; raise ``ProcessDied``."""

    def dead(self) -> list[Child]:
        """Return the processes that have ended without having been stopped."""

    async def stop(self, *names: str) -> None:
        """End processes, all at a time, but the servers last: ask, wait, and kill what does not answer."""
