"""Who starts a lab's processes: the launcher that its file or its user names.

What it takes to talk to an engine of containers is an extra, and is loaded only where somebody wants containers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deploy.launcher import Launcher
from deploy.plan import Plan
from deploy.reach import places
from deploy.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.containers.image import Image


def launcher_for(plan: Plan, directory: Path) -> Launcher:
    """Return the launcher of ``plan``; processes write their logs below ``directory``.

    Raise ``UsageError`` for a lab that cannot listen where it is to.
    """
    broker, state = places(plan)
    match plan.launcher:
        case "process":
            return Supervisor(directory / "logs", broker, state)
        case "docker":
            from deploy.containers.supervisor import Containers

            return Containers(plan.lab, directory / "logs", plan.image)


def image_builder() -> Callable[..., Image]:
    """Return what builds the image of the containers: ``deploy.containers.image.build``."""
    from deploy.containers.image import build

    return build


def executor() -> Callable[..., int]:
    """Return what runs a command inside a container: ``deploy.containers.inside.execute``."""
    from deploy.containers.inside import execute

    return execute
