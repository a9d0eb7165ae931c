"""A lab that is up makes keys on its link and delivers them to applications, from the command line to the KMEs."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    qkd: {protocol: bb84, pulse_rate: 10 MHz, block: 20000, continuous: true}
"""


@pytest.fixture
def quick(bellwire: Bellwire, tmp_path: Path) -> Iterator[Bellwire]:
    """The command, with the lab ``quick`` up, which has keys in store."""
    file = tmp_path / "quick.yaml"
    file.write_text(LAB)
    done = bellwire("up", file, "-d")
    assert done.code == 0, done.err

    def has_keys() -> bool:
        pools = bellwire("keys", "ls", "--json").document["pools"]
        return len(pools) == 2 and all(pool["stored_units"] > 100 for pool in pools)

    bellwire.wait_for(has_keys)
    yield bellwire
    assert bellwire("down").code == 0


def fetch(bellwire: Bellwire, *words: object) -> list[dict[str, Any]]:
    keys = bellwire("keys", "get", *words, "--show", "--json").document["keys"]
    assert isinstance(keys, list)
    return keys


def test_keys_made_on_a_link_reach_applications_at_both_ends(quick: Bellwire) -> None:
    """At nodes of either kind of TLS, whichever asks first, and two at one node, which need no link."""
    for master, slave in (("vpn-north", "vpn-dc"), ("vpn-dc", "vpn-north"), ("vpn-north", "backup-north")):
        made = fetch(quick, master, slave, "-n", 3)
        ids = [word for key in made for word in ("--id", key["key_id"])]
        assert fetch(quick, slave, master, *ids) == made
        again = quick("keys", "get", slave, master, *ids)
        assert (again.code, again.out) == (2, "")
    assert "number shall be from 1 to 50" in quick("keys", "get", "vpn-north", "vpn-dc", "-n", 51).err
    told = [json.loads(line) for line in quick("events", "--event", "kme.access").out.splitlines()]
    assert {(event["node"], event["sae"]) for event in told} == {
        ("north", "vpn-north"),
        ("north", "backup-north"),
        ("dc", "vpn-dc"),
    }
    assert [event["status"] for event in told].count(200) == 6
    assert [event["status"] for event in told].count(400) == 4


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs the curl program")
def test_the_printed_calls_of_curl_fetch_keys_from_the_lab(quick: Bellwire) -> None:
    def called(sae: str, peer: str, method: str, key_id: str = "") -> Any:
        [line] = [line for line in quick("keys", "curl", sae, peer).out.splitlines() if method in line]
        line = line.replace("UUID", key_id)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=20, check=True)
        return json.loads(done.stdout)

    status = called("vpn-north", "vpn-dc", "status")
    assert (status["source_KME_ID"], status["target_KME_ID"]) == ("north", "dc")
    assert status["stored_key_count"] > 100
    assert status["max_key_per_request"] == 50
    [made] = called("vpn-north", "vpn-dc", "enc_keys")["keys"]
    assert called("vpn-dc", "vpn-north", "dec_keys", made["key_ID"])["keys"] == [made]


def test_nothing_of_the_keys_is_left_when_the_lab_is_down(quick: Bellwire) -> None:
    watching = quick.start("keys", "watch", "--json", "--every", "0.1")
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["lab"] == "quick"
    assert list(quick.home.glob("labs/quick/certificates/sae-*.key")) != []
    assert quick("down").code == 0
    assert watching.wait(20) == 0
    assert list(quick.home.rglob("*.key")) == list(quick.home.rglob("*.sqlite*")) == []
    file = next(quick.work.glob("*.yaml"), quick.work.parent / "quick.yaml")
    assert quick("up", file, "-d").code == 0
