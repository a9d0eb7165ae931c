"""The program ``keys``: both ends store the same keys, block after block, and none that is not secret and certain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from broker.envelope import Envelope
from broker.faulty import Delayed, FaultyBus
from broker.telemetry import ListSink
from nodes.apps import key_link
from nodes.errors import RunFailed
from nodes.qkd.reserve import AuthenticationReserve
from nodes.runtime.conductor import Conductor
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.orders import ChangeChannels
from nodes.runtime.partition import Partition
from tests.nodes.runtime.key_labs import EVE, FOR_EVER, LINK, Ends, agreed, blocks, world

SIZES = {"bb84": 1, "bbm92": 20_000, "e91": 100_000, "decoy-bb84": 150_000}
SLOW = pytest.mark.thorough


async def made(
    protocol: str, count: int, ends: Ends, reconciliation: str = "ldpc", size: int = 0, **of_world: Any
) -> list[Any]:
    """Make so many blocks; return both ends' reports of each."""
    terms = agreed(protocol, reconciliation, size or SIZES[protocol])
    async with in_memory_lab(world(protocol, **of_world), agreements=terms, stores=ends.stores) as lab:
        result = await lab.run(blocks(count))
    return result.returned


@pytest.mark.parametrize(
    ("protocol", "reconciliation"),
    [
        ("bb84", "ldpc"),
        ("bbm92", "cascade"),
        pytest.param("decoy-bb84", "ldpc", marks=SLOW),
        pytest.param("bb84", "cascade", marks=SLOW),
        pytest.param("bbm92", "ldpc", marks=SLOW),
        pytest.param("decoy-bb84", "cascade", marks=SLOW),
        pytest.param("e91", "ldpc", marks=SLOW),
        pytest.param("e91", "cascade", marks=SLOW),
    ],
)
async def test_both_ends_report_and_store_the_same_keys(protocol: str, reconciliation: str) -> None:
    ends = Ends()
    returned = await made(protocol, 2, ends, reconciliation)
    for block in returned:
        mine, his = ({**block[role], "duration_s": 0.0} for role in ("alice", "bob"))
        assert mine == his
        assert not mine["aborted"], mine["reason"]
        assert (mine["protocol"], mine["reconciliation"]) == (protocol, reconciliation)
    assert ends.units()[0] == ends.units()[1] == sum(block["bob"]["secret_bits"] // 256 for block in returned)
    keys = ends.take_all()
    assert len(set(keys)) == len(keys) > 0, "no unit comes twice"


async def test_a_seed_repeats_the_keys_and_without_one_they_come_from_the_operating_system() -> None:
    runs = [Ends() for _ in range(4)]
    for ends, seed in zip(runs, (3, 3, None, None), strict=True):
        await made("bbm92", 1, ends, seed=seed)
        told = ends.stores["alice"].level("bob")
        assert told.reproducible == (told.units if seed is not None else 0)
    first, again, unseeded, other = (ends.take_all() for ends in runs)
    assert first == again
    assert len({*first, *unseeded, *other}) == len(first) + len(unseeded) + len(other)


async def test_no_bit_of_a_key_authenticates_messages_and_is_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_back: list[bytes] = []
    refill = AuthenticationReserve.refill

    def noting(reserve: AuthenticationReserve, key: bytes, lanes: Sequence[int]) -> None:
        put_back.append(key)
        refill(reserve, key, lanes)

    monkeypatch.setattr(AuthenticationReserve, "refill", noting)
    ends = Ends()
    await made("bbm92", 3, ends)
    released = b"".join(ends.take_all())
    words = [key[start : start + 8] for key in put_back for start in range(0, len(key), 8)]
    assert len(words) > 2 * 3 * 4, "every block pays, at both ends"
    assert not [word for word in words if word in released]  # by chance with probability 2^-46


@pytest.mark.thorough
async def test_short_blocks_pay_for_their_authentication_many_times_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forty blocks take five times the pads that there are in the beginning."""
    monkeypatch.setattr(key_link, "PADS", 32)
    ends = Ends()
    returned = await made("bbm92", 40, ends, size=8000)
    assert sum(block["bob"]["aborted"] for block in returned) == 0
    assert sum(block["bob"]["secret_bits"] > 0 for block in returned) > 20
    keys = ends.take_all()
    assert len(set(keys)) == len(keys)


async def test_blocks_without_a_key_use_the_pads_up_and_end_the_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_link, "PADS", 20)
    ends = Ends()
    with pytest.raises(RunFailed) as failure:
        await made("bbm92", 100, ends, size=4000, tap={"enabled": True})
    assert failure.value.cause in ("ReserveExhausted", "PeerWithdrew")
    assert ends.units() == (0, 0)
    assert await made("bbm92", 1, ends), "a new epoch has new pads"
    assert ends.units()[0] == ends.units()[1] > 0


class Standing:
    """A link in real time that makes keys until the block is left, and the reports that it has made."""

    def __init__(self, lab: Conductor) -> None:
        self.lab = lab
        self.reports: list[dict[str, Any]] = []
        self._changed = asyncio.Event()

    def hear(self, role: str, told: Any) -> None:
        """Take the report of a block."""
        if role == "bob":
            self.reports.append(told)
            self._changed.set()

    async def until(self, holds: Callable[[dict[str, Any]], bool], count: int = 1) -> list[dict[str, Any]]:
        """Return the next blocks of which something holds."""
        start, found = len(self.reports), list[dict[str, Any]]()
        async with asyncio.timeout(20):
            while len(found) < count:
                self._changed.clear()
                found = [report for report in self.reports[start:] if holds(report)]
                if len(found) < count:
                    await self._changed.wait()
        return found


@asynccontextmanager
async def standing(lab: Conductor, deadline: float = FOR_EVER.deadline) -> AsyncIterator[Standing]:
    link = Standing(lab)
    task = asyncio.create_task(lab.stand(replace(FOR_EVER, deadline=deadline), link.hear))
    try:
        yield link
        assert not task.done(), "it goes on until it is called off"
    finally:
        task.cancel()
        await asyncio.wait([task])


def refused(report: dict[str, Any]) -> bool:
    return bool(report["aborted"])


def gave_a_key(report: dict[str, Any]) -> bool:
    return not report["aborted"] and report["secret_bits"] > 0


@pytest.mark.thorough
async def test_when_eve_has_gone_the_same_epoch_gives_keys_again() -> None:
    ends, terms = Ends(), agreed("bbm92", block=75_000)
    there = world("bbm92", "real-time", None)
    async with in_memory_lab(there, agreements=terms, stores=ends.stores) as lab, standing(lab) as link:
        await link.until(gave_a_key)
        await lab.oracle.set_tap(EVE, True)
        alarms = await link.until(refused, 2)
        await lab.oracle.set_tap(EVE, False)
        await link.until(refused, 0)
        assert all(report["alarm"] for report in alarms[1:])
        assert alarms[1]["qber"] > 0.2
        assert alarms[1]["secret_bits"] == 0
        before = ends.units()
        await link.until(gave_a_key, 2)
    assert ends.units() > before
    keys = ends.take_all()
    assert len(set(keys)) == len(keys)


@pytest.mark.thorough
async def test_when_the_link_is_cut_the_epoch_ends_and_another_can_begin_when_it_is_mended() -> None:
    ends, terms = Ends(), agreed("bbm92")
    there = world("bbm92", "real-time", None)
    async with in_memory_lab(there, agreements=terms, stores=ends.stores) as lab:
        link = Standing(lab)
        made = asyncio.create_task(lab.stand(FOR_EVER, link.hear))
        await link.until(gave_a_key)
        await lab.oracle.set_link(LINK, False)
        with pytest.raises(RunFailed, match=f"link '{LINK}' is down"):
            async with asyncio.timeout(20):
                await made
        census = await lab.census()
        assert (census.qubits, census.in_flight, census.waiting) == (0, 0, 0)
        await lab.oracle.set_link(LINK, True)
        async with standing(lab) as link:
            await link.until(gave_a_key)
    assert ends.units()[0] == ends.units()[1]


PARTED = {name: ChangeChannels((), (other,)) for name, other in (("alice", "bob"), ("bob", "alice"))}
WHOLE = {name: ChangeChannels((), ()) for name in ("alice", "bob")}


@pytest.mark.thorough
async def test_after_a_partition_keys_are_made_again_in_the_same_epoch_or_another_and_none_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits, keep = asyncio.Event(), Partition.keep

    def keeping(parted: Partition, envelope: Envelope, size: int) -> bool:
        if (kept := keep(parted, envelope, size)) and envelope.protocol == "keys":
            waits.set()
        return kept

    monkeypatch.setattr(Partition, "keep", keeping)
    ends, terms, log = Ends(), agreed("bbm92", block=12_000), ListSink()
    there = world("bbm92", "real-time", None)
    async with in_memory_lab(there, agreements=terms, stores=ends.stores, log=log) as lab:
        async with standing(lab, deadline=10.0) as link:
            await link.until(gave_a_key)
            assert await lab.reroute(PARTED) == set()
            await waits.wait()
            assert await lab.reroute(WHOLE) == set()
            await link.until(gave_a_key, 2)  # one that both ends had confirmed already may be told first
        assert "messages.lost" not in log.names()
        assert await lab.reroute(PARTED) == set()
        before = ends.units()
        with pytest.raises(RunFailed, match="a partition lies between the two"):
            await lab.stand(replace(FOR_EVER, deadline=0.3), lambda role, told: None)
        assert ends.units() == before, "no key was made by half"
        assert "messages.lost" in log.names()
        assert await lab.reroute(WHOLE) == set()
        async with standing(lab) as link:
            await link.until(gave_a_key)
        census = await lab.census()
        assert (census.qubits, census.in_flight, census.waiting) == (0, 0, 0)
    assert ends.units() > before
    keys = ends.take_all()
    assert len(set(keys)) == len(keys) > 0


def altering(number: int) -> Callable[[Envelope], Iterable[Envelope | Delayed]]:
    """Alter a bit of the ``number``-th message of the program, and of no other one."""
    seen = 0

    def fault(envelope: Envelope) -> Iterable[Envelope | Delayed]:
        nonlocal seen
        texts = [name for name, value in envelope.body.items() if isinstance(value, bytes) and value]
        if envelope.protocol != "keys" or not texts:
            return [envelope]
        seen += 1
        if seen != number:
            return [envelope]
        octets = envelope.body[texts[0]]
        altered = octets[:-1] + bytes([octets[-1] ^ 1])
        return [replace(envelope, body=envelope.body | {texts[0]: altered})]

    return fault


@pytest.mark.parametrize(
    "number", [2, 20, *(pytest.param(n, marks=SLOW) for n in (1, 3, 5, 7, 9, 12, 16, 25, 28, 30, 33, 40))]
)
async def test_a_message_that_is_altered_ends_the_epoch_and_no_key_is_used_that_only_one_end_has(
    number: int,
) -> None:
    ends, terms = Ends(), agreed("bbm92", block=12_000)
    there, fault = world("bbm92", "real-time", None), altering(number)
    async with in_memory_lab(
        there, lambda bus: FaultyBus(bus, fault), agreements=terms, stores=ends.stores
    ) as lab:
        with pytest.raises(RunFailed) as failure:
            async with asyncio.timeout(20):
                await lab.stand(FOR_EVER, lambda role, told: None)
        assert failure.value.cause in ("AuthenticationFailed", "PeerWithdrew", "IdentityRefused")
        for here, there_ in (("alice", "bob"), ("bob", "alice")):
            for taken in ends.stores[here].take(there_, 32, ends.stores[here].level(there_).units):
                redeemed = ends.stores[there_].redeem(here, taken.units, 32)
                assert redeemed.secret.reveal() == taken.secret.reveal()
        async with standing(lab) as link:
            await link.until(gave_a_key)
