"""The lab as a test has it: what can be asked of it and done to it, all of it awaited, from any event loop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from deploy.controller_access import read_access
from deploy.errors import NotFound
from deploy.jobs import Job
from deploy.key_pools import KeyPool
from deploy.laboratory import ProcessStatus
from deploy.partition import Planes
from deploy.premises import BROKER, STATE
from deploy.testing.doing import Doing
from deploy.testing.errors import NotOfThisLab
from deploy.testing.events import Events
from deploy.testing.kme import Kme, kme_of
from deploy.testing.links import EveHandle, LinkHandle
from deploy.testing.oracle import OracleHandle
from deploy.testing.processes import NodeHandle, ProcessHandle
from deploy.testing.standing import StandingLab
from deploy.testing.statistics import Statistics
from deploy.wording import unknown
from nodes.runtime.join_documents import FOLDER
from nodes.runtime.run_request import RunResult


class LabUnderTest:
    """A lab that is up, for one test.

    ``events`` are those since the test began, ``oracle`` is the view from outside that no node has, ``eve`` listens,
    and ``stats`` judges what is drawn by chance. ``server`` is the process of the shared-state server, ``broker``
    that of the broker. The path of a program begins at ``folder``, the test file's.
    """

    def __init__(self, lab: StandingLab, folder: Path, declare: Callable[[float], None]) -> None:
        self.name = lab.name
        self.nodes = tuple(lab.nodes)
        self.events = Events(lab)
        self.doing = Doing(lab, self.events)
        self.eve = EveHandle(self.doing)
        self.oracle = OracleHandle(lab)
        self.stats = Statistics(declare)
        self.server = ProcessHandle(self.doing, STATE)
        self.broker = ProcessHandle(self.doing, BROKER)
        self._lab = lab
        self._folder = folder

    @property
    def directory(self) -> Path:
        """Return where its logs, its record and its certificates are."""
        if self._lab.directory is None:
            raise NotOfThisLab(f"the directory of lab '{self.name}' is on another host")
        return self._lab.directory

    def node(self, name: str) -> NodeHandle:
        """Return one of its nodes. Raise ``NotFound``."""
        if name not in self.nodes:
            raise NotFound(unknown("node", name, self.nodes))
        return NodeHandle(self.doing, name)

    def link(self, name: str) -> LinkHandle:
        """Return one of its links. Raise ``NotFound``."""
        if self._lab.links is not None and name not in self._lab.links:
            raise NotFound(unknown("link", name, self._lab.links))
        return LinkHandle(self.doing, name)

    async def run(
        self,
        app: str,
        *,
        roles: Mapping[str, str] | None = None,
        rounds: int = 1,
        tap: str | None = None,
        deadline: float = 30.0,
        progress: Callable[[int], None] = lambda judged: None,
        **parameters: object,
    ) -> RunResult:
        """Run a program on its nodes: an app of the lab file, a program's name, or the path of a program of your own.

        ``roles`` maps roles to nodes where they do not have the same names. ``tap`` is switched on meanwhile; no wait
        is longer than ``deadline`` wall seconds. ``progress`` hears how many rounds were judged; it is called in
        another thread.

        Example: ``result = await lab.run("teleport", rounds=100)``, then ``result.figures["fidelity_mean"]``
        """
        __tracebackhide__ = True
        program = str((self._folder / app).resolve()) if app.endswith(".py") else app
        texts = {name: _text(value) for name, value in parameters.items()}
        job = Job(program, dict(roles or {}), rounds, texts, deadline, tap)
        return await self._lab.thread.do(f"run {app}", self._lab.controls.run(job, progress))

    async def keys(self, node: str | None = None, peer: str | None = None) -> list[KeyPool]:
        """Tell what its nodes have in store with each other: of one ``node``, with one ``peer``."""
        pools = await self._lab.thread.do("keys", self._lab.controls.keys())
        return [pool for pool in pools if node in (None, pool.node) and peer in (None, pool.peer)]

    def kme(self, sae: str) -> Kme:
        """Return where the application ``sae`` gets keys by ETSI GS QKD 014, and by what certificate."""
        return kme_of(self.directory, self.name, sae)

    def document(self, node: str) -> Path:
        """Return the document by which a program of your own becomes a node that the lab file calls external.

        Example: ``async with nodes.connect(document=lab.document("alice")) as me:``
        """
        path = self.directory / FOLDER / f"{node}.json"
        if not path.is_file():
            raise NotFound(
                f"lab '{self.name}' waits for no node '{node}'; write 'nodes: {{{node}: {{external: true}}}}'"
            )
        return path

    def controller(self) -> dict[str, Any]:
        """Return where the broker is and as whom a routing controller of your own connects to it.

        The lab file says ``network: {controller: external}``; what is asked and answered is in broker/README.md.
        """
        return read_access(self.directory, self.name)

    async def partition(self, *groups: Collection[str], planes: Planes = "both") -> None:
        """Part groups of nodes, or one from all others: messages wait until ``heal``, links are cut.

        Example: ``await lab.partition(["alice"], ["bob", "charlie"])``
        """
        controls = self._lab.controls
        await self.doing.do("partition", controls.partition(*groups, planes=planes), undo=controls.heal)

    async def heal(self) -> None:
        """Undo all partitions."""
        await self.doing.do("heal", self._lab.controls.heal(), undoes=("partition",))

    async def pass_time(self, seconds: float) -> None:
        """Wait for so many seconds of the lab's clock: in virtual time, no longer than what happens meanwhile takes."""
        await self._lab.thread.do("pass time", self._lab.controls.pass_time(seconds))

    async def status(self) -> list[ProcessStatus]:
        """Return the state of every process."""
        return await self._lab.thread.do("status", self._lab.status())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
