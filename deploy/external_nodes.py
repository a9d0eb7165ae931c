"""The nodes of a lab that somebody else runs: how they get in, and how they are.

For each the lab leaves a document in a file for its user alone (``nodes.runtime.join_documents``), which goes with the
lab's directory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.errors import NotFound
from deploy.whole_files import write_whole
from deploy.wording import unknown
from nodes.runtime.config import NodeConfig
from nodes.runtime.join_documents import FOLDER
from shared_state.document import write

NOT_CONNECTED = "external, not connected"
CONNECTED = "external, connected"


class ExternalNodes:
    """The external nodes ``names`` of a lab that lives in ``directory``.

    ``invitation`` gives the configuration of a node, before which so many processes have been it.
    """

    def __init__(
        self, names: Sequence[str], invitation: Callable[[str, int], NodeConfig], directory: Path
    ) -> None:
        self._names = names
        self._invitation = invitation
        self._directory = directory
        self._visits: Counter[str] = Counter()

    def invite(self, name: str) -> None:
        """Leave the document by which a node joins the lab."""
        folder = self._directory / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        write_whole(folder / f"{name}.json", write(self.document(name)))

    def document(self, name: str) -> NodeConfig:
        """Return the configuration by which a node joins the lab now. Raise ``NotFound`` for one of the lab's own."""
        if name not in self._names:
            raise NotFound(unknown("external node", name, self._names))
        return self._invitation(name, self._visits[name])

    def visited(self, name: str) -> None:
        """Hear that a node has come. Whoever is it after that is another process, which draws with other dice."""
        self._visits[name] += 1
        self.invite(name)

    def states(self, announced: Mapping[str, str]) -> dict[str, str]:
        """Say how each external node is, by what it has last announced."""
        return {name: CONNECTED if announced.get(name) == "ready" else NOT_CONNECTED for name in self._names}
