"""Who starts a lab's processes: the launcher that its file or its user names.

What it takes to talk to an engine of containers is an extra, and is loaded only where somebody wants containers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.errors import EngineUnusable
from deploy.launcher import Launcher
from deploy.plan import Plan
from deploy.reach import places
from deploy.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.containers.image import Image

_KME = "nodes.runtime.kme_http"
"""A KME, which nodes load that deliver keys to applications."""


def launcher_for(plan: Plan, directory: Path) -> Launcher:
    """Return the launcher of ``plan``; processes write their logs below ``directory``.

    Raise ``UsageError`` for a lab that cannot listen where it is to.
    """
    broker, state = places(plan)
    match plan.launcher:
        case "process":
            return Supervisor(directory / "logs", broker, state, [_KME] if plan.saes else [])
        case "docker":
            with _extra():
                from deploy.containers.supervisor import Containers
            return Containers(plan.lab, directory / "logs", plan.image)


def image_builder() -> Callable[..., Image]:
    """Return what builds the image of the containers: ``deploy.containers.image.build``."""
    with _extra():
        from deploy.containers.image import build
    return build


def executor() -> Callable[..., int]:
    """Return what runs a command inside a container: ``deploy.containers.inside.execute``."""
    with _extra():
        from deploy.containers.inside import execute
    return execute


@contextmanager
def _extra() -> Iterator[None]:
    """Say what to install where an import inside the block lacks it."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in ("docker", "packaging"):
            raise
        raise EngineUnusable("containers need an extra: pip install 'bellwire[docker]'") from missing
