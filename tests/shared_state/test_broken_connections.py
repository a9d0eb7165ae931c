"""A connection may break anywhere: nothing is lost, nothing is done twice, and a lease bounds the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Literal

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.dialling import LocalDialler, Wire
from shared_state.errors import PartnerLost, PeerDeparted, ServerLost, SharedStateError
from shared_state.line import Line
from shared_state.oracle import OracleClient
from shared_state.service import Service

LINK = "alice-charlie"
Damage = Literal["request lost", "request truncated", "answer lost"]


class FaultyDialler:
    """Reaches a service over connections that break: at a write, in one of three ways, or on ``cut``."""

    def __init__(self, service: Service, breaks: dict[int, Damage] | None = None) -> None:
        self._inner = LocalDialler(service)
        self._breaks = breaks or {}
        self.writes = 0
        self.dials = 0
        self.reachable = True
        self._current: _FaultyWire | None = None

    async def dial(self, protocol: asyncio.Protocol) -> Wire:
        if not self.reachable:
            raise ConnectionRefusedError("unplugged")
        self.dials += 1
        ears = _Ears(protocol)
        self._current = _FaultyWire(self, await self._inner.dial(ears), ears)
        return self._current

    def cut(self) -> None:
        """Break the connection that there is."""
        if self._current is not None:
            self._current.close()

    def damage(self) -> Damage | None:
        self.writes += 1
        return self._breaks.get(self.writes)

    def __str__(self) -> str:
        return "the faulty line"


class _Ears(asyncio.Protocol):
    """Hears until it is deafened."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self.deaf = False

    def data_received(self, data: bytes) -> None:
        if not self.deaf:
            self._protocol.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)


