"""Programs outside of the launcher are nodes of a lab that is up."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nodes
from broker.errors import BrokerLost
from deploy.errors import NotConnected
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import Plan, plan
from deploy.topology import load
from nodes.apps import teleport
from nodes.errors import DeadlinePassed, JoinRefused, PeerGone, PeerSilent, ProgramInvalid
from nodes.runtime.connected import ConnectedNode
from shared_state.config import WernerSource
from shared_state.errors import ServerLost

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "own-nodes"
Lab = Callable[..., AbstractAsyncContextManager[Laboratory]]
Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@dataclass(frozen=True)
class Note:
    text: str


def planned(text: str, tmp_path: Path) -> Plan:
    """Plan a lab in real time, on the embedded broker."""
    file = tmp_path / "own.yaml"
    file.write_text(text)
    return replace(plan(load(file), default_mode="real-time"), broker="embedded")


@pytest.fixture
def pair(tmp_path: Path) -> Plan:
    """Alice and Bob, both external, and 1 km of ideal fibre."""
    return planned(
        "nodes: {alice: {external: true}, bob: {external: true}}\n"
        "links: [{endpoints: [alice, bob], length: 1 km}]\n",
        tmp_path,
    )


@pytest.fixture
def chain(tmp_path: Path) -> Plan:
    """Alice, Charlie of the lab's own, and Bob in a row."""
    return planned(
        "nodes: {alice: {external: true}, charlie: , bob: {external: true}}\n"
        "links: [{endpoints: [alice, charlie], length: 1 km}, {endpoints: [charlie, bob], length: 1 km}]\n",
        tmp_path,
    )


def joined(lab: Laboratory, name: str, deadline: float = 20.0) -> AbstractAsyncContextManager[ConnectedNode]:
    """Connect as a node by the document that the lab has left for it."""
    return nodes.connect(name, document=lab.directory / "external" / f"{name}.json", deadline=deadline)


