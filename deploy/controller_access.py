"""How a routing controller of somebody else's gets into a lab: a file in the lab's directory, for its user alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.errors import NotFound
from deploy.whole_files import write_whole
from nodes.runtime.config import Access
from nodes.runtime.orders import CONTROLLER

_FILE = "controller.json"


def write_access(directory: Path, lab: str, access: Access) -> None:
    """Write where the lab's broker is, and as whom a controller connects to it."""
    document = {
        "lab": lab,
        "host": access.host,
        "port": access.port,
        "username": CONTROLLER,
        "password": access.secret,
    }
    write_whole(directory / _FILE, json.dumps(document))


def read_access(directory: Path, lab: str) -> dict[str, Any]:
    """Return what ``write_access`` wrote. Raise ``NotFound`` for a lab that routes by itself."""
    try:
        document: dict[str, Any] = json.loads((directory / _FILE).read_text())
    except (OSError, ValueError) as error:
        raise NotFound(
            f"lab '{lab}' has no place for a routing controller of yours; "
            "write 'network: {controller: external}' into its lab file"
        ) from error
    return document
