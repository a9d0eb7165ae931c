"""A node that the lab file calls external: in the plan, in what it is told, in the file by which it joins."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.credentials import Credentials
from deploy.errors import LabFileInvalid
from deploy.external_nodes import ExternalNodes
from deploy.plan import Plan, plan
from deploy.topology import Lab
from nodes.runtime.config import NodeConfig
from nodes.runtime.join_documents import FOLDER
from shared_state.document import read

ReadLab = Callable[[str], Lab]

LAB = "nodes: {alice: {external: true}, bob: {external: false}}\nlinks: [{endpoints: [alice, bob], length: 20 km}]\n"
BROKER, STATE = ("127.0.0.1", 1883), ("127.0.0.1", 4000)


@pytest.fixture
def planned(read: ReadLab) -> Plan:
    return plan(read(LAB))


@pytest.fixture
def outside(planned: Plan, tmp_path: Path) -> ExternalNodes:
    credentials = Credentials(planned)

    def invitation(name: str, visits: int) -> NodeConfig:
        return credentials.node_config(planned.nodes[name], BROKER, STATE, tmp_path, visits)

    return ExternalNodes(planned.external, invitation, tmp_path)


def joining(directory: Path) -> NodeConfig:
    return read(NodeConfig, (directory / FOLDER / "alice.json").read_text())


def test_the_lab_file_says_which_nodes_are_external(planned: Plan) -> None:
    assert planned.external == ("alice",)
    assert [node.external for node in planned.nodes.values()] == [True, False]


def test_every_node_knows_which_ones_are_external(planned: Plan, tmp_path: Path) -> None:
    credentials = Credentials(planned)
    configs = [credentials.node_config(node, BROKER, STATE, tmp_path, 0) for node in planned.nodes.values()]
    assert [config.external for config in configs] == [("alice",), ("alice",)]


@pytest.mark.parametrize("value", ["maybe", "2", "[bob]"])
def test_anything_but_true_and_false_is_a_mistake_with_its_place(read: ReadLab, value: str) -> None:
    with pytest.raises(LabFileInvalid) as invalid:
        read(LAB.replace("external: true", f"external: {value}"))
    (problem,) = invalid.value.problems
    assert (problem.line, "external" in problem.message) == (1, True)


def test_a_document_is_its_users_alone_whatever_the_umask_and_each_visit_gets_other_dice(
    outside: ExternalNodes, tmp_path: Path
) -> None:
    umask = os.umask(0)
    try:
        outside.invite("alice")
    finally:
        os.umask(umask)
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700
    assert (tmp_path / FOLDER / "alice.json").stat().st_mode & 0o777 == 0o600
    first = joining(tmp_path)
    assert (first.name, first.shared_state.port, first.incarnation) == ("alice", 4000, 0)
    outside.visited("alice")
    assert joining(tmp_path).incarnation == 1


def test_an_external_node_is_connected_as_long_as_it_is_ready(outside: ExternalNodes) -> None:
    assert outside.states({}) == {"alice": "external, not connected"}
    assert outside.states({"alice": "ready", "bob": "ready"}) == {"alice": "external, connected"}
    assert outside.states({"alice": "lost"}) == outside.states({"alice": "left"}) == outside.states({})
