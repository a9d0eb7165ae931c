"""A job for a lab: an app with everything a user may say about it, and the casting of its roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.errors import NotFound, UsageError
from deploy.wording import unknown
from nodes.errors import ProgramInvalid
from nodes.runtime.programs import PROGRAMS, Program, load, numbered, parse_parameters
from nodes.runtime.run_request import RunRequest, swap_paths

if TYPE_CHECKING:
    from deploy.plan import Plan


@dataclass(frozen=True, slots=True)
class Job:
    """Run ``app``: an app of the lab file, a program's name, or the absolute path of a program's file.

    ``roles`` maps roles to nodes where the user said so; ``parameters`` are still text. ``tap`` is switched on for the
    time of the run. ``deadline`` bounds every single wait in wall seconds. ``source``: the text of the program's file,
    where the lab cannot read that.
    """

    app: str
    roles: Mapping[str, str] = field(default_factory=dict)
    rounds: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    deadline: float = 30.0
    tap: str | None = None
    source: str = ""


def request_for(job: Job, plan: Plan) -> RunRequest:
    """Say who plays which role: as the job says, else as the lab file's app does, else the node of the role's name.

    Raise ``NotFound`` for a program or node that is not there, ``UsageError`` for a program that cannot be run, a role
    or parameter that it does not have, or a node that would play two roles.
    """
    app = plan.apps.get(job.app)
    reference = str(app.program) if app else job.app
    program = _load(reference, job.source)
    known = {a.name: dict(a.roles) for a in plan.apps.values() if str(a.program) == reference}
    preset = dict(app.roles) if app else next(iter(known.values()), {})
    for role in job.roles:
        if role not in program.roles and not any(
            each.several and numbered(role, each.name) for each in program.roles.values()
        ):
            raise UsageError(f"{job.app} has no role '{role}'; its roles: {', '.join(program.roles)}")
    try:
        program = program.cast(job.roles or preset)
    except ProgramInvalid as error:
        raise UsageError(str(error)) from error
    roles = {role: job.roles.get(role) or preset.get(role) or role for role in program.roles}
    for role, node in roles.items():
        if node not in plan.nodes and node != role:
            raise NotFound(f"role '{role}': {unknown('node', node, plan.nodes)}")
    if vacant := [role for role, node in roles.items() if node not in plan.nodes]:
        options = " ".join(f"--role {role}=NODE" for role in vacant)
        raise NotFound(
            f"nobody plays {', '.join(vacant)}: the lab has no nodes of these names; add {options}, "
            f"NODE one of {', '.join(plan.nodes)}"
        )
    for role, node in roles.items():
        others = [other for other, taken in roles.items() if taken == node and other != role]
        if others:
            raise UsageError(
                f"node '{node}' cannot play both '{role}' and '{others[0]}': roles are separate parties"
            )
    try:
        parameters = parse_parameters(program, job.parameters)
    except ProgramInvalid as error:
        raise UsageError(str(error)) from error
    _check_equipment(program, roles, job, plan)
    return RunRequest(reference, roles, job.rounds, parameters, job.deadline, job.source)


def _check_equipment(program: Program, roles: Mapping[str, str], job: Job, plan: Plan) -> None:
    """Raise ``NotFound`` when the lab lacks a tap, a link or a chain of sources that the job needs."""
    if job.tap is not None and job.tap not in plan.world.taps:
        raise NotFound(unknown("tap", job.tap, plan.world.taps))
    swap_paths(program, roles, plan.entanglement_route)
    for role in program.roles.values():
        for need in role.needs:
            node, other = roles[role.name], roles.get(need.role, "")
            if need.optional:
                continue
            if need.kind in ("link", "secret") and other not in [end.peer for end in plan.nodes[node].links]:
                raise NotFound(f"no link connects '{node}' and '{other}'; this program needs one")


def _load(reference: str, source: str) -> Program:
    if not reference.endswith(".py") and reference not in PROGRAMS:
        advice = f"a program of your own is named by the path of its file, ./{reference}.py"
        raise NotFound(f"{unknown('program', reference, PROGRAMS)}; {advice}")
    if reference.endswith(".py") and not source and not Path(reference).is_file():
        raise NotFound(f"there is no program file {reference}")
    try:
        return load(reference, source)
    except ProgramInvalid as error:
        raise UsageError(str(error)) from error
