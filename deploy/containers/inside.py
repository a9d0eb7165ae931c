"""A command inside a container of a lab that is up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.containers.engine import asked_to, connect
from deploy.containers.lab_engine import DIRECTORY_LABEL, PART_LABEL
from deploy.errors import NotFound


def execute(
    directory: Path,
    node: str,
    command: Sequence[str],
    output: Callable[[bytes], object],
    errors: Callable[[bytes], object],
) -> int:
    """Run a command beside the process of ``node``, of the lab that has this directory; return its exit code.

    Raise ``NotFound`` where the lab has no such container, ``EngineUnusable``.
    """
    client = connect()
    try:
        with asked_to(f"run {command[0]} at '{node}'"):
            labels = [f"{DIRECTORY_LABEL}={directory}", f"{PART_LABEL}={node}"]
            found = client.containers(filters={"label": labels})
            if not found:
                raise NotFound(
                    f"no container of the lab is called '{node}': there are containers where a lab is up with "
                    "--launcher docker, or 'launcher: docker' in its file"
                )
            made = client.exec_create(found[0]["Id"], list(command))
            for said, complained in client.exec_start(made["Id"], stream=True, demux=True):
                output(said or b"")
                errors(complained or b"")
            code: int = client.exec_inspect(made["Id"])["ExitCode"]
            return code
    finally:
        client.close()
