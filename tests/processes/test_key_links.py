"""A lab whose links make keys as long as it is up, whatever happens to its nodes, its fibres and on its fibres."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest

from deploy.credentials import MONITOR
from deploy.errors import Reported
from deploy.jobs import Job
from deploy.key_access import KeyAccess
from deploy.key_pools import KeyPool
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.recording import RECORD, begin, header_of
from deploy.topology import find, load
from nodes.keys.store import KeyStore
from tests.processes.conftest import wait_for_ends

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire, Program

pytestmark = pytest.mark.processes

LINK = (
    "length: 10 km, source: {scheme: pair-source, attempt_rate: 10 MHz, pair_probability: 0.05, fidelity: 0.985, "
    "memories: false}, qkd: {protocol: bbm92, block: 12000, basis_probability: 0.8, continuous: true"
)
LAB = f"""
name: trio
runtime: {{broker: embedded}}
nodes:
  north: {{services: {{etsi014: {{sae: [vpn-north]}}}}}}
  exchange:
  dc: {{services: {{etsi014: {{sae: [vpn-dc]}}}}}}
links:
  - {{name: west, endpoints: [north, exchange], {LINK}}}}}
  - {{name: east, endpoints: [exchange, dc], {LINK}, reconciliation: cascade}}}}
taps:
  eve: {{link: west, at: 3 km}}
keys: {{compromised: [exchange]}}
"""
NAP = """
from nodes.ports import Clock
async def north(clock: Clock, seconds: float = 600.0):
    await clock.sleep(seconds)
"""


@dataclass
class Trio:
    """The lab, its keys as applications get them, and all that was said over its broker."""

    lab: Laboratory
    access: KeyAccess
    warnings: list[str]
    overheard: list[bytes] = field(default_factory=list)

    async def pool(self, node: str, peer: str) -> KeyPool:
        """Look at what a node has in store with another one."""
        return next(each for each in await self.lab.keys() if (each.node, each.peer) == (node, peer))

    async def until(self, node: str, peer: str, holds: Callable[[KeyPool], bool]) -> KeyPool:
        """Wait until something holds of a pool, of which a user would see it in 'bellwire keys watch', too."""
        async with asyncio.timeout(20):
            while not holds(pool := await self.pool(node, peer)):  # noqa: ASYNC110 - as a user looks
                await asyncio.sleep(0.02)
        return pool

    async def told(self, *words: str) -> None:
        """Wait until a line with these words was shown to the lab's user: a node may be back before anybody looks."""
        async with asyncio.timeout(20):
            while not any(all(word in line for word in words) for line in self.warnings):
                await self.lab.key_links_changed()

    async def blocks(self, node: str, peer: str, units: int = 1) -> KeyPool:
        """Wait until a pool has grown by so many units and its link has no trouble."""
        before = await self.pool(node, peer)
        return await self.until(
            node, peer, lambda pool: pool.stored_units >= before.stored_units + units and not pool.trouble
        )

    def made(self, link: str) -> int:
        """Count the blocks that have given a key."""
        return next(status.blocks for status in self.lab.key_links() if status.link == link)

    async def fetch(self, sae: str, peer: str, *key_ids: str, number: int = 1) -> list[dict[str, Any]]:
        """Fetch keys as an application."""
        if key_ids:
            return await asyncio.to_thread(self.access.get_key_with_ids, sae, peer, key_ids)
        return await asyncio.to_thread(self.access.get_key, sae, peer, number, None)

    def written(self) -> bytes:
        """Return all that was written down of the lab or can be seen of its processes."""
        logs = [path.read_bytes() for path in sorted((self.lab.directory / "logs").iterdir())]
        assert len(logs) == len(self.lab.premises.children)
        processes = [
            Path(f"/proc/{pid}/{what}").read_bytes()
            for pid in (child.pid for child in self.lab.premises.children.values())
            for what in ("cmdline", "environ")
        ]
        return b"\n".join(
            [*logs, *processes, (self.lab.directory / RECORD).read_bytes(), *map(str.encode, self.warnings)]
        )


@pytest.fixture
async def trio(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Trio]:
    """The lab in this process, in real time, with a record and perhaps a seed; keys are in store at all ends."""
    file = tmp_path / "trio.yaml"
    file.write_text(LAB)
    valid, warnings = load(find(str(file))), list[str]()
    planned = plan(valid, default_mode="real-time", seed=getattr(request, "param", None))
    directory = tmp_path / "lab"
    directory.mkdir()
    begin(directory / RECORD, header_of(valid, planned))
    laboratory = Laboratory(planned, directory, warnings.append, directory / RECORD)
    try:
        async with laboratory:
            there = Trio(laboratory, KeyAccess(directory, planned.lab), warnings)
            async with _listening(there):
                for node, peer in (("north", "exchange"), ("dc", "exchange")):
                    await there.until(node, peer, lambda pool: pool.stored_units > 8)
                yield there
    finally:
        wait_for_ends([child.pid for child in laboratory.premises.children.values()])


