"""A job is cast before anything starts: who plays which role, with which parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.errors import NotFound, UsageError
from deploy.jobs import Job, request_for
from deploy.plan import Plan, plan
from deploy.topology import Lab

ReadLab = Callable[[str], Lab]

METRO = """
name: metro
nodes: {{north: , hub: , dc: }}
links:
  - {{endpoints: [north, hub], length: 1 km}}
  - {{endpoints: [hub, dc], length: 1 km}}
apps:
  teleport: {{program: teleport, roles: {{alice: north, bob: dc}}}}
  back: {{program: teleport, roles: {{alice: dc, bob: north}}}}
  mine: {{program: {own}, roles: {{dc: dc}}}}
"""


@pytest.fixture
def metro(read: ReadLab, tmp_path: Path) -> Plan:
    """A lab with apps, and a program of its own beside its file."""
    own = tmp_path / "own.py"
    own.write_text("async def dc(shots: int = 3, loud: bool = False) -> None: ...\n")
    return plan(read(METRO.format(own="./own.py")))


def test_an_app_of_the_lab_file_is_cast_as_it_says(metro: Plan) -> None:
    assert request_for(Job("back"), metro).roles == {"alice": "dc", "bob": "north"}
    assert request_for(Job("back"), metro).program == "teleport"


def test_a_program_is_cast_as_the_first_app_that_runs_it(metro: Plan) -> None:
    assert request_for(Job("teleport"), metro).roles == {"alice": "north", "bob": "dc"}


def test_what_the_job_says_goes_before_what_the_lab_file_says(metro: Plan) -> None:
    request = request_for(Job("teleport", {"bob": "hub"}, rounds=7, deadline=2.0), metro)
    assert request.roles == {"alice": "north", "bob": "hub"}
    assert (request.rounds, request.deadline) == (7, 2.0)


def test_a_role_that_nobody_has_cast_goes_to_the_node_of_its_name(metro: Plan, tmp_path: Path) -> None:
    assert request_for(Job(str(tmp_path / "own.py")), metro).roles == {"dc": "dc"}
    with pytest.raises(
        NotFound, match=r"nobody plays alice, bob: .*add --role alice=NODE --role bob=NODE, NODE one of north"
    ):
        request_for(Job("chsh"), metro)


def test_parameters_take_the_types_of_the_program(metro: Plan) -> None:
    request = request_for(Job("mine", parameters={"shots": "12", "loud": "yes"}), metro)
    assert request.parameters == {"shots": 12, "loud": True}


@pytest.mark.parametrize(
    ("job", "kind", "message"),
    [
        (Job("telport"), NotFound, "did you mean 'teleport'.*./telport.py"),
        (Job("/gone/protocol.py"), NotFound, "there is no program file /gone/protocol.py"),
        (Job("teleport", {"eve": "hub"}), UsageError, "no role 'eve'; its roles: alice, bob"),
        (
            Job("teleport", {"bob": "norht"}),
            NotFound,
            "role 'bob': unknown node 'norht'; did you mean 'north'",
        ),
        (Job("teleport", {"bob": "north"}), UsageError, "'north' cannot play both 'alice' and 'bob'"),
        (Job("teleport", parameters={"p": "1"}), UsageError, "no parameter 'p'; it takes none"),
        (Job("mine", parameters={"shots": "many"}), UsageError, "'shots' is of type int, not 'many'"),
        (Job("mine", parameters={"loud": "perhaps"}), UsageError, "'loud' is true or false, not 'perhaps'"),
    ],
)
def test_a_job_that_cannot_be_meant_is_refused(
    metro: Plan, job: Job, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        request_for(job, metro)


def test_a_program_that_cannot_be_imported_is_refused_with_its_reason(metro: Plan, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import a_package_that_is_not_there\n")
    with pytest.raises(UsageError, match=r"broken.py cannot be imported: ModuleNotFoundError"):
        request_for(Job(str(broken)), metro)
