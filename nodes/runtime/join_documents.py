"""The documents by which nodes of somebody's own join a lab: where the lab leaves them, and how they are found.

A join document is the configuration of one node (``nodes.runtime.config``) as JSON. It holds the node's secrets, lies
in a file for the lab's user alone, and goes when the lab goes.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from nodes.errors import JoinRefused
from nodes.runtime.config import NodeConfig
from shared_state.document import read
from shared_state.errors import DocumentInvalid

VARIABLE: Final = "BELLWIRE_JOIN"
"""The environment variable that names a document."""
FOLDER: Final = "external"
"""Where a lab's documents are, below its directory."""


def home() -> Path:
    """Return where this user's labs are: ``$BELLWIRE_HOME``, or a directory of this user's in the temporary one."""
    chosen = os.environ.get("BELLWIRE_HOME")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"bellwire-{os.getuid()}"


def find(name: str | None, lab: str | None = None, document: Path | str | None = None) -> NodeConfig:
    """Return the configuration of the node ``name``.

    It is in ``document``, or in the file that ``$BELLWIRE_JOIN`` names, or was left by the lab ``lab``, or by the only
    one that is up and waits for such a node. Raise ``JoinRefused``.
    """
    given = document or (None if lab else os.environ.get(VARIABLE))
    if given:
        return _check(_load(Path(given)), name, lab, Path(given))
    if name is None:
        raise JoinRefused(f"which node? Give its name, or its document, or set {VARIABLE}")
    _check_own(home())
    labs = home() / "labs"
    if lab is not None:
        if not (labs / lab).is_dir():
            raise JoinRefused(f"no lab '{lab}' is up; {_up(labs)}start it with 'bellwire up {lab} -d'")
        path = labs / lab / FOLDER / f"{name}.json"
        if not path.is_file():
            raise JoinRefused(f"the lab '{lab}' waits for no node '{name}'; {_waited_for(labs / lab, name)}")
        return _check(_load(path), name, lab, path)
    found = sorted(labs.glob(f"*/{FOLDER}/{name}.json"))
    match found:
        case [path]:
            return _check(_load(path), name, None, path)
        case []:
            raise JoinRefused(
                f"no lab that is up waits for a node '{name}'; {_up(labs)}write "
                f"'nodes: {{{name}: {{external: true}}}}' into a lab file and start that with 'bellwire up FILE -d'"
            )
    several = ", ".join(path.parent.parent.name for path in found)
    raise JoinRefused(f"several labs wait for a node '{name}': {several}; name one of them, lab=\"NAME\"")


def _check_own(base: Path) -> None:
    """Raise ``JoinRefused`` for a directory that somebody else could have prepared."""
    try:
        status = base.lstat()
    except OSError:
        return  # then there is nothing in it either
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise JoinRefused(
            f"{base} does not belong to this user alone, so what lies there may be anybody's; make it so "
            f"(chmod 700 {base}), or set BELLWIRE_HOME to another directory"
        )


def _load(path: Path) -> NodeConfig:
    try:
        return read(NodeConfig, path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JoinRefused(
            f"there is no document to join by at {path}: {error}; is the lab still up?"
        ) from None
    except DocumentInvalid as error:
        raise JoinRefused(f"{path} is no document to join by: {error}") from None


def _check(config: NodeConfig, name: str | None, lab: str | None, path: Path) -> NodeConfig:
    if name is not None and config.name != name:
        raise JoinRefused(f"the document {path} is that of node '{config.name}', not of '{name}'")
    if lab is not None and config.lab != lab:
        raise JoinRefused(f"the document {path} is of lab '{config.lab}', not of '{lab}'")
    return config


def _up(labs: Path) -> str:
    names = ", ".join(sorted(path.name for path in labs.glob("*") if path.is_dir()))
    return f"up are: {names}; " if names else "no lab is up; "


def _waited_for(lab: Path, name: str) -> str:
    names = ", ".join(sorted(path.stem for path in (lab / FOLDER).glob("*.json")))
    if names:
        return f"it waits for {names}"
    return f"write 'nodes: {{{name}: {{external: true}}}}' into its lab file and start it again"
