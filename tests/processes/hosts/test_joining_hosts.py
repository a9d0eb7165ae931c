"""A lab of processes on one host, and a node of it on another."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.processes.hosts.conftest import Host, Hosts

pytestmark = [pytest.mark.processes, pytest.mark.mosquitto, pytest.mark.timeout(180)]

LAB = """\
name: {name}
runtime: {{host: {host}, ports: {{broker: {port}, state: 0, join: 0}}}}
nodes: {{alice: {{external: true}}, bob: {bob}}}
links: [{{endpoints: [alice, bob], length: 1 km}}]
"""
Said = Callable[[subprocess.Popen[str], str], str]


@contextmanager
def lab_up(host: Host, tmp_path: Path, name: str = "far", bob: str = "") -> Iterator[str]:
    """Bring the lab up on a host; give what was said to its user."""
    file = tmp_path / f"{name}.yaml"
    file.write_text(LAB.format(name=name, host=host.address, port=8883 if name == "far" else 0, bob=bob))
    up = host.bellwire("up", file, "-d")
    assert up.code == 0, up.err
    try:
        yield up.err
    finally:
        assert host.bellwire("down", name).code == 0


def offer(host: Host, node: str = "alice", lab: str = "far") -> dict[str, Any]:
    """Ask the lab for a token."""
    return host.bellwire("node", "token", node, "-l", lab, "--json").document


def join(host: Host, offered: dict[str, Any], node: str = "alice") -> subprocess.Popen[str]:
    """Begin to be a node on a host."""
    return host.bellwire.start("node", "run", node, "--join", offered["join"], "--token", offered["token"])


def leave(node: subprocess.Popen[str]) -> str:
    """End a node as its user does; return what it has said."""
    node.send_signal(signal.SIGINT)
    _, err = node.communicate(timeout=30)
    assert node.returncode == 0, err
    assert "has left" in err
    assert "Traceback" not in err
    return err


def states(host: Host) -> dict[str, str]:
    return {
        each["name"]: each["state"] for each in host.bellwire("ps", "far", "--json").document["processes"]
    }


def test_a_node_of_another_host_joins_by_what_was_shown_teleports_and_makes_keys(
    hosts: Hosts, tmp_path: Path, said: Said
) -> None:
    with lab_up(hosts.here, tmp_path) as shown:
        (command,) = [line.split() for line in shown.splitlines() if "--join" in line]
        variable, _, token = command[0].partition("=")
        assert variable == "BELLWIRE_TOKEN"
        assert command[1:6] == ["bellwire", "node", "run", "alice", "--join"]
        assert command[6].startswith(f"{hosts.here.address}:")
        assert states(hosts.here)["alice"] == "external, not connected"
        alice = hosts.there.bellwire.start(*command[2:], BELLWIRE_TOKEN=token)
        said(alice, "is in lab far")
        assert states(hosts.here)["alice"] == "external, connected"
        run = hosts.here.bellwire("run", "teleport", "-l", "far", "-n", "10", "--json")
        assert run.document["fidelity_mean"] == pytest.approx(1.0)
        keys = hosts.here.bellwire("qkd", "alice", "bob", "-l", "far", "--pulses", "20000", "--json")
        assert keys.document["secret_bits"] > 1000
        assert [path for path in hosts.there.bellwire.home.rglob("*") if path.is_file()] == []
        leave(alice)
        assert states(hosts.here)["alice"] == "external, not connected"
        log = hosts.here.bellwire("logs", "join", "-l", "far").out
        assert f"node 'alice' is told what it is, at {hosts.there.address}" in log


def test_a_wire_that_is_cut_in_a_run_ends_it_by_its_deadline_with_who_waited_for_whom_and_healed_it_works_again(
    hosts: Hosts, tmp_path: Path, said: Said
) -> None:
    with lab_up(hosts.here, tmp_path):
        alice = join(hosts.there, offer(hosts.here))
        said(alice, "is in lab far")
        running = hosts.here.bellwire.start(
            "run", "teleport", "-l", "far", "-n", "1000000", "--deadline", "4"
        )
        said(running, "Running teleport")
        hosts.here.bellwire.wait_for(
            lambda: "part.started" in hosts.here.bellwire("logs", "bob", "-l", "far").out
        )
        hosts.cut()
        cut_at = time.monotonic()
        _, complaint = running.communicate(timeout=60)
        # the deadline of the wait, and what it takes to clean up behind somebody who does not answer
        assert time.monotonic() - cut_at < 4 + 10 + 15
        assert running.returncode == 6, complaint
        assert "at node 'bob': node 'alice' did not send" in complaint
        assert "within 4 s" in complaint
        # alice's end of it: she gives up by herself, with who has waited for whom
        _, ended = alice.communicate(timeout=60)
        assert alice.returncode == 8
        complaint = ended.splitlines()[-1]
        assert "alice" in complaint
        assert hosts.here.address in complaint
        assert ": ." not in complaint
        hosts.heal()
        again = join(hosts.there, offer(hosts.here))
        said(again, "is in lab far")
        done = hosts.here.bellwire("run", "teleport", "-l", "far", "-n", "5", "--json")
        assert done.document["rounds"] == 5
        leave(again)


def test_a_wire_that_is_cut_for_a_moment_ends_nothing(hosts: Hosts, tmp_path: Path, said: Said) -> None:
    with lab_up(hosts.here, tmp_path):
        alice = join(hosts.there, offer(hosts.here))
        said(alice, "is in lab far")
        for _ in range(3):
            hosts.cut()
            hosts.heal()
            assert (
                hosts.here.bellwire("run", "teleport", "-l", "far", "-n", "3", "--json").document["rounds"]
                == 3
            )
        leave(alice)


def test_what_is_no_token_for_this_node_now_is_refused_and_is_in_the_log_with_its_address(
    hosts: Hosts, tmp_path: Path, said: Said
) -> None:
    with lab_up(hosts.here, tmp_path), lab_up(hosts.here, tmp_path, "other", "{external: true}"):
        mine, others = offer(hosts.here), offer(hosts.here, "bob", "other")
        first = join(hosts.there, mine)
        said(first, "is in lab far")
        wrong = mine["token"][:4] + ("B" if mine["token"][4] == "A" else "A") + mine["token"][5:]
        for token, address, node, complaint in (
            (mine["token"], mine["join"], "alice", "the token has been used already"),
            (wrong, mine["join"], "alice", "the token is none of this lab's"),
            (others["token"], mine["join"], "alice", "is not the lab of this token"),
            (others["token"], others["join"], "alice", "the token is for another node"),
        ):
            refused = hosts.there.bellwire("node", "run", node, "--join", address, "--token", token)
            assert refused.code == 4
            assert complaint in refused.err
            assert token not in refused.err
        assert states(hosts.here)["alice"] == "external, connected"
        log = hosts.here.bellwire("logs", "join", "-l", "far").out
        where = f"refused {hosts.there.address}"
        assert f"{where}, which wants to be node 'alice': the token has been used already" in log
        assert f"{where}, which wants to be node 'alice': the token is none of this lab's" in log
        assert (
            f"{where}: it has not said which node it is" in log
        )  # who saw that it is another lab said nothing
        log = hosts.here.bellwire("logs", "join", "-l", "other").out
        assert f"{where}, which wants to be node 'alice': the token is for another node" in log
        assert mine["token"] not in log
        # refused, the token of the other lab is good still
        second = join(hosts.there, others, "bob")
        said(second, "is in lab other")
        for each in (first, second):
            leave(each)


PROGRAM = """
import asyncio, json, sys
import nodes

