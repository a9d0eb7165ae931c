"""The key services of three nodes in a row over one bus: north - exchange - dc, and who reads what is relayed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from broker.memory import MemoryBroker
from broker.telemetry import ListSink, to_json
from nodes.identity import SEED_BYTES, Identity
from nodes.keys.errors import KeysExhausted, KeysUnavailable, PeerUnreachable, RelayFailed, Reproducible
from nodes.keys.secret import Secret
from nodes.keys.site import Pair
from nodes.keys.store import KeyStore
from nodes.runtime import key_plane, key_service, kme_http, partition
from nodes.runtime.attendants import attendants
from nodes.runtime.channel import Channel, Hop
from nodes.runtime.clock import RealTimeClock
from nodes.runtime.coin import make_coin
from nodes.runtime.key_service import KeyService
from nodes.runtime.keys_config import KeysConfig
from nodes.runtime.kme_config import KmeConfig
from nodes.runtime.mail import PostOffice

ROW = {"north": ("exchange",), "exchange": ("north", "dc"), "dc": ("exchange",)}
SAES = {"vpn-north": "north", "vpn-dc": "dc"}


@dataclass
class Row:
    """The three services, what they log, what they announce, and what the thief at the exchange has read."""

    services: dict[str, KeyService] = field(default_factory=dict)
    stores: dict[str, KeyStore] = field(default_factory=dict)
    offices: dict[str, PostOffice] = field(default_factory=dict)
    sink: ListSink = field(default_factory=ListSink)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, node: str, told: dict[str, Any]) -> None:
        """Take what a node announces."""
        self.told[node] = told
        self.changed.set()

    async def until_told(self, node: str, name: str, least: int) -> dict[str, Any]:
        """Wait until a node has announced so much of something."""
        async with asyncio.timeout(10):
            while self.told.get(node, {}).get(name, 0) < least:
                self.changed.clear()
                await self.changed.wait()
        return self.told[node]

    def share(self, near: str, far: str, units: int, *, reproducible: bool = False) -> None:
        """Let a link have made a block."""
        key, block = os.urandom(32 * units), os.urandom(8).hex()
        for here, there in ((near, far), (far, near)):
            self.stores[here].deposit(there, block, key, "qkd", reproducible)

    def part(self, *alone: str) -> None:
        """Let messages between these nodes and the others wait; let all those travel that need not wait any more."""
        for node, office in self.offices.items():
            office.partition.sever([other for other in ROW if (other in alone) != (node in alone)])
            office.release(lambda envelope: envelope.arrives_at)

    async def deliver(self, size: int = 256) -> tuple[bytes, bytes]:
        """Deliver a key to vpn-north and vpn-dc; return what each has."""
        [made] = await self.services["north"].manager.get_key("vpn-north", ["vpn-dc"], 1, size)
        [collected] = await self.services["dc"].manager.get_key_with_ids("vpn-dc", "vpn-north", [made.key_id])
        return made.secret.reveal(), collected.secret.reveal()


@asynccontextmanager
async def row(
    pair: Pair | None = None,
    *,
    compromised: bool = False,
    seed: int | None = None,
    kme: KmeConfig | None = None,
) -> AsyncIterator[Row]:
    """Bring the three services up; ``pair`` is that of north and dc, ``kme`` north's."""
    broker, loop, there = MemoryBroker(), asyncio.get_running_loop(), Row()
    seeds = {node: os.urandom(SEED_BYTES) for node in ROW}
    public = {node: Identity.public_key_of(own) for node, own in seeds.items()}
    async with AsyncExitStack() as stack:
        attend = await stack.enter_async_context(attendants())
        control = await stack.enter_async_context(broker.bus("control", "lab", announcements=True))
        attend(PostOffice(control, "lab", on_keys=there.hear).sort())
        for node in ROW:
            bus = await stack.enter_async_context(broker.bus(node, "lab", announcements=True))
            office, store = PostOffice(bus, "lab"), KeyStore(None, os.urandom(32))
            ends = {"north": "dc", "dc": "north"}
            config = KeysConfig(
                *("", "", ""),
                links=ROW,
                saes=SAES,
                pairs={ends[node]: pair} if pair and node in ends else {},
                kme=kme if node == "north" else None,
                compromised=compromised and node == "exchange",
            )
            service = KeyService(
                config,
                store,
                Identity(node, seeds[node], {name: key for name, key in public.items() if name != node}),
                office,
                bus,
                RealTimeClock(loop.time),
                {name: Channel([Hop(1e-5)], make_coin(seed, node, name)) for name in ROW if name != node},
                make_coin(seed, node, "keys"),
                seed is not None,
                there.sink,
            )
            there.services[node], there.stores[node], there.offices[node] = service, store, office
            for work in (office.sort(), office.dispatch(), service.serve()):
                attend(work)
        yield there


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell and refill every few milliseconds."""
    monkeypatch.setattr(key_service, "_TELL_INTERVAL", 0.005)
    monkeypatch.setattr(key_service, "_REFILL_INTERVAL", 0.02)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the thief has read."""
    contents: list[bytes] = []
    steal = KeyService._steal

    def reading(service: KeyService, request: str, secret: Secret) -> None:
        contents.append(secret.reveal())
        steal(service, request, secret)

    monkeypatch.setattr(KeyService, "_steal", reading)
    return contents


