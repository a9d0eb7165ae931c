"""Where the servers and the nodes of a lab are, and how its control party gets in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, Self

from deploy.child import Child
from deploy.children import BrokerPart, NodePart, StatePart
from deploy.credentials import Credentials, external_address, is_external
from deploy.key_access import KmeAddress
from deploy.launcher import Launcher, Place
from deploy.plan import NodePlan, Plan
from nodes.runtime.channel import Hop
from nodes.runtime.config import Access, NodeConfig
from shared_state.line import RESTART_WITHIN
from shared_state.tls import TlsIdentity

BROKER: Final = "broker"
STATE: Final = "state"
HOMES: Final = "nodes"
"""The folder with a directory of each node's own."""


class Premises(Protocol):
    """The servers and nodes of a lab. Use as an async context manager: entered, both servers serve.

    ``homes``: the folder with the nodes' directories, through which files reach nodes that do not see the host's; None
    where they do, and where there is no such way. ``mark``: what no other control party of the lab has in the names of
    its runs, empty where these are the same each time.
    """

    homes: Path | None
    mark: str

    async def __aenter__(self) -> Self:
        """Bring the servers up, or find them up. Raise ``ProcessDied`` or ``LabFailed``."""

    async def __aexit__(self, *exc: object) -> None:
        """End what was started here."""

    @property
    def children(self) -> Mapping[str, Child]:
        """Return the processes that were started here, the latest of each name."""

    def broker_access(self, party: str) -> Access:
        """Return how a party that is here gets into the broker."""

    def state_access(self, party: str) -> Access:
        """Return how a party that is here gets into the shared-state server."""

    def kme_addresses(self) -> dict[str, KmeAddress]:
        """Return where the KME of each node that has one listens."""

    def start_node(
        self, name: str, channels: Mapping[str, tuple[Hop, ...]], severed: tuple[str, ...]
    ) -> None:
        """Start a node's process, or start it again, with these channels to the others; nothing where others do."""

    def invitation(self, name: str, visits: int) -> NodeConfig:
        """Return what a node's process is told that somebody starts here, who is not the lab; the ``visits`` before."""

    def door(self) -> TlsIdentity | None:
        """Return who the lab is to nodes that join from other hosts, None where none can."""

    async def watch(self) -> None:
        """Wait until a process that was started here ends by itself; raise ``ProcessDied``."""

    def dead(self) -> list[Child]:
        """Return the processes that have ended without having been stopped."""

    async def revive(self) -> None:
        """Start the shared-state server again. Raise ``ProcessDied`` when it stands and does not get ready."""


class OwnPremises:
    """Servers and nodes of ``plan`` that ``launcher`` starts, with their files in ``directory``.

    The shared-state server adds to ``record``, if there is one.
    """

    def __init__(self, plan: Plan, directory: Path, launcher: Launcher, record: Path | None = None) -> None:
        self._plan = plan
        self._directory = directory
        self._record = record
        self.launcher = launcher
        self.credentials = Credentials(plan, launcher.broker, launcher.state)
        self.mark = ""
        self._homes = directory / HOMES
        self.homes = None if plan.launcher == "process" else self._homes
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for folder in ("logs", HOMES, BROKER, "journal"):
            (self._directory / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.credentials.issue_certificates(self._directory)
        await self._resources.enter_async_context(self.launcher)
        try:
            await self._start_servers()
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._resources.aclose()

    @property
    def children(self) -> Mapping[str, Child]:
        """Return the processes, the latest of each name."""
        return self.launcher.children

    def broker_access(self, party: str) -> Access:
        """Return how a party on this host gets into the broker."""
        return self.credentials.broker_access(party, *self._broker)

    def state_access(self, party: str) -> Access:
        """Return how a party on this host gets into the shared-state server."""
        return self.credentials.state_access(party, *self._state_here)

    def kme_addresses(self) -> dict[str, KmeAddress]:
        """Return where the KME of each node that has one listens."""
        return self.credentials.kme_addresses()

    def start_node(
        self, name: str, channels: Mapping[str, tuple[Hop, ...]], severed: tuple[str, ...]
    ) -> None:
        """Start a node's process, or start it again, with these channels to the others."""
        former = self.children.get(name)
        state = self.launcher.state.seen_by_nodes(self._state_here)
        config = self._config(
            name, self._broker_of_nodes(), state, 0 if former is None else former.restarts + 1
        )
        self.launcher.start(name, NodePart(replace(config, channels=dict(channels), severed=severed)))

    def invitation(self, name: str, visits: int) -> NodeConfig:
        """Return what a node's process is told that somebody else starts on this host."""
        return self._config(name, self._broker, self._state_here, visits)

    def door(self) -> TlsIdentity | None:
        """Return who the lab is to nodes that join from other hosts, None where none can."""
        return self.credentials.server_identity(Place(self._plan.host)) if self._plan.host else None

    async def watch(self) -> None:
        """Wait until a process ends by itself; raise ``ProcessDied``."""
        await self.launcher.watch()

    def dead(self) -> list[Child]:
        """Return the processes that have ended without having been stopped."""
        return self.launcher.dead()

    async def revive(self) -> None:
        """Start the shared-state server again; its clients come back by themselves.

        A journal is read in a few seconds, and after these its clients call no more.
        """
        server = self.launcher.start(STATE, StatePart(self._state))
        await self.launcher.started(server, within=RESTART_WITHIN)

    async def _start_servers(self) -> None:
        journal = self._directory / "journal" / "journal" if self._plan.journal else None
        self._state = self.credentials.server_config(journal, self._record)
        state = self.launcher.start(STATE, StatePart(self._state))
        self._broker = await self._start_broker()
        await self.launcher.started(state)
        if not self._state.port:  # whoever knows the server finds it at the same port again
            self._state = replace(self._state, port=state.port)

    async def _start_broker(self) -> tuple[str, int]:
        choice = self._plan.broker
        if is_external(choice):
            return external_address(choice)
        part = BrokerPart(self.credentials.broker_config(self._directory / BROKER), choice)
        child = self.launcher.start(BROKER, part)
        await self.launcher.started(child)
        return self.launcher.broker.found_at, child.port

    @property
    def _state_here(self) -> tuple[str, int]:
        return self.launcher.state.found_at, self.children[STATE].port

    def _broker_of_nodes(self) -> tuple[str, int]:
        if is_external(self._plan.broker):
            return self._broker
        return self.launcher.broker.seen_by_nodes(self._broker)

    def _config(self, name: str, broker: tuple[str, int], state: tuple[str, int], before: int) -> NodeConfig:
        (self._homes / name).mkdir(mode=0o700, exist_ok=True)
        node: NodePlan = self._plan.nodes[name]
        return self.credentials.node_config(node, broker, state, self._homes, before)