async def main():
    async with nodes.connect("alice", join=sys.argv[1], deadline=20) as alice:
        print(await (await alice.pair("bob")).qubit.measure(), flush=True)
        if sys.argv[2:] == ["stay"]:
            while True:
                await (await alice.pair("bob", deadline=3)).qubit.measure()

try:
    asyncio.run(main())
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def connected(*programs: subprocess.Popen[str]) -> list[tuple[str, str]]:
    """Wait for the end of programs; return what each has said, and of what it complains."""
    return [program.communicate(timeout=60) for program in programs]


@pytest.mark.alone
def test_a_program_of_another_host_connects_by_a_token_in_its_environment_and_hears_of_a_cut_wire_in_time(
    hosts: Hosts, tmp_path: Path, said: Said
) -> None:
    file = tmp_path / "alice.py"
    file.write_text(PROGRAM)
    beside = tmp_path / "bob.py"
    beside.write_text(PROGRAM.replace("alice", "BOB").replace("bob", "alice").replace("BOB", "bob"))
    with lab_up(hosts.here, tmp_path, bob="{external: true}"):

        def connect(stay: str = "") -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
            there, here = offer(hosts.here), offer(hosts.here, "bob")
            extra = (stay,) if stay else ()
            return (
                hosts.there.start_program(file, there["join"], *extra, BELLWIRE_TOKEN=there["token"]),
                hosts.here.start_program(beside, here["join"], *extra, BELLWIRE_TOKEN=here["token"]),
            )

        outcomes = connected(*connect())
        assert outcomes[0] == outcomes[1]
        alice, bob = connect("stay")
        for program in (alice, bob):
            assert program.stdout is not None
            assert program.stdout.readline() in ("0\n", "1\n")
        hosts.cut()
        cut_at = time.monotonic()
        said_by_alice, said_by_bob = (program.communicate(timeout=60)[1] for program in (alice, bob))
        assert time.monotonic() - cut_at < 45
        assert "'alice'" in said_by_bob
        assert re.search("within (3|20) s", said_by_bob)  # for Alice to ask, or for her part of a pair
        assert "'alice'" in said_by_alice or "'bob'" in said_by_alice
        assert ": ." not in said_by_alice + said_by_bob
        hosts.heal()
        healed_at = time.monotonic()
        # the news that the former two have gone may come when the next two are there, who are told to run again
        outcomes = connected(*connect())
        while any("PeerGone" in said for _, said in outcomes):
            assert time.monotonic() - healed_at < 45, outcomes
            outcomes = connected(*connect())
        assert outcomes[0] == outcomes[1], outcomes
        assert outcomes[0][0] in ("0\n", "1\n")