class _FaultyWire:
    def __init__(self, dialler: FaultyDialler, wire: Wire, ears: _Ears) -> None:
        self._dialler = dialler
        self._wire = wire
        self._ears = ears

    def write(self, data: bytes) -> None:
        damage = self._dialler.damage()
        if damage is None:
            self._wire.write(data)
            return
        if damage == "request truncated":
            self._wire.write(data[: len(data) // 2])
        elif damage == "answer lost":
            self._wire.write(data)
        self.close()

    def close(self) -> None:
        self._ears.deaf = True
        self._wire.close()


async def dial_as_alice(dialler: FaultyDialler, config: ServerConfig) -> NodeClient:
    line = Line(dialler, lab=config.lab, name="alice", token=config.credentials["alice"], role="node")
    await line.open()
    return NodeClient(line)


async def conversation(alice: NodeClient, charlie: NodeClient) -> list[object]:
    """Do something of everything, and report all that alice and charlie learn."""
    learned: list[object] = []
    for run in ("one", "two"):
        hers, his = await asyncio.gather(alice.pair(0.0, run, LINK), charlie.pair(0.0, run, LINK))
        psi = await alice.qubit(hers.time, run)
        for _ in range(3):
            alice.gate(hers.time, "ry", [psi], 0.3)
        alice.gate(hers.time, "cnot", [psi, hers.qubit])
        learned += [hers, his, await alice.measure(hers.time, psi, "X")]
        await alice.transmit(hers.time, run, LINK, hers.qubit)
        arrival, _ = await asyncio.gather(charlie.receive(hers.time, run, LINK), alice.sync())
        assert arrival.qubit is not None
        learned += [arrival, await charlie.bell_measure(his.time + 1, his.qubit, arrival.qubit)]
        bits = np.array([0, 1, 1, 0, 1], dtype=np.uint8)
        detection, _ = await asyncio.gather(
            alice.measure_pulses(2.0, run, LINK, bits), charlie.emit_pulses(2.0, run, LINK, bits, 1 - bits)
        )
        learned += [detection.bits.tolist(), await alice.close_run(run), await charlie.close_run(run)]
    return learned


async def outcomes(config: ServerConfig, breaks: dict[int, Damage]) -> tuple[list[object], int, int]:
    """Converse over a line that breaks; return what was learned, and the numbers of writes and dials."""
    service = Service(config, lambda: 0.0)
    dialler = FaultyDialler(service, breaks)
    async with await NodeClient.local(service, name="charlie") as charlie:
        async with await dial_as_alice(dialler, config) as alice:
            learned = await conversation(alice, charlie)
        async with await OracleClient.local(service) as oracle:
            assert (await oracle.census()).qubits == 0
    return learned, dialler.writes, dialler.dials


@pytest.mark.parametrize("damage", ["request lost", "request truncated", "answer lost"])
async def test_a_cut_at_any_request_changes_nothing(damage: Damage, config: ServerConfig) -> None:
    undisturbed, writes, _ = await outcomes(config, {})
    for at in range(3, writes):  # after the hello and its (empty) repetition, before the goodbye
        learned, _, dials = await outcomes(config, {at: damage})
        assert (learned, dials) == (undisturbed, 2), f"cut at write {at}"


async def test_cuts_again_and_again_change_nothing(config: ServerConfig) -> None:
    undisturbed, writes, _ = await outcomes(config, {})
    kinds: list[Damage] = ["request lost", "request truncated", "answer lost"]
    rng = np.random.default_rng(5)
    cuts = 0
    for _ in range(10):
        # a repetition takes two writes, so cuts at multiples of four leave room for progress
        breaks = {4 * at: kinds[int(rng.integers(3))] for at in range(1, writes) if rng.random() < 0.5}
        learned, _, dials = await outcomes(config, breaks)
        assert learned == undisturbed
        cuts += dials - 1
    assert cuts > 10


async def test_waiting_requests_and_qubits_survive_a_cut(
    service: Service, config: ServerConfig, wall: list[float], charlie: NodeClient
) -> None:
    dialler = FaultyDialler(service)
    async with await dial_as_alice(dialler, config) as alice, asyncio.TaskGroup() as tasks:
        qubit = await alice.qubit(0.0, "run")
        alice.gate(0.0, "x", [qubit])
        waiting = tasks.create_task(alice.pair(0.0, "run", LINK))
        await alice.sync()
        dialler.cut()
        wall[0] += config.lease / 2
        his = await charlie.pair(0.0, "run", LINK)
        assert (await waiting).pair == his.pair
        service.tick()
        assert await alice.measure(0.0, qubit, "Z") == 1
    assert dialler.dials == 2


async def test_a_lease_that_runs_out_traces_out_and_tells_the_partner(
    service: Service, config: ServerConfig, wall: list[float], charlie: NodeClient, oracle: OracleClient
) -> None:
    dialler = FaultyDialler(service)
    alice = await dial_as_alice(dialler, config)
    hers, his = await asyncio.gather(alice.pair(0.0, "run", LINK), charlie.pair(0.0, "run", LINK))
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_error_of(charlie.receive(0.0, "run", LINK)))
        await charlie.sync()
        dialler.cut()
        await charlie.sync()
        wall[0] += config.lease * 0.99
        service.tick()
        assert (await oracle.census()).held["alice"] == 1
        wall[0] += config.lease * 0.02
        service.tick()
        error = await waiting
    assert isinstance(error, PeerDeparted)
    assert error.node == "alice"
    assert (await oracle.census()).held["alice"] == 0
    charlie.gate(his.time, "x", [his.qubit])  # a posted operation learns nothing
    with pytest.raises(PartnerLost, match=f"alice has departed.*{hers.pair}") as lost:
        await charlie.measure(his.time, his.qubit, "Z")
    assert lost.value.node == "alice"
    assert (await oracle.census()).qubits == 0
    with pytest.raises(PeerDeparted):
        await charlie.pair(0.0, "run", LINK)


@pytest.mark.parametrize("leave", ["bye", "takeover"])
async def test_who_says_goodbye_or_starts_anew_in_its_lease_departs_at_once(
    leave: str, service: Service, config: ServerConfig, charlie: NodeClient, oracle: OracleClient
) -> None:
    dialler = FaultyDialler(service)
    alice = await dial_as_alice(dialler, config)
    _, his = await asyncio.gather(alice.pair(0.0, "run", LINK), charlie.pair(0.0, "run", LINK))
    if leave == "bye":
        await alice.close()
    else:
        dialler.cut()
        await charlie.sync()
    anew = await NodeClient.local(service, name="alice")
    with pytest.raises(PartnerLost):
        await charlie.measure(his.time, his.qubit, "Z")
    await asyncio.gather(anew.pair(1.0, "run", LINK), charlie.pair(1.0, "run", LINK))
    assert (await oracle.census()).held == {"alice": 1, "charlie": 1, "bob": 0}


async def test_a_swap_hands_the_partnership_on(
    alice: NodeClient, charlie: NodeClient, bob: NodeClient
) -> None:
    hers, left = await asyncio.gather(alice.pair(0.0, "run", LINK), charlie.pair(0.0, "run", LINK))
    right, his = await asyncio.gather(
        charlie.pair(0.0, "run", "charlie-bob"), bob.pair(0.0, "run", "charlie-bob")
    )
    await charlie.bell_measure(1.0, left.qubit, right.qubit)
    await charlie.close()
    await alice.sync()  # charlie's halves were measured, not lost: nobody mourns them
    await bob.close()
    with pytest.raises(PartnerLost, match=f"bob has departed.*{hers.pair}"):
        await alice.measure(1.0, hers.qubit, "Z")
    assert his.pair == "charlie-bob/1"


async def test_a_server_that_stays_away_is_lost_after_the_lease(config: ServerConfig) -> None:
    impatient = ServerConfig(config.lab, config.world, config.credentials, config.oracle_token, lease=0.1)
    service = Service(impatient, lambda: 0.0)
    dialler = FaultyDialler(service)
    async with await dial_as_alice(dialler, impatient) as alice, asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_error_of(alice.receive(0.0, "run", LINK)))
        await alice.sync()
        dialler.reachable = False
        dialler.cut()
        lost = await alice.lost
        assert "the faulty line" in str(lost)
        assert isinstance(await waiting, ServerLost)
        with pytest.raises(ServerLost):
            await alice.sync()


async def test_a_session_that_has_ended_cannot_be_resumed(
    service: Service, config: ServerConfig, wall: list[float]
) -> None:
    dialler = FaultyDialler(service)
    async with await dial_as_alice(dialler, config) as alice:
        dialler.reachable = False
        dialler.cut()
        for _ in range(5):
            await asyncio.sleep(0)
        wall[0] += config.lease + 0.1
        service.tick()
        dialler.reachable = True
        assert "traced out" in str(await alice.lost)


async def _error_of(request: Awaitable[object]) -> SharedStateError | None:
    try:
        await request
    except SharedStateError as error:
        return error
    return None
