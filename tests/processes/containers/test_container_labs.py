"""Labs of containers do what labs of processes do, bit for bit, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import ImageNotFound

from deploy.containers import image as images
from deploy.containers import packages
from deploy.doctor import software
from deploy.errors import EngineUnusable
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.topology import find, load
from tests.processes.conftest import Bellwire, Finished

if TYPE_CHECKING:
    from tests.processes.conftest import Program
    from tests.processes.containers.conftest import Engine

pytestmark = [
    pytest.mark.processes,
    pytest.mark.containers,
    pytest.mark.timeout(300),
]

OWN = """
from dataclasses import dataclass
from nodes.ports import Peer

@dataclass(frozen=True)
class Note:
    text: str

async def alice(bob: Peer, text: str = ""):
    await bob.send(Note(text))

async def bob(alice: Peer):
    return (await alice.receive(Note)).text
"""
KEYS = """
name: keyed
nodes:
  north: {services: {etsi014: {sae: [vpn-north]}}}
  dc: {services: {etsi014: {sae: [vpn-dc]}}}
links:
  - {endpoints: [north, dc], length: 10 km,
     qkd: {protocol: bbm92, block: 12000, basis_probability: 0.8, continuous: true},
     source: {scheme: pair-source, attempt_rate: 10 MHz, pair_probability: 0.05, fidelity: 0.985, memories: false}}
