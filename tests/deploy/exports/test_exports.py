"""An exported lab is whole, is what its schema says, and has its secrets where they belong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner, Result

from deploy.cli.app import app
from deploy.control_address import OperatorDocument
from deploy.elsewhere import ControlConfig
from deploy.errors import LabFileInvalid, UsageError
from deploy.exports import compose, kubernetes
from deploy.exports.bundle import EVENTS_KEPT, Bundle, bundle
from deploy.plan import plan
from deploy.topology import find, load, read
from nodes.runtime.config import NodeConfig
from shared_state.config import ServerConfig
from shared_state.document import read as read_document
from shared_state.document import write

SECRET = ("PRIVATE KEY", "token", "wrapping_key", "identity_seed")


def exported(lab: str, directory: Path, hosts: tuple[str, ...] = ("host-a", "10.0.0.7")) -> Bundle:
    file = find(lab)
    planned = plan(load(file), mode="real-time")
    return bundle(planned, file.read_text(), "bellwire:1", directory, hosts)


@pytest.fixture
def made(tmp_path: Path) -> Bundle:
    return exported("tokyo", tmp_path)


def test_every_party_is_told_what_it_is(made: Bundle) -> None:
    services = {service.name: service for service in made.services}
    assert {"broker", "state", "control"} < set(services)
    control = read_document(ControlConfig, services["control"].secrets["control"])
    assert set(services) - {"broker", "state", "control"} == set(control.plan().nodes)
    assert control.plan().lab == "tokyo"
    for name in control.plan().nodes:
        node = read_document(NodeConfig, services[name].secrets[name])
        assert (node.name, node.broker.host, node.shared_state.host) == (name, "broker", "state")
        assert node.broker.tls is not None
        assert node.keys.store == "/tmp/store.sqlite"
        if node.keys.kme is not None:
            files = {str(getattr(node.keys.kme, part)) for part in ("authority", "certificate", "key")}
            assert files == {f"/run/secrets/{secret}" for secret in services[name].secrets if secret != name}


@pytest.mark.parametrize(("record", "kept"), [("on", EVENTS_KEPT), ("off", 0)])
def test_events_are_kept_for_who_asks_unless_the_file_wants_no_record(
    tmp_path: Path, record: str, kept: int
) -> None:
    text = (
        f"nodes: {{a: , b: }}\nlinks: [{{endpoints: [a, b], length: 1 km}}]\nruntime: {{record: {record}}}\n"
    )
    made = bundle(plan(read(text, tmp_path / "lab.yaml")), text, "bellwire:1", tmp_path, ["here"])
    secrets = {service.name: service.secrets[service.name] for service in made.services}
    state = read_document(ServerConfig, secrets["state"])
    assert (state.events_kept, state.record, state.journal) == (kept, "", "")
    assert read_document(ControlConfig, secrets["control"]).plan().record == (record == "on")


def test_two_exports_have_no_secret_in_common(tmp_path: Path) -> None:
    first, second = (exported("alice-bob", tmp_path / str(number)) for number in range(2))
    assert not {service.secrets[service.name] for service in first.services} & {
        service.secrets[service.name] for service in second.services
    }
    assert first.operator.tls != second.operator.tls


@pytest.mark.parametrize("form", ["compose", "swarm"])
def test_a_file_for_compose_describes_every_container_and_no_secret(made: Bundle, form: compose.Form) -> None:
    text = compose.render(made, form, {"otemachi": "host-b"})
    assert not [word for word in SECRET if word in text]
    document: dict[str, Any] = yaml.safe_load(text)
    assert set(document["services"]) == {service.name for service in made.services}
    for name, service in document["services"].items():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        mounted = {secret["source"] for secret in service["secrets"]}
        assert mounted <= set(document["secrets"])
        assert name in mounted
    assert document["services"]["control"]["ports"]
    if form == "swarm":
        placed = {name: service["deploy"]["placement"] for name, service in document["services"].items()}
        assert placed["otemachi"] == {"constraints": ["node.hostname == host-b"]}
        assert placed["koganei"] == {"constraints": []}


def test_objects_for_kubernetes_are_what_its_schema_says(made: Bundle) -> None:
    objects = list(yaml.safe_load_all(kubernetes.render(made)))
    for each in objects:
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    kinds = [each["kind"] for each in objects]
    assert kinds.count("Deployment") == kinds.count("Secret") == len(made.services)
    for each in objects:
        if each["kind"] != "Secret":
            assert not [word for word in SECRET if word in json.dumps(each)]
        if each["kind"] == "Deployment":
            pod = each["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]


def test_names_that_kubernetes_does_not_take_are_said_before_anything_is_written(tmp_path: Path) -> None:
    file, directory = tmp_path / "metro.yaml", tmp_path / "lab"
    file.write_text("nodes: {North: , dc: }\nlinks: [{endpoints: [North, dc], length: 1 km}]\n")
    told = CliRunner().invoke(app, ["export", "k8s", str(file), "-o", str(directory)])
    assert (told.exit_code, "rename 'North'" in told.stderr) == (2, True)
    assert not directory.exists()


def test_a_lab_is_called_as_its_file_where_that_gives_no_name(tmp_path: Path) -> None:
    text = "nodes: {north: , dc: }\nlinks: [{endpoints: [north, dc], length: 1 km}]\n"
    made = bundle(plan(read(text, tmp_path / "metro.yaml")), text, "bellwire:1", tmp_path, ["here"])
    told = next(service.secrets["control"] for service in made.services if service.name == "control")
    assert read_document(ControlConfig, told).plan().lab == made.lab == "metro"


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("apps: {mine: {program: ./my.py}}", "remove the apps mine"),
        ("seed: 5", "without a seed"),
    ],
)
def test_what_cannot_be_exported_is_said(tmp_path: Path, more: str, complaint: str) -> None:
    (tmp_path / "my.py").write_text("async def alice(): pass\n")
    text = (
        "name: metro\nnodes: {north: {services: {etsi014: {sae: [vpn]}}}, dc: }\n"
        f"links: [{{endpoints: [north, dc], length: 1 km}}]\n{more}\n"
    )
    with pytest.raises(UsageError, match=complaint):
        bundle(plan(read(text, tmp_path / "metro.yaml")), text, "bellwire:1", tmp_path, ["here"])


def test_what_is_too_long_for_a_swarms_secret_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.exports.bundle.LONGEST_SECRET", 1000)
    with pytest.raises(UsageError, match="export a smaller lab"):
        exported("alice-bob", tmp_path)


@pytest.mark.parametrize("name", ["operator", "state", "broker", "control"])
def test_no_node_is_called_as_a_party_that_every_lab_has(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabFileInvalid, match=name):
        read(f"nodes: {{{name}: , dc: }}\nlinks: [{{endpoints: [{name}, dc], length: 1 km}}]\n", tmp_path)


def test_nodes_of_somebody_elses_are_not_exported(tmp_path: Path) -> None:
    text = "name: metro\nnodes: {north: {external: true}, dc: }\nlinks: [{endpoints: [north, dc], length: 1 km}]\n"
    with pytest.raises(UsageError, match="north: remove 'external: true'"):
        bundle(plan(read(text, tmp_path)), text, "bellwire:1", tmp_path, ["here"])


@pytest.mark.parametrize("placed", [["koganei", "zoe"], ["Broker"]])
def test_what_is_refused_writes_nothing(tmp_path: Path, placed: list[str]) -> None:
    directory = tmp_path / "lab"

    def export(*names: str) -> Result:
        places = [word for name in names for word in ("--place", f"{name}=host-b")]
        return CliRunner().invoke(app, ["export", "swarm", "tokyo", "-o", str(directory), *places])

    told = export(*placed)
    assert (told.exit_code, f"--place {placed[-1]}: unknown container" in told.stderr) == (2, True)
    assert not directory.exists()
    assert export("koganei", "control").exit_code == 0
    assert directory.stat().st_mode & 0o777 == 0o700


def test_the_operators_document_names_the_first_host_and_comes_back_as_it_was(made: Bundle) -> None:
    assert (made.operator.host, made.operator.port) == ("host-a", 7084)
    assert read_document(OperatorDocument, write(made.operator)) == made.operator
