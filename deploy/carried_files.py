"""Files of a job, brought to nodes that do not see the host's: into a node's own directory, and out of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from nodes.runtime.run_request import RunRequest

_READS: Final = {"send": ("source", "alice")}
_WRITES: Final = {"send": ("destination", "bob")}
"""By program: the parameter that is a file's path, and the role that reads or writes it."""


@contextmanager
def carried(request: RunRequest, homes: Path) -> Iterator[RunRequest]:
    """Give the block the request with its files below ``homes``, in the directory of the node that plays the role.

    A file that is written there is moved to where it was to be, whole or not at all, when the block is left; what was
    read is removed.
    """
    if request.program not in _READS:
        yield request
        return
    read, reader = _READS[request.program]
    written, writer = _WRITES[request.program]
    source, destination = (Path(str(request.parameters.get(name, ""))) for name in (read, written))
    if not source.is_file() or not destination.name:
        yield request  # whose program says what it lacks
        return
    with (
        TemporaryDirectory(dir=homes / request.roles[reader], prefix="out-") as out,
        TemporaryDirectory(dir=homes / request.roles[writer], prefix="in-") as into,
    ):
        leaves, arrives = Path(out) / source.name, Path(into) / destination.name
        shutil.copyfile(source, leaves)
        yield replace(request, parameters={**request.parameters, read: str(leaves), written: str(arrives)})
        if arrives.is_file() and not arrives.is_symlink():
            with TemporaryDirectory(dir=destination.parent, prefix=".bellwire-") as beside:
                moved = shutil.move(arrives, Path(beside) / destination.name)
                Path(moved).replace(destination)