"""


@pytest.mark.parametrize(
    "job",
    [
        ("run", "teleport", "--lab", "alice-charlie-bob", "--role", "bob=charlie", "--rounds", "20"),
        ("run", "swap", "--lab", "alice-charlie-bob", "--rounds", "10"),
        ("qkd", "alice", "charlie", "--lab", "alice-charlie-bob"),
        ("entangle", "alice", "bob", "-n", "20", "--lab", "chain-5"),
    ],
    ids=["teleport", "swap", "qkd", "entangle"],
)
def test_a_run_is_recorded_byte_for_byte_as_with_processes(
    engine: Engine, bellwire: Bellwire, tmp_path: Path, job: tuple[str, ...]
) -> None:
    records, documents = list[bytes](), list[dict[str, Any]]()
    for launcher in ("process", "docker"):
        file = tmp_path / f"{launcher}.jsonl"
        done = bellwire(*job, "--seed", "5", "--launcher", launcher, "--record", file, "--json")
        documents.append(done.document | {"wall_s": 0})
        records.append(file.read_bytes())
    assert records[0] == records[1]
    assert len(records[0].splitlines()) > 20
    assert documents[0].keys() == documents[1].keys()
    for name, figure in documents[0].items():
        # what the oracle tells of a state may differ in the last digits with the kernels that are installed
        assert documents[1][name] == (
            pytest.approx(figure, rel=1e-6) if isinstance(figure, float) else figure
        )


def test_a_program_and_a_file_of_the_users_reach_the_nodes(
    engine: Engine, bellwire: Bellwire, program: Program, tmp_path: Path
) -> None:
    lab = ("--lab", "alice-bob", "--launcher", "docker")
    [returned] = bellwire("run", program(OWN), "--param", "text=hello", *lab, "--json").document["results"]
    assert returned["bob"] == "hello"
    letter, arrived = tmp_path / "letter", tmp_path / "arrived"
    letter.write_bytes(os.urandom(100_000))
    assert bellwire("send", "alice", "bob", letter, "--out", arrived, *lab).code == 0
    assert arrived.read_bytes() == letter.read_bytes()
    broken = bellwire("run", program(OWN.replace("return (", "return 1 / 0 * (")), *lab)
    assert broken.code == 1
    assert "ZeroDivisionError" in broken.err


def test_containers_may_do_and_tell_no_more_than_they_must(
    engine: Engine, bellwire: Bellwire, tmp_path: Path
) -> None:
    file = tmp_path / "keyed.yaml"
    file.write_text(KEYS)
    assert bellwire("up", file, "-d", "--launcher", "docker").code == 0
    try:
        containers = engine.of_labs()
        assert set(containers) == {"broker", "state", "north", "dc"}
        for told in containers.values():
            host = told["HostConfig"]
            assert host["ReadonlyRootfs"]
            assert host["CapDrop"] == ["ALL"]
            assert host["SecurityOpt"] == ["no-new-privileges"]
            assert host["Memory"] > 0
            assert host["PidsLimit"] > 0
            assert not host["Privileged"]
            assert told["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
            assert told["Config"]["Healthcheck"]["Test"][0] == "CMD-SHELL"
            for ports in (told["NetworkSettings"]["Ports"] or {}).values():
                assert {port["HostIp"] for port in ports or ()} <= {"127.0.0.1"}
        planes = {
            part: {name.rpartition("-")[2] for name in told["NetworkSettings"]["Networks"]}
            for part, told in containers.items()
        }
        both = {"classical", "quantum"}
        assert planes == {"broker": {"classical"}, "state": {"quantum"}, "north": both, "dc": both}

        answers = list[Finished]()

        def answered() -> bool:
            answers.append(bellwire("keys", "get", "vpn-north", "vpn-dc", "--show", "--json"))
            return answers[-1].code == 0

        bellwire.wait_for(answered)
        [key] = answers[-1].document["keys"]
        same = bellwire("keys", "get", "vpn-dc", "vpn-north", "--id", key["key_id"], "--show", "--json")
        assert same.document["keys"] == [key]

        described = json.dumps(containers)
        lines = b"".join(
            Path(f"/proc/{told['State']['Pid']}/cmdline").read_bytes() for told in containers.values()
        )
        environments = b"".join(
            Path(f"/proc/{told['State']['Pid']}/environ").read_bytes() for told in containers.values()
        )
        for word in ("PRIVATE KEY", "token", "wrapping_key", "identity_seed", key["key"]):
            assert word not in described
            assert word.encode() not in lines + environments

        inside = bellwire("exec", "north", "--", "sh", "-c", "echo here; touch /etc/mine; exit 7")
        assert (inside.code, inside.out) == (7, "here\n")
        assert "Read-only" in inside.err
        assert "no container" in bellwire("exec", "nroth", "--", "true").err
        assert "keys.block-confirmed" in bellwire("logs", "north").out
        assert {row["name"] for row in bellwire("ps", "--json").document["processes"]} == set(containers)
        bellwire.wait_for(
            lambda: {health(told) for told in engine.of_labs().values()} == {"healthy"}, within=60
        )
    finally:
        assert bellwire("down", "keyed").code == 0


def test_a_node_that_dies_is_named_and_nothing_is_left(engine: Engine, bellwire: Bellwire) -> None:
    assert bellwire("up", "alice-bob", "-d", "--launcher", "docker").code == 0
    running = bellwire.start("run", "teleport", "-l", "alice-bob", "--rounds", "100000")
    bellwire.wait_for(lambda: bool(engine.of_labs()["alice"]["State"]["Running"]))
    engine.client.kill(engine.of_labs()["alice"]["Id"])
    _, said = running.communicate(timeout=30)
    assert running.returncode == 5
    assert "process 'alice' was ended by signal 9" in said
    assert bellwire("down", "alice-bob").code == 0


def test_a_killed_supervisor_takes_its_containers_with_it(engine: Engine, bellwire: Bellwire) -> None:
    process = bellwire.start("up", "alice-bob", "--launcher", "docker")
    bellwire.wait_until_up(process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    bellwire.wait_for(lambda: engine.of_labs() == {})
    assert bellwire("up", "alice-bob", "-d", "--launcher", "docker").code == 0, "and what is left is swept"
    assert bellwire("down", "alice-bob").code == 0


def test_ctrl_c_while_a_lab_comes_up_leaves_nothing(engine: Engine, bellwire: Bellwire) -> None:
    process = bellwire.start("up", "chain-5", "--launcher", "docker")
    bellwire.wait_for(lambda: len(engine.of_labs()) >= 1)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_an_image_that_is_not_there_and_an_engine_that_is_not_there_are_said(
    engine: Engine, bellwire: Bellwire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("runtime: {launcher: docker, image: 'nobody:9'}\nnodes: {alice: , bob: }\n")
    missing = bellwire("up", file)
    assert (missing.code, "bellwire image build" in missing.err) == (1, True)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    elsewhere = Bellwire(bellwire.home, bellwire.work)
    refused = elsewhere("run", "teleport", "--lab", "alice-bob", "--launcher", "docker")
    assert refused.code == 1
    assert "no engine of containers answers at unix:///nowhere.sock" in refused.err
    assert "--launcher process" in refused.err


async def test_an_image_of_other_sources_is_refused(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "requirements", lambda extras: ["numpy==1.0"])
    planned = plan(load(find("alice-bob")), launcher="docker")
    with pytest.raises(EngineUnusable, match=r"is of other sources .* 'bellwire image build'"):
        async with Laboratory(planned, tmp_path):
            pass
    finding = software.engine()
    assert (finding.state, finding.fix) == ("trouble", "bellwire image build")


def test_an_image_that_is_built_anew_leaves_none_without_a_name(
    engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_but(word: str) -> None:
        def gather(site: Path, *rest: object) -> None:
            site.mkdir()
            (site / "word").write_text(word)

        monkeypatch.setattr(images, "gather", gather)

    client, name = engine.client, "bellwire-tests:small"
    try:
        identities = []
        for word in ("one", "two"):
            nothing_but(word)
            images.build(name, image)
            identities.append(client.inspect_image(name)["Id"])
        assert identities[0] != identities[1]
        with pytest.raises(ImageNotFound):
            client.inspect_image(identities[0])
    finally:
        client.remove_image(name)


def test_the_image_is_small(engine: Engine, image: str) -> None:
    assert engine.client.inspect_image(image)["Size"] < 250e6
    history = json.dumps(engine.client.history(image))
    assert "PRIVATE" not in history


def health(told: Mapping[str, Any]) -> str:
    """Return what a container's health check has found."""
    return str(told["State"]["Health"]["Status"])