def start(bellwire: Bellwire, name: str, rounds: int) -> subprocess.Popen[str]:
    """Start a program of the example as its user does."""
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE / f"{name}.py"), str(rounds)],
        env=os.environ | {"BELLWIRE_HOME": str(bellwire.home), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("clock", ["real-time", "virtual"])
def test_the_two_programs_of_the_example_teleport(bellwire: Bellwire, clock: str) -> None:
    up = bellwire("up", EXAMPLE / "hello.yaml", "-d", "--clock", clock)
    assert up.code == 0
    assert "Waiting for alice: run 'bellwire node run alice -l hello'" in up.err
    try:
        states = {each["name"]: each["state"] for each in bellwire("ps", "--json").document["processes"]}
        assert states["alice"] == states["bob"] == "external, not connected"
        alice, bob = start(bellwire, "alice", 50), start(bellwire, "bob", 50)
        outcomes, complaint = bob.communicate(timeout=60)
        assert (alice.communicate(timeout=60), alice.returncode) == (("", ""), 0)
        assert (complaint, bob.returncode) == ("", 0)
        assert outcomes.split() == ["0"] * 50
    finally:
        assert bellwire("down", "hello").code == 0


async def test_what_two_programs_teleport_over_noisy_pairs_has_the_fidelity_that_it_should(
    pair: Plan, lab: Lab
) -> None:
    """Pairs of fidelity 0.85 teleport with (2 F + 1)/3 = 0.9; false alarm below 1e-6: 5 standard deviations of 400."""
    links = {
        name: replace(link, source=WernerSource(fidelity=0.85)) for name, link in pair.world.links.items()
    }
    rounds = 400
    async with (
        lab(replace(pair, world=replace(pair.world, links=links))) as up,
        joined(up, "alice") as alice,
        joined(up, "bob") as bob,
    ):

        async def sending() -> None:
            for _ in range(rounds):
                psi, half = await alice.qubit(), (await alice.pair("bob")).qubit
                psi.h()
                psi.s()
                await teleport.alice(psi, half, alice.peer("bob"))

        async def receiving() -> int:
            wrong = 0
            for _ in range(rounds):
                half = (await bob.pair("alice")).qubit
                wrong += await (await teleport.bob(half, bob.peer("alice"))).measure("Y")
            return wrong

        async with asyncio.TaskGroup() as group:
            group.create_task(sending())
            counted = group.create_task(receiving())
    assert abs(counted.result() - 0.1 * rounds) < 5 * (rounds * 0.1 * 0.9) ** 0.5


async def test_a_pair_comes_over_the_nodes_between_and_both_ends_know_it_by_one_id(
    chain: Plan, lab: Lab
) -> None:
    async with lab(chain) as up, joined(up, "alice") as alice, joined(up, "bob") as bob:
        for _ in range(5):
            first, last = await asyncio.gather(alice.pair("bob"), bob.pair("alice"))
            assert first.pair == last.pair
            assert first.path == last.path == ("alice", "charlie", "bob")
            assert await first.qubit.measure("X") == await last.qubit.measure("X")
        assert (await up.census()).qubits == 0


async def test_many_pairs_on_terms_and_messages_both_ways(chain: Plan, lab: Lab) -> None:
    async with lab(chain) as up, joined(up, "alice") as alice, joined(up, "bob") as bob:

        async def asking() -> list[int]:
            async with bob.network.request("alice", 6) as pairs:
                return [await half.qubit.measure() async for half in pairs]

        async def accepting() -> list[int]:
            async with alice.network.accept("bob") as pairs:
                return [await half.qubit.measure() async for half in pairs]

        asked, accepted = await asyncio.gather(asking(), accepting())
        assert asked == accepted
        assert len(asked) == 6
        await alice.peer("bob").send(Note("first"))
        await alice.peer("bob").conversation("aside").send(Note("aside"))
        await bob.peer("alice").send(Note("back"))
        assert await bob.peer("alice").conversation("aside").receive(Note) == Note("aside")
        assert await bob.peer("alice").receive(Note) == Note("first")
        assert await alice.peer("bob").receive(Note) == Note("back")


async def test_what_the_sender_has_said_and_teleported_is_there_when_it_has_left(
    pair: Plan, lab: Lab, eventually: Eventually
) -> None:
    async with lab(pair) as up, joined(up, "bob") as bob:
        async with joined(up, "alice") as alice:
            psi = await alice.qubit()
            psi.x()
            half, mine = await asyncio.gather(bob.pair("alice"), alice.pair("bob"))
            await teleport.alice(psi, mine.qubit, alice.peer("bob"))

        async def left() -> bool:
            return up.status()[0].state == "external, not connected"

        await eventually(left)
        assert await (await teleport.bob(half.qubit, bob.peer("alice"))).measure() == 1
        assert (await up.census()).qubits == 0


async def test_the_lab_orders_parts_of_a_node_that_a_program_is(pair: Plan, lab: Lab) -> None:
    async with lab(pair) as up:
        with pytest.raises(NotConnected, match="bellwire node run alice") as absent:
            await up.run(Job("teleport", rounds=2))
        assert absent.value.exit_code == 4
        async with joined(up, "alice") as alice, joined(up, "bob") as bob:
            result = await up.run(Job("teleport", rounds=5))
            assert result.figures["fidelity_mean"] == pytest.approx(1.0)
            first, last = await asyncio.gather(alice.pair("bob"), bob.pair("alice"))
            assert await first.qubit.measure() == await last.qubit.measure()
        with pytest.raises(NotConnected):
            await up.run(Job("teleport", rounds=2))


async def test_who_waits_in_vain_is_told_for_whom_and_what_to_do(chain: Plan, lab: Lab) -> None:
    async with lab(chain) as up, joined(up, "alice", deadline=0.5) as alice:
        with pytest.raises(
            PeerSilent, match=r"'bob' has not connected to the lab 'own' within 0.5 s.*connect\(\"bob\"\)"
        ):
            await alice.pair("bob")
        async with joined(up, "bob", deadline=0.5) as bob:
            asked = r"'bob' has not asked for a pair with 'alice' within 0.5 s: is its program running\?"
            with pytest.raises(PeerSilent, match=asked):
                await alice.pair("bob")
            with pytest.raises(PeerSilent, match=r"'alice' has not asked for a pair with 'bob' within 0.3 s"):
                await bob.pair("alice", deadline=0.3)
            with pytest.raises(DeadlinePassed, match=r"'bob' did not send Note within 0.5 s"):
                await alice.peer("bob").receive(Note)
            # what was asked for in vain is not what is asked for now
            first, last = await asyncio.gather(alice.pair("bob"), bob.pair("alice"))
            assert first.pair == last.pair
            assert await first.qubit.measure() == await last.qubit.measure()
        assert (await up.census()).qubits == 0


async def test_a_wrong_name_is_refused_with_what_to_write(chain: Plan, lab: Lab) -> None:
    async with lab(chain) as up, joined(up, "alice") as alice:
        with pytest.raises(ProgramInvalid, match=r"'charlie' is run by the lab.*charlie: \{external: true\}"):
            await alice.pair("charlie")
        with pytest.raises(ProgramInvalid, match=r"no node 'bo'.*there are: bob"):
            alice.peer("bo")
        with pytest.raises(ProgramInvalid, match="this node itself"):
            await alice.pair("alice")
        with pytest.raises(ProgramInvalid, match="no chain of links"):
            alice.keys("nobody")


async def test_a_second_process_of_one_name_a_foreign_document_and_a_lab_that_is_gone_are_refused(
    pair: Plan, lab: Lab, tmp_path: Path
) -> None:
    async with lab(pair) as up:
        document = up.directory / "external" / "alice.json"
        async with joined(up, "alice") as alice:
            with pytest.raises(JoinRefused, match="another process is node 'alice' of lab 'own' already"):
                await joined(up, "alice").__aenter__()
            assert await (await alice.qubit()).measure() == 0
        with pytest.raises(JoinRefused, match="is that of node 'alice', not of 'bob'"):
            await nodes.connect("bob", document=document).__aenter__()
        with pytest.raises(JoinRefused, match="is of lab 'own', not of 'other'"):
            await nodes.connect("alice", lab="other", document=document).__aenter__()
        kept = tmp_path / "kept.json"
        kept.write_text(document.read_text())
        forged = tmp_path / "forged.json"
        secret = document.read_text().split('"secret": "')[2].split('"')[0]
        forged.write_text(document.read_text().replace(secret, "0" * 32))
        with pytest.raises(JoinRefused, match="does not take this document") as refused:
            await nodes.connect("alice", document=forged).__aenter__()
        assert secret not in str(refused.value)
    with pytest.raises(JoinRefused, match="the lab 'own' does not answer"):
        await nodes.connect("alice", document=kept).__aenter__()


async def test_a_lab_that_goes_down_ends_the_program_with_the_reason(pair: Plan, lab: Lab) -> None:
    connected = asyncio.Event()

    async def program() -> None:
        async with joined(up, "alice"):
            connected.set()
            await asyncio.Event().wait()

    async with lab(pair) as up:
        running = asyncio.create_task(program())
        await connected.wait()
    with pytest.raises((ServerLost, BrokerLost), match=r"127\.0\.0\.1"):
        await running


HOLDER = """
import asyncio, sys
import nodes

async def main():
    async with nodes.connect("alice") as me:
        qubits = [await me.qubit(), (await me.pair("bob")).qubit]
        print("holds", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_of_a_program_that_is_killed_nothing_is_left_and_it_may_come_back(
    chain: Plan, lab: Lab, eventually: Eventually, tmp_path: Path
) -> None:
    (tmp_path / "holder.py").write_text(HOLDER)
    async with lab(chain) as up, joined(up, "bob") as bob:
        for _ in range(2):
            holder = await asyncio.create_subprocess_exec(
                *(sys.executable, str(tmp_path / "holder.py")),
                stdout=asyncio.subprocess.PIPE,
                env=os.environ
                | {"BELLWIRE_JOIN": str(up.directory / "external" / "alice.json"), "PYTHONPATH": str(ROOT)},
            )
            assert holder.stdout is not None
            alice = bob.peer("alice")
            await alice.send(Note("to this process"))
            half = await bob.pair("alice")
            assert await holder.stdout.readline() == b"holds\n"
            assert (await up.census()).qubits == 3
            holder.send_signal(signal.SIGKILL)
            await holder.wait()

            async def gone() -> bool:
                return (await up.census()).qubits <= 1

            await eventually(gone)
            with suppress(PeerGone):
                await half.qubit.discard()
            with pytest.raises(PeerGone, match="alice"):
                await alice.receive(Note)
        async with joined(up, "alice") as again:
            first, last = await asyncio.gather(again.pair("bob"), bob.pair("alice"))
            assert await first.qubit.measure() == await last.qubit.measure()
        assert (await up.census()).qubits == 0


def test_a_standing_node_plays_parts_until_ctrl_c_and_its_document_is_its_users_alone(
    bellwire: Bellwire,
) -> None:
    assert bellwire("up", EXAMPLE / "hello.yaml", "-d").code == 0
    try:
        assert bellwire("run", "teleport", "-l", "hello").code == 4
        standing = [bellwire.start("node", "run", name, "-l", "hello") for name in ("alice", "bob")]
        for each in standing:
            assert each.stderr is not None
            while "is in lab hello" not in each.stderr.readline():
                assert each.poll() is None
        assert bellwire("run", "teleport", "-l", "hello", "-n", "3", "--json").document["rounds"] == 3
        (document,) = bellwire.home.rglob("alice.json")
        assert document.stat().st_mode & 0o077 == 0
        assert document.parent.stat().st_mode & 0o077 == 0
        secrets = set(re.findall(r'"secret": "(\w+)"', document.read_text()))
        assert len(secrets) == 2
        second = bellwire("node", "run", "alice", "-l", "hello")
        assert second.code == 4
        assert "another process is node 'alice'" in second.err
        for each in standing:
            each.send_signal(signal.SIGINT)
            _, said = each.communicate(timeout=20)
            assert each.returncode == 0
            assert "has left" in said
            assert "Traceback" not in said
            assert not any(secret in said for secret in secrets)
        states = {each["name"]: each["state"] for each in bellwire("ps", "--json").document["processes"]}
        assert states["alice"] == "external, not connected"
    finally:
        assert bellwire("down", "hello").code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("alice",), "no lab that is up waits for a node 'alice'; no lab is up"),
        (("alice", "-l", "hello"), "no lab 'hello' is up"),
        (("alice", "--config", "nowhere.json"), "no document to join by at nowhere.json"),
    ],
)
def test_a_node_without_a_lab_is_told_what_to_do(
    bellwire: Bellwire, arguments: tuple[str, ...], complaint: str
) -> None:
    done = bellwire("node", "run", *arguments)
    assert done.code == 4
    assert complaint in done.err


def test_of_several_labs_one_is_to_be_named(bellwire: Bellwire, tmp_path: Path) -> None:
    text = (EXAMPLE / "hello.yaml").read_text()
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("hello", "other"))
    try:
        assert bellwire("up", EXAMPLE / "hello.yaml", "-d").code == 0
        assert bellwire("up", other, "-d").code == 0
        done = bellwire("node", "run", "alice")
        assert done.code == 4
        assert "several labs wait for a node 'alice': hello, other" in done.err
        done = bellwire("node", "run", "carol", "-l", "other")
        assert "the lab 'other' waits for no node 'carol'; it waits for alice, bob" in done.err
    finally:
        bellwire("down", "hello")
        bellwire("down", "other")


@pytest.mark.parametrize("leaving", ["first", "last"])
async def test_who_comes_in_a_peers_place_is_another_peer(pair: Plan, lab: Lab, leaving: str) -> None:
    async with lab(pair) as up, joined(up, "alice") as alice:
        async with asyncio.timeout(15):
            async with joined(up, "bob") as bob:
                peer = alice.peer("bob")
                await bob.peer("alice").send(Note("hello"))
                assert await peer.receive(Note) == Note("hello")
                waiting = asyncio.ensure_future(peer.receive(Note)) if leaving == "last" else None
            async with joined(up, "bob"):
                with pytest.raises(PeerGone):
                    await (waiting or peer.receive(Note))


async def test_who_connects_during_a_partition_knows_of_it(
    pair: Plan, lab: Lab, eventually: Eventually
) -> None:
    async with lab(pair) as up:
        await up.partition(["alice"])
        async with joined(up, "alice") as alice, joined(up, "bob", deadline=0.5) as bob:

            async def is_parted() -> bool:
                await alice.peer("bob").send(Note("hello"))
                try:
                    await bob.peer("alice").receive(Note)
                except DeadlinePassed:
                    return True
                return False

            await eventually(is_parted)
            await up.heal()
            assert await bob.peer("alice").receive(Note) == Note("hello")