def test_a_door_that_cannot_be_reached_is_told_with_the_likely_reason(hosts: Hosts, tmp_path: Path) -> None:
    with lab_up(hosts.here, tmp_path):
        offered = offer(hosts.here)
        host, _, port = offered["join"].rpartition(":")

        def refused(address: str, token: str = offered["token"]) -> str:
            begun = time.monotonic()
            done = hosts.there.bellwire("node", "run", "alice", "--join", address, "--token", token)
            assert done.code == 4
            assert time.monotonic() - begun < 30
            return done.err

        assert "refused: the host is there, and nothing listens" in refused(f"{host}:1")
        assert "the name is not known" in refused("no-such-host.invalid:7085")
        assert "write HOST:PORT" in refused(host)
        assert "is not the lab of this token" in refused(f"{host}:8883")
        assert "this is no token" in refused(offered["join"], "bw1-short")
        hosts.cut()
        told = refused(f"{host}:{port}")
        assert "node 'alice' waited for the door of its lab" in told
        assert "no route" in told or "no answer within" in told
        hosts.heal()


def test_a_node_that_is_not_external_and_a_lab_without_a_host_offer_nothing(
    hosts: Hosts, tmp_path: Path
) -> None:
    with lab_up(hosts.here, tmp_path):
        assert "unknown external node 'bob'" in hosts.here.bellwire("node", "token", "bob", "-l", "far").err
    near = tmp_path / "near.yaml"
    near.write_text(
        "nodes: {alice: {external: true}, bob: }\nlinks: [{endpoints: [alice, bob], length: 1 km}]\n"
    )
    assert hosts.here.bellwire("up", near, "-d").code == 0
    try:
        done = hosts.here.bellwire("node", "token", "alice", "-l", "near")
        assert (done.code, "--host ADDRESS" in done.err) == (2, True)
    finally:
        hosts.here.bellwire("down", "near")
    assert json.loads(hosts.here.bellwire("ls", "--json").out)["running"] == []
