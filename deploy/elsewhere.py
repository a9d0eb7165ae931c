"""A lab whose servers and nodes others start, on any hosts: what its control party is told, and how it gets in."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self

from deploy.child import Child
from deploy.errors import LabFailed, UsageError
from deploy.key_access import KmeAddress
from deploy.plan import Plan, plan
from deploy.topology import read
from nodes.runtime.channel import Hop
from nodes.runtime.config import Access
from shared_state.config import ClockMode
from shared_state.tls import TlsIdentity

CONTROL_PORT: Final = 7084


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """The control party of ``lab``: the ``text`` of its file, its clock and seed, and how it gets in.

    ``broker`` has the accesses of the parties that it is: control, the routing controller, the monitor. It serves the
    lab's operator on ``port``, as ``tls``.
    """

    lab: str
    text: str
    mode: ClockMode
    seed: int | None
    broker: dict[str, Access]
    state: Access
    tls: TlsIdentity
    port: int = CONTROL_PORT

    def plan(self) -> Plan:
        """Return the plan of the lab, as it was when the parties' configurations were made."""
        return plan(
            read(self.text, Path(f"{self.lab}.yaml")), mode=self.mode, seed=self.seed, launcher="docker"
        )


class Elsewhere:
    """The servers and nodes that ``config`` tells of."""

    def __init__(self, config: ControlConfig) -> None:
        self._config = config
        self.children: Mapping[str, Child] = {}
        self.homes: Path | None = None
        self.mark = secrets.token_hex(4) if config.mode == "real-time" else ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Leave everything as it is."""

    def broker_access(self, party: str) -> Access:
        """Return how a party gets into the broker."""
        return self._config.broker[party]

    def state_access(self, party: str) -> Access:
        """Return how the control party gets into the shared-state server."""
        return self._config.state

    def kme_addresses(self) -> dict[str, KmeAddress]:
        """Return nothing: where a KME listens is its host's to say."""
        return {}

    def start_node(
        self, name: str, channels: Mapping[str, tuple[Hop, ...]], severed: tuple[str, ...]
    ) -> None:
        """Do nothing: whoever runs the node starts it."""

    def invitation(self, name: str, visits: int) -> NoReturn:
        """Raise ``UsageError``: a node of somebody's own has its document from where the lab was exported."""
        raise UsageError(f"the document of node '{name}' is where the lab was exported")

    def door(self) -> None:
        """Return nothing: all nodes of an exported lab are started where it was exported to."""

    async def watch(self) -> None:
        """Wait for ever: others watch over the processes."""
        await asyncio.Event().wait()

    def dead(self) -> list[Child]:
        """Return nothing."""
        return []

    async def revive(self) -> None:
        """Raise ``LabFailed``: others start the server again."""
        raise LabFailed("the shared-state server is not started here")
