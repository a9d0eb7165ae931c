"""``bellwire doctor`` tests the ways between two hosts, both ports and both ways."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.processes.hosts.conftest import Host, Hosts

pytestmark = [pytest.mark.processes, pytest.mark.mosquitto]


@contextmanager
def listening(host: Host, *arguments: str) -> Iterator[None]:
    """Let a host answer."""
    process = host.bellwire.start("doctor", "--listen", "--host", host.address, *arguments)
    assert process.stderr is not None
    assert "Listening on" in process.stderr.readline()
    try:
        yield
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
        assert (process.returncode, "Traceback" in err) == (143, False), err


def ways(document: dict[str, Any]) -> dict[tuple[str, int], Any]:
    return {(way["from"], way["port"]): way for way in document["ways"]}


def asked(hosts: Hosts, *arguments: str) -> tuple[int, dict[tuple[str, int], Any], str]:
    """Test the ways; return exit code, ways and complaint."""
    begun = time.monotonic()
    done = hosts.there.bellwire("doctor", "--peer", hosts.here.address, "--json", *arguments)
    assert time.monotonic() - begun < 50
    return done.code, ways(json.loads(done.out)), done.err


def test_both_ports_are_open_both_ways_with_their_round_trips(hosts: Hosts) -> None:
    here = hosts.here.address
    with listening(hosts.here):
        code, found, _ = asked(hosts)
        assert code == 0
        assert set(found) == {("here", 8883), ("here", 7083), (here, 8883), (here, 7083)}
        assert all(way["works"] and 0 < way["round_trip_s"] < 1 for way in found.values())
        table = hosts.there.bellwire("doctor", "--peer", here)
        assert table.code == 0
        assert f"here → {here}\t8883\tbroker\topen\t" in table.out


def test_a_port_at_which_nothing_listens_is_refused_and_the_other_one_is_open(hosts: Hosts) -> None:
    here = hosts.here.address
    with listening(hosts.here, "--ports", "8883"):
        code, found, complaint = asked(hosts)
        assert code == 7
        assert found["here", 8883]["works"]
        assert found[here, 8883]["works"]
        assert found["here", 7083]["reason"].startswith("refused")
        assert found["here", 7083]["advice"]
        assert not found[here, 7083]["works"]
        assert f"here → {here}, port 7083: refused" in complaint


def test_what_is_taken_here_is_told_of_the_way_back(hosts: Hosts) -> None:
    here = hosts.here.address
    with listening(hosts.here), listening(hosts.there, "--ports", "7083"):
        code, found, _ = asked(hosts)
        assert code == 7
        assert found["here", 7083]["works"]
        assert "cannot listen on" in found[here, 7083]["reason"]
        assert found[here, 8883]["works"]


def test_a_firewall_that_drops_and_a_wire_that_is_cut_are_told_apart_from_a_refusal(hosts: Hosts) -> None:
    here = hosts.here.address
    with listening(hosts.here):
        # a packet for an address that no kernel answers for is dropped without a word, as a firewall does
        drop = ("ip", "route", "add", "blackhole", f"{hosts.there.address}/32")
        subprocess.run(hosts.here.enter(*drop), check=True)
        code, found, _ = asked(hosts)
        assert code == 7
        assert found["here", 8883]["reason"].startswith("no answer within 5 s: a firewall drops it")
        assert found[here, 8883]["reason"].startswith("not tested")
        subprocess.run(hosts.here.enter("ip", "route", "del", "blackhole", drop[-1]), check=True)
        assert asked(hosts)[0] == 0
        hosts.cut()
        code, found, _ = asked(hosts)
        assert code == 7
        assert found["here", 8883]["reason"].startswith(("unreachable", "no answer within"))
        hosts.heal()
        assert asked(hosts)[0] == 0


def test_a_lab_that_listens_is_no_doctor(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("lab") / "far.yaml"
    file.write_text(f"runtime: {{host: {hosts.here.address}}}\nnodes: {{alice: }}\n")
    assert hosts.here.bellwire("up", file, "-d").code == 0
    try:
        code, found, _ = asked(hosts)
        assert code == 7
        assert "is no 'bellwire doctor --listen', perhaps a lab" in found["here", 8883]["reason"]
        refused = hosts.here.bellwire("doctor", "--listen", "--host", hosts.here.address)
        assert refused.code == 2
        assert "end what listens there (a lab?)" in refused.err
    finally:
        assert hosts.here.bellwire("down", "far").code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--listen", "--peer", "x"), "one host listens"),
        (("--listen", "--json"), "--json goes with --peer"),
        (("--host", "x"), "--host goes with --listen"),
        (("--ports", "1,2"), "--ports goes with"),
        (("--peer", "x", "--ports", "8883;7083"), "up to eight ports"),
        (("--peer", "x", "--ports", "0"), "up to eight ports"),
        (("--peer", "x", "--ports", "65536"), "up to eight ports"),
        (("--listen", "--ports", "²"), "up to eight ports"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    bellwire: Callable[..., Any], arguments: tuple[str, ...], complaint: str
) -> None:
    done = bellwire("doctor", *arguments)
    assert done.code == 2
    assert complaint in done.err


def test_the_machine_is_looked_at_line_by_line(bellwire: Any) -> None:
    done = bellwire("doctor", "--json")
    assert done.code == 0, done.err
    found = {each["subject"]: each for each in done.document["findings"]}
    assert {"python", "mosquitto", "embedded broker", "containers", "clock", "labs that are up"} <= set(found)
    assert all(each["fix"] for each in found.values() if each["state"] != "ok")
    shown = bellwire("doctor")
    assert all(subject in shown.out for subject in found)
    bellwire.home.chmod(0o755)
    open_to_others = bellwire("doctor")
    assert open_to_others.code == 7
    assert f"chmod 700 {bellwire.home}" in open_to_others.out
    bellwire.home.chmod(0o700)