async def test_what_is_in_store_and_what_was_delivered_is_told() -> None:
    async with row() as there:
        there.share("north", "exchange", 40)
        there.share("exchange", "dc", 30)
        keys = [await there.deliver() for _ in range(3)]
        assert all(mine == his for mine, his in keys)
        assert len({mine for mine, _ in keys}) == 3
        told = await there.until_told("north", "delivered", 3)
        assert {pool["pool"] for pool in told["pools"]} == {"exchange"}
        assert (await there.until_told("dc", "delivered", 3))["stolen"] == 0


async def test_a_compromised_relay_reads_the_keys_and_tells_how_many_bytes(read: list[bytes]) -> None:
    async with row(compromised=True) as there:
        there.share("north", "exchange", 40)
        there.share("exchange", "dc", 40)
        keys = [mine for mine, _ in [await there.deliver() for _ in range(2)]]
        assert b"".join(read) == b"".join(keys)
        assert (await there.until_told("exchange", "stolen", 64))["stolen"] == 64
        logged = [record for record in there.sink.records if record.name == "relay.read"]
        assert [record.fields["bytes"] for record in logged] == [32, 32]
        assert {record.node for record in logged} == {"exchange"}


async def test_hybrid_keys_survive_a_compromised_relay(read: list[bytes]) -> None:
    async with row(Pair("hybrid", low_water=8, batch=8), compromised=True) as there:
        there.share("north", "exchange", 80)
        there.share("exchange", "dc", 80)
        await there.until_told("exchange", "stolen", 8 * 32)
        async with asyncio.timeout(10):
            while not (there.stores["north"].level("dc").units and there.stores["dc"].level("north").units):
                there.changed.clear()
                await there.changed.wait()
        mine, his = await there.deliver()
        assert mine == his
        everything = b"".join(read)
        assert len(everything) >= 8 * 32
        assert not any(mine[start : start + 8] in everything for start in range(0, 32, 8))


@pytest.mark.parametrize("pair", [None, Pair("hybrid", low_water=4, batch=4)])
async def test_no_key_is_in_a_log(pair: Pair | None) -> None:
    async with row(pair, compromised=True) as there:
        there.share("north", "exchange", 40)
        there.share("exchange", "dc", 40)
        async with asyncio.timeout(10):
            while pair and not there.stores["north"].level("dc").units:
                there.changed.clear()
                await there.changed.wait()
        mine, _ = await there.deliver()
        logged = "\n".join(to_json(record) for record in there.sink.records)
        [delivered] = [record for record in there.sink.records if record.name == "keys.delivered"]
        assert delivered.fields == {"master": "vpn-north", "slaves": "vpn-dc", "keys": 1, "size": 256}
        assert mine.hex() not in logged
        assert repr(mine)[2:20] not in logged


@pytest.mark.parametrize("told_to", [False, True])
async def test_reproducible_keys_are_delivered_by_a_kme_that_is_told_to_only(
    told_to: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def serve_nobody(*args: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(port=0)

    monkeypatch.setattr(kme_http, "serve_kme", serve_nobody)
    files = (Path("authority"), Path("certificate"), Path("key"))
    kme = KmeConfig("lab", "north", SAES, *files, deliver_reproducible=told_to)
    async with row(seed=1, kme=kme) as there:
        there.share("north", "dc", 10, reproducible=True)
        north = there.services["north"].manager
        assert north.status("vpn-north", "vpn-dc").reproducible_key_count == 10
        if told_to:
            [key] = await north.get_key("vpn-north", ["vpn-dc"], 1)
            assert key.reproducible
        else:
            with pytest.raises(Reproducible, match="without a seed"):
                await north.get_key("vpn-north", ["vpn-dc"], 1)
            assert there.stores["north"].level("dc").units == 10


POOLS = {"relayed": (("north", "exchange"), ("exchange", "dc")), "shared": (("north", "dc"),)}


@pytest.mark.parametrize("pools", POOLS)
@pytest.mark.parametrize("alone", ["north", "dc"])
async def test_after_a_partition_keys_are_delivered_again_and_none_twice(
    monkeypatch: pytest.MonkeyPatch, pools: str, alone: str
) -> None:
    monkeypatch.setattr(key_plane, "_PATIENCE", 0.01)
    async with row() as there:
        for near, far in POOLS[pools]:
            there.share(near, far, 40)
        keys = [await there.deliver() for _ in range(3)]
        there.part(alone)
        for _ in range(2):
            with pytest.raises(KeysUnavailable):
                await there.deliver()
        there.part()
        with suppress(KeysExhausted, RelayFailed):  # when nothing is left
            for _ in range(40):
                keys.append(await there.deliver())
        assert all(mine == his for mine, his in keys)
        assert len({mine for mine, _ in keys}) == len(keys) > 10
        for near, far in POOLS[pools]:
            there.share(near, far, 4)
        keys.append(await there.deliver())
        assert keys[-1] not in keys[:-1]


async def test_who_asks_more_across_a_partition_than_can_wait_is_told_that_nobody_answers_and_loses_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition, "MOST_KEPT", 10)
    async with row() as there:
        there.share("north", "dc", 4)
        there.part("north")
        with pytest.raises(PeerUnreachable):
            await there.deliver()
        assert there.stores["north"].level("dc").units == 4
        there.part()
        mine, his = await there.deliver()
        assert mine == his
