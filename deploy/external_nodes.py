"""The nodes of a lab that somebody else runs: how they get in, and how they are.

For each the lab leaves a document in a file for its user alone (``nodes.runtime.join_documents``), which goes with the
lab's directory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from deploy.credentials import Credentials
from deploy.plan import Plan
from deploy.whole_files import write_whole
from nodes.runtime.join_documents import FOLDER
from shared_state.document import write

NOT_CONNECTED = "external, not connected"
CONNECTED = "external, connected"


class ExternalNodes:
    """The external nodes of ``plan``, whose lab lives in ``directory``."""

    def __init__(self, plan: Plan, credentials: Credentials, directory: Path) -> None:
        self._plan = plan
        self._credentials = credentials
        self._directory = directory
        self._visits: Counter[str] = Counter()
        self._where: dict[str, tuple[tuple[str, int], int]] = {}

    def invite(self, name: str, broker: tuple[str, int], state_port: int) -> None:
        """Leave the document by which a node joins the lab, whose broker and shared-state server are there."""
        self._where[name] = (broker, state_port)
        folder = self._directory / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        config = self._credentials.node_config(
            self._plan.nodes[name], broker, state_port, self._directory / "keys", self._visits[name]
        )
        write_whole(folder / f"{name}.json", write(config))

    def visited(self, name: str) -> None:
        """Hear that a node has come. Whoever is it after that is another process, which draws with other dice."""
        self._visits[name] += 1
        self.invite(name, *self._where[name])

    def states(self, announced: Mapping[str, str]) -> dict[str, str]:
        """Say how each external node is, by what it has last announced."""
        return {
            name: CONNECTED if announced.get(name) == "ready" else NOT_CONNECTED
            for name in self._plan.external
        }