@asynccontextmanager
async def _listening(there: Trio) -> AsyncIterator[None]:
    """Keep all that is said over the broker."""
    access = there.lab.premises.broker_access(MONITOR)
    async with aiomqtt.Client(
        access.host, access.port, username=MONITOR, password=access.secret, identifier=MONITOR
    ) as client:
        await client.subscribe(f"{there.lab.plan.lab}/#", qos=0)

        async def listen() -> None:
            async for message in client.messages:
                there.overheard.append(bytes(message.payload))

        listening = asyncio.create_task(listen())
        yield
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_killed_node_comes_back_with_its_keys_and_delivers_none_twice(trio: Trio) -> None:
    made = await trio.fetch("vpn-north", "vpn-dc", number=2)
    [collected] = await trio.fetch("vpn-dc", "vpn-north", made[0]["key_ID"])
    assert collected["key"] == made[0]["key"]
    before = await trio.until("dc", "exchange", lambda pool: pool.delivered_keys == 1)
    dc = next(status for status in trio.lab.status() if status.name == "dc")
    os.kill(dc.pid, signal.SIGKILL)
    await trio.told("link 'east' makes no keys", "node 'dc'")
    after = await trio.until("dc", "exchange", lambda pool: pool.stored_units > before.stored_units)
    assert after.delivered_keys == 1
    again = next(status for status in trio.lab.status() if status.name == "dc")
    assert (again.state, again.restarts) == ("ready", 1)
    assert again.pid != dc.pid
    await trio.blocks("dc", "exchange")
    exchange = next(status for status in trio.lab.status() if status.name == "exchange")
    os.kill(exchange.pid, signal.SIGKILL)
    for link in ("west", "east"):
        await trio.told(f"link '{link}' makes no keys", "node 'exchange'")
    for end in ("north", "dc"):
        await trio.blocks("exchange", end)
        await trio.blocks(end, "exchange")

    with pytest.raises(Reported, match="not found"):
        await trio.fetch("vpn-dc", "vpn-north", made[0]["key_ID"])
    [waiting] = await trio.fetch("vpn-dc", "vpn-north", made[1]["key_ID"])
    assert waiting["key"] == made[1]["key"]
    with pytest.raises(Reported, match="not found"):
        await trio.fetch("vpn-dc", "vpn-north", made[1]["key_ID"])
    fresh = await trio.fetch("vpn-dc", "vpn-north", number=5)
    assert len({key["key"] for key in [*made, *fresh]}) == 7
    collected_again = await trio.fetch("vpn-north", "vpn-dc", *(key["key_ID"] for key in fresh))
    assert collected_again == fresh


async def test_a_cut_and_eve_are_told_give_no_key_and_are_overcome(trio: Trio, program: Program) -> None:
    await trio.lab.set_link("west", False)
    await trio.until("north", "exchange", lambda pool: "link 'west' is down" in pool.trouble)
    await trio.lab.set_link("west", True)
    await trio.blocks("north", "exchange")

    napping = asyncio.create_task(trio.lab.run(Job(program(NAP), tap="eve")))
    first = await trio.until("north", "exchange", lambda pool: pool.alarms >= 1)
    made = trio.made("west")
    last = await trio.until("north", "exchange", lambda pool: pool.alarms >= first.alarms + 5)
    assert last.qber is not None
    assert last.qber > 0.15
    assert last.trouble
    assert trio.made("west") == made, "no block that she has touched gives a key"
    assert not (await trio.pool("dc", "exchange")).trouble, "the other link is not hers"
    napping.cancel()
    await asyncio.wait([napping])
    await trio.blocks("north", "exchange")

    assert any("makes no keys" in line for line in trio.warnings)
    assert trio.warnings[-1] == "link 'west' makes keys"
    log = (trio.lab.directory / "logs" / "north.log").read_text().splitlines()
    logged = [event for event in map(json.loads, log) if event["name"] == "key.alarm"]
    assert len(logged) >= 4
    assert all(event["fields"]["qber"] > 0.05 for event in logged)
    record = (trio.lab.directory / RECORD).read_text().splitlines()[1:]
    events = [json.loads(line) for line in record if '"key.alarm"' in line]
    assert {event["node"] for event in events} == {"north", "exchange"}


