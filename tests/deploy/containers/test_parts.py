"""What a container is told is its document, and what it sees of the host is what its document names."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.children import BrokerPart, NodePart, StatePart
from deploy.containers.parts import BROKER_PORT, STATE_PORT, Errand, errand_of
from deploy.credentials import Credentials
from deploy.launcher import Place
from deploy.plan import Plan, plan
from deploy.topology import find, load
from nodes.runtime.config import NodeConfig
from shared_state.config import ServerConfig
from shared_state.document import read

BROKER, STATE = Place("0.0.0.0", BROKER_PORT, "broker"), Place("0.0.0.0", STATE_PORT, "state")


@pytest.fixture
def planned() -> Plan:
    return plan(load(find("tokyo")), launcher="docker", mode="real-time")


@pytest.fixture
def credentials(planned: Plan, tmp_path: Path) -> Credentials:
    made = Credentials(planned, BROKER, STATE)
    made.issue_certificates(tmp_path)
    return made


def test_the_servers_are_told_all_they_need_and_see_what_they_write(
    credentials: Credentials, tmp_path: Path
) -> None:
    config = credentials.server_config(tmp_path / "journal" / "journal", tmp_path / "record.jsonl")
    state = errand_of(StatePart(config))
    assert read(ServerConfig, state.document) == config
    assert (state.planes, state.port) == (("quantum",), STATE_PORT)
    assert state.writes == (tmp_path / "journal", tmp_path / "record.jsonl")
    broker = errand_of(BrokerPart(credentials.broker_config(tmp_path), "mosquitto"))
    told = json.loads(broker.document)
    assert (told["program"], told["port"], told["tls"]["key"][:10]) == (
        "mosquitto",
        BROKER_PORT,
        "-----BEGIN",
    )
    assert (broker.planes, broker.reads, broker.writes) == (("classical",), (), ())


def test_a_node_sees_its_own_directory_and_certificate(
    planned: Plan, credentials: Credentials, tmp_path: Path
) -> None:
    node = next(node for node in planned.nodes.values() if node.key_service is not None)
    config = credentials.node_config(node, ("broker", 1), ("state", 2), tmp_path / "nodes", 0)
    errand = errand_of(NodePart(config))
    assert read(NodeConfig, errand.document) == config
    assert errand.writes == (tmp_path / "nodes" / node.name,)
    kme = config.keys.kme
    assert kme is not None
    assert errand.reads == (kme.authority, kme.certificate, kme.key)
    assert errand.publishes == (kme.port,)
    assert kme.key.stat().st_mode & 0o077 == 0
    bare = errand_of(NodePart(replace(config, keys=replace(config.keys, store="", kme=None))))
    assert (bare.reads, bare.writes, bare.publishes) == ((), (), ())


@pytest.mark.parametrize(
    ("errand", "listening", "connected", "healthy"),
    [
        (Errand("broker", "", ("classical",), BROKER_PORT), [BROKER_PORT], [], True),
        (Errand("broker", "", ("classical",), BROKER_PORT), [STATE_PORT], [], False),
        (Errand("nodes", "", ("classical", "quantum")), [], [BROKER_PORT, STATE_PORT], True),
        (Errand("nodes", "", ("classical", "quantum")), [BROKER_PORT], [STATE_PORT], False),
        (Errand("nodes", "", ("classical", "quantum")), [], [], False),
    ],
)
def test_health_is_listening_or_being_connected_to_both_servers(
    tmp_path: Path, errand: Errand, listening: list[int], connected: list[int], healthy: bool
) -> None:
    """The check is run on tables of the kernel's form."""
    table = ["  sl  local_address rem_address   st tx_queue rx_queue"]
    table += [f"   0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000" for port in listening]
    table += [f"   1: 020011AC:D2F0 030011AC:{port:04X} 01 00000000:00000000" for port in connected]
    for name in ("tcp", "tcp6"):
        (tmp_path / name).write_text("\n".join(table) + "\n")
    check = errand.health.replace("/proc/net", str(tmp_path))
    assert (subprocess.run(["sh", "-c", check], check=False).returncode == 0) == healthy


def test_what_no_container_runs_is_refused() -> None:
    class Strange:
        async def serve(self, ready: object) -> None:
            """Never."""

    with pytest.raises(TypeError, match="no container runs a Strange"):
        errand_of(Strange())
