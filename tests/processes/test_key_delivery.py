"""A lab that is up makes keys on its link and delivers them to applications, from the command line to the KMEs."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes

LAB = """
name: quick
nodes:
  north: {services: {etsi014: {sae: [vpn-north, backup-north], max_key_per_request: 50}}}
  dc: {services: {etsi014: {sae: [vpn-dc], tls: post-quantum}}}
links:
  - endpoints: [north, dc]
    length: 1 km
    qkd: {protocol: bb84, pulse_rate: 50 kHz, block: 10000, continuous: true}
"""


def fetch(bellwire: Bellwire, *words: object) -> list[dict[str, Any]]:
    keys = bellwire("keys", "get", *words, "--show", "--json").document["keys"]
    assert isinstance(keys, list)
    return keys


def curl(bellwire: Bellwire, sae: str, peer: str, method: str, key_id: str = "") -> Any:
    """Call the KME as the command prints it."""
    [line] = [line for line in bellwire("keys", "curl", sae, peer).out.splitlines() if method in line]
    command = ["sh", "-c", line.replace("UUID", key_id)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return json.loads(done.stdout)


def pools_are_filled(bellwire: Bellwire) -> bool:
    pools = bellwire("keys", "ls", "--json").document["pools"]
    return len(pools) == 2 and all(pool["stored_units"] > 100 for pool in pools)


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs the curl program")
def test_keys_made_on_a_link_reach_applications_at_both_ends_and_vanish_with_the_lab(
    bellwire: Bellwire, tmp_path: Path
) -> None:
    """At nodes of either kind of TLS, whichever asks first, and at one node, which needs no link."""
    file = tmp_path / "quick.yaml"
    file.write_text(LAB)
    assert bellwire("up", file, "-d").code == 0
    watching = bellwire.start("keys", "watch", "--json", "--every", "0.5")
    bellwire.wait_for(lambda: pools_are_filled(bellwire))
    for master, slave in (("vpn-dc", "vpn-north"), ("vpn-north", "backup-north")):
        made = fetch(bellwire, master, slave, "-n", 3)
        ids = [word for key in made for word in ("--id", key["key_id"])]
        assert fetch(bellwire, slave, master, *ids) == made
    again = bellwire("keys", "get", "backup-north", "vpn-north", *ids)
    assert (again.code, again.out) == (2, "")
    assert "one or more keys specified are not found on KME" in again.err

    status = curl(bellwire, "vpn-north", "vpn-dc", "status")
    assert (status["source_KME_ID"], status["target_KME_ID"]) == ("north", "dc")
    assert status["stored_key_count"] > 90
    assert status["max_key_per_request"] == 50
    [by_curl] = curl(bellwire, "vpn-north", "vpn-dc", "enc_keys")["keys"]
    assert curl(bellwire, "vpn-dc", "vpn-north", "dec_keys", by_curl["key_ID"])["keys"] == [by_curl]

    logged = bellwire("logs").out
    calls = [line for line in logged.splitlines() if "kme.access" in line]
    assert [sum(code in call for call in calls) for code in ("status=200", "status=400")] == [7, 1]
    assert by_curl["key_ID"] not in logged
    assert not any(secret in logged for secret in (by_curl["key"], *(key["key"] for key in made)))

    assert list(bellwire.home.glob("labs/quick/certificates/sae-*.key")) != []
    assert bellwire("down").code == 0
    lines, _ = watching.communicate(timeout=20)
    assert watching.returncode == 0
    assert {json.loads(line)["lab"] for line in lines.splitlines()} == {"quick"}
    assert bellwire.left_over() == []


def test_a_lab_whose_port_is_taken_does_not_come_up_without_its_kme(
    bellwire: Bellwire, tmp_path: Path
) -> None:
    """Another lab of the same file is up, say."""
    file = tmp_path / "quick.yaml"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        file.write_text(LAB.replace("sae: [vpn-dc]", f"sae: [vpn-dc], port: {port}"))
        refused = bellwire("up", file, "-d")
    assert refused.code == 5
    assert f"the KME of node 'dc' cannot listen on 127.0.0.1:{port}: address already in use" in refused.err
    assert "write another port below its services.etsi014" in refused.err
    assert bellwire.left_over() == []