async def test_a_node_killed_on_purpose_stays_dead_until_it_is_resumed_and_has_its_keys_then(
    trio: Trio,
) -> None:
    before = await trio.pool("dc", "exchange")
    await trio.lab.kill("dc")
    await trio.lab.pass_time(0.5)  # others come back by themselves in less
    assert [each.state for each in trio.lab.status() if each.name == "dc"] == ["was ended by signal 9"]
    await trio.lab.resume("dc")
    assert [each.state for each in trio.lab.status() if each.name == "dc"] == ["ready"]
    await trio.until("dc", "exchange", lambda pool: pool.stored_units >= before.stored_units)
    await trio.blocks("dc", "exchange")


async def test_no_key_is_made_across_a_partition_and_keys_are_made_when_it_has_healed(trio: Trio) -> None:
    await trio.lab.partition(["dc"])
    made = trio.made("east")
    await trio.blocks("north", "exchange")  # on the other side all goes on
    assert trio.made("east") <= made + 1  # of one that was confirmed already it may still be told
    await trio.lab.heal()
    await trio.blocks("dc", "exchange")


async def test_applications_use_stored_keys_and_nobody_else_sees_them(trio: Trio, tmp_path: Path) -> None:
    letter = tmp_path / "letter"
    letter.write_bytes(b"dear exchange")
    roles = {"alice": "north", "bob": "exchange"}
    files = {"source": str(letter), "destination": str(tmp_path / "copy")}
    [sent] = (await trio.lab.run(Job("send", roles, parameters=files))).returned
    assert sent["bob"]["qkd"] is None, "its key was in store"
    assert (tmp_path / "copy").read_bytes() == b"dear exchange"

    brief = {"seconds": "1", "rekey": "0.25"}
    [through] = (await trio.lab.run(Job("tunnel", roles, parameters=brief))).returned
    assert through["alice"]["keys"] == through["bob"]["keys"] == 4
    assert through["alice"]["frames"] == through["bob"]["frames"] == 20
    [closed] = (await trio.lab.run(Job("tunnel", {"alice": "north", "bob": "dc"}, parameters=brief))).returned
    assert closed["bob"] == {"frames": 0, "keys": 0, "held_back": 0, "closed_for": 0.0, "refused": 0}
    assert closed["alice"]["held_back"] == 20

    made = await trio.fetch("vpn-north", "vpn-dc", number=8)
    assert await trio.fetch("vpn-dc", "vpn-north", *(key["key_ID"] for key in made)) == made
    read = await trio.until("exchange", "north", lambda pool: pool.read_bytes > 0)
    assert read.read_bytes == 8 * 32
    keys = [b64decode(key["key"]) for key in made] + _taken_out_of_store(trio)
    seen, heard = trio.written(), b"\n".join(trio.overheard)
    assert made[0]["key_ID"].encode() in heard, "this is where they would be"
    assert b"keys.delivered" in seen
    for key in keys:
        for half in (key[:12], key[-12:]):
            for form in (
                half,
                half.hex().encode(),
                b64encode(half),
                str(list(half)).encode(),
                repr(half).encode(),
            ):
                assert form not in seen
                assert form not in heard


def _taken_out_of_store(trio: Trio) -> list[bytes]:
    """Take keys that nobody has asked for yet out of the store of north."""
    store = KeyStore(
        trio.lab.directory / "nodes" / "north" / "store.sqlite",
        bytes.fromhex(trio.lab.premises.invitation("north", 0).keys.wrapping_key),
    )
    try:
        return [taken.secret.reveal() for taken in store.take("exchange", 32, 8)]
    finally:
        store.close()


@pytest.mark.parametrize("trio", [5], indirect=True)
async def test_keys_of_a_seeded_lab_are_marked_and_not_delivered(trio: Trio) -> None:
    for pool in await trio.lab.keys():
        assert pool.reproducible_units == pool.stored_units > 0
    with pytest.raises(Reported, match="can be computed from the lab's seed") as refused:
        await trio.fetch("vpn-north", "vpn-dc")
    assert refused.value.exit_code == 9


def test_in_virtual_time_a_lab_says_that_its_links_make_no_keys_by_themselves(
    bellwire: Bellwire, tmp_path: Path
) -> None:
    file = tmp_path / "trio.yaml"
    file.write_text(LAB)
    idle = bellwire("up", file, "-d", "--clock", "virtual")
    assert idle.code == 0
    assert "In virtual time no keys are made by themselves: west, east" in " ".join(idle.err.split())
    assert all(pool["stored_units"] == 0 for pool in bellwire("keys", "ls", "--json").document["pools"])
    assert bellwire("down").code == 0
