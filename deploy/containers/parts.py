"""What a container of a lab runs: its image, its command, the line of JSON that it is told, the files that it sees."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from deploy.children import BrokerPart, NodePart, Part, StatePart
from shared_state.document import write

Plane = Literal["classical", "quantum"]

BROKER_PORT = 8883
"""Where the broker listens: the port that is registered for MQTT under TLS."""
STATE_PORT = 7083
BROKER_FILES = Path("/tmp/broker")


@dataclass(frozen=True, slots=True)
class Errand:
    """What a container is for: to run a ``module``, and perhaps a verb of it.

    ``document`` holds its secrets, and is never part of a description of the container. ``planes`` are the networks
    that it is in, ``port`` is where it listens, 0 where it does not. Of the host's files it sees ``reads`` and
    ``writes``, at the same paths; ``publishes`` are ports of the host.
    """

    module: str
    document: str
    planes: tuple[Plane, ...]
    port: int = 0
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    publishes: tuple[int, ...] = ()

    def command(self, document: str) -> list[str]:
        """Return what the image's Python is to run; ``document``: in which file it is told, - for standard input."""
        return ["-m", *self.module.split(), "--config", document]

    @property
    def health(self) -> str:
        """Return a shell command that succeeds while a server listens, or while a node has both its connections.

        A node that no longer works is dropped by both servers, each within its own patience.
        """
        if self.port:
            return f"grep -qE ':{self.port:04X} [0-9A-F]+:0000 0A' /proc/net/tcp /proc/net/tcp6"
        both = (f"grep -qE ' [0-9A-F]+:{port:04X} 01 ' /proc/net/tcp" for port in (BROKER_PORT, STATE_PORT))
        return " && ".join(both)


def errand_of(part: Part) -> Errand:
    """Return what the container of ``part`` is to do."""
    match part:
        case BrokerPart(config, choice):
            document = asdict(config) | {"directory": str(BROKER_FILES), "program": choice}
            return Errand("broker", json.dumps(document), ("classical",), config.port)
        case StatePart(config):
            files = [Path(file).parent for file in (config.journal,) if file]
            files += [Path(file) for file in (config.record,) if file]
            return Errand("shared_state", write(config), ("quantum",), config.port, writes=tuple(files))
        case NodePart(config):
            kme = config.keys.kme
            reads = () if kme is None else (kme.authority, kme.certificate, kme.key)
            writes = (Path(config.keys.store).parent,) if config.keys.store else ()
            published = () if kme is None else (kme.port,)
            planes: tuple[Plane, ...] = ("classical", "quantum")
            return Errand("nodes", write(config), planes, 0, reads, writes, published)
    raise TypeError(f"no container runs a {type(part).__name__}")


def own_image() -> str:
    """Return the name of the image that belongs to this version."""
    return f"bellwire:{importlib.metadata.version('bellwire')}"
