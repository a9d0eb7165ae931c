"""Who starts a lab's processes: the launcher that its file or its user names."""

from __future__ import annotations

from pathlib import Path

from deploy.launcher import Launcher
from deploy.plan import Plan
from deploy.supervisor import Supervisor


def launcher_for(plan: Plan, directory: Path) -> Launcher:
    """Return the launcher of ``plan``; processes write their logs below ``directory``."""
    match plan.launcher:
        case "process":
            return Supervisor(directory / "logs")
        case "docker":
            # what it takes to talk to an engine is loaded where there is one to talk to
            from deploy.containers.supervisor import Containers

            return Containers(plan.lab, directory / "logs", plan.image)