@pytest.mark.parametrize("plane", ["classical", "quantum"])
def test_who_is_taken_off_one_network_is_missed_and_the_others_go_on(
    engine: Engine, bellwire: Bellwire, plane: str
) -> None:
    assert bellwire("up", "alice-charlie-bob", "-d", "--launcher", "docker").code == 0
    try:
        alice = engine.of_labs()["alice"]
        [network] = [name for name in alice["NetworkSettings"]["Networks"] if name.endswith(plane)]
        engine.client.disconnect_container_from_network(alice["Id"], network)
        found = [
            bellwire(
                "exec", "alice", "--", "python3", "-c", f"import socket; socket.gethostbyname('{server}')"
            )
            for server in ("broker", "state")
        ]
        assert [each.code == 0 for each in found] == [plane == "quantum", plane == "classical"]
        with_alice = bellwire("run", "teleport", "--role", "bob=charlie", "--deadline", "5")
        assert with_alice.code in (1, 5, 6)
        assert "alice" in with_alice.err
        others = ("--role", "alice=charlie", "--role", "bob=bob", "--rounds", "5", "--json")
        assert bellwire("run", "teleport", *others).document["rounds"] == 5
    finally:
        assert bellwire("down", "alice-charlie-bob").code == 0


def test_a_killed_container_comes_back_at_its_port_with_its_keys(
    engine: Engine, bellwire: Bellwire, tmp_path: Path
) -> None:
    file = tmp_path / "keyed.yaml"
    file.write_text(KEYS)
    assert bellwire("up", file, "-d", "--launcher", "docker").code == 0
    try:
        bellwire.wait_for(lambda: [pool["stored_units"] > 1 for pool in pools(bellwire)] == [True, True])
        assert fetched(bellwire, "vpn-north", "vpn-dc")
        assert bellwire("kill", "north").code == 0
        assert not fetched(bellwire, "vpn-north", "vpn-dc")
        assert bellwire("resume", "north").code == 0
        assert fetched(bellwire, "vpn-north", "vpn-dc")
    finally:
        assert bellwire("down", "keyed").code == 0


def pools(bellwire: Bellwire) -> list[dict[str, Any]]:
    """Return what the nodes have in store."""
    found: list[dict[str, Any]] = bellwire("keys", "ls", "--json").document["pools"]
    return found


def fetched(bellwire: Bellwire, sae: str, peer: str) -> bool:
    """Tell whether an application gets a key."""
    return bellwire("keys", "get", sae, peer).code == 0


def test_nodes_are_killed_paused_and_resumed_as_processes_are(engine: Engine, bellwire: Bellwire) -> None:
    assert bellwire("up", "alice-bob", "-d", "--launcher", "docker").code == 0
    try:
        assert bellwire("kill", "alice").code == 0
        assert "alice" not in engine.of_labs()
        assert bellwire("run", "teleport").code != 0
        assert bellwire("resume", "alice").code == 0
        assert bellwire("run", "teleport", "--rounds", "5").code == 0
        assert bellwire("pause", "bob").code == 0
        assert bellwire("run", "teleport", "--deadline", "3").code in (1, 6)
        assert bellwire("resume", "bob").code == 0
        assert bellwire("run", "teleport", "--rounds", "5").code == 0
    finally:
        assert bellwire("down", "alice-bob").code == 0
