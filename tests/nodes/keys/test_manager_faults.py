"""Two key managers on a faulty network, both of them masters at once: no unit serves twice."""

from __future__ import annotations

import asyncio

import pytest

from nodes.keys.errors import (
    KeysExhausted,
    KeysUnavailable,
)
from nodes.keys.plane import Faults
from nodes.keys.service import DeliveredKey
from tests.nodes.keys.key_lab import LINK_ENDS, KeyLab, MakeLab


async def walk(lab: KeyLab, master: str, slave: str, requests: int) -> list[tuple[str, bytes, bytes]]:
    """Ask again and again, on whatever network; return id, master's key and slave's key of what was delivered."""
    delivered = []
    for number in range(requests):
        try:
            keys = await lab.get(master, slave, number=1 + number % 3, size=256 * (1 + number % 2))
        except KeysUnavailable:
            continue
        collected = await lab.collect(slave, master, keys)
        delivered += [(k.key_id, k.secret.reveal(), c.reveal()) for k, c in zip(keys, collected, strict=True)]
    return delivered


FAULTY = Faults(lost=0.1, answer_lost=0.15, repeated=0.4, delay=6)


@pytest.mark.parametrize("seed", range(5))
async def test_no_unit_serves_twice_on_a_faulty_network_with_requests_both_ways(
    make_lab: MakeLab, seed: int
) -> None:
    lab = make_lab(faults=FAULTY, seed=seed)
    for number in range(8):
        lab.share("alice", "bob", 20, f"block-{number}")
    async with asyncio.TaskGroup() as walks:
        tasks = [walks.create_task(walk(lab, *ends, requests=30)) for ends in (*LINK_ENDS, *LINK_ENDS)]
    delivered = [key for task in tasks for key in task.result()]
    assert len(delivered) >= 60
    assert all(master == slave for _, master, slave in delivered)
    assert len({key_id for key_id, *_ in delivered}) == len(delivered)
    units = [key[start : start + 32] for _, key, _ in delivered for start in range(0, len(key), 32)]
    assert len(set(units)) == len(units)
    left = max(lab.levels("alice", "bob"))
    assert len(units) + left <= 160


async def test_both_ends_at_once_share_the_last_units_without_a_conflict_that_lasts(
    make_lab: MakeLab,
) -> None:
    """Both take all that is left at the same moment: each refuses the other's, and both ends are empty alike."""
    lab = make_lab()
    lab.share("alice", "bob", 1)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attempt(lab, *ends)) for ends in LINK_ENDS]
    results = [task.result() for task in tasks]
    assert lab.levels("alice", "bob") == (0, 0)
    assert sum(isinstance(result, list) for result in results) <= 1
    lab.share("alice", "bob", 2, "more")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attempt(lab, *ends)) for ends in LINK_ENDS]
    assert all(isinstance(task.result(), list) for task in tasks)


async def attempt(lab: KeyLab, master: str, slave: str) -> list[DeliveredKey] | KeysExhausted:
    try:
        return await lab.get(master, slave)
    except KeysExhausted as exhausted:
        return exhausted


async def test_no_event_and_no_error_holds_a_byte_of_key(make_lab: MakeLab) -> None:
    lab = make_lab(faults=FAULTY)
    lab.share("alice", "bob", 60)
    delivered = await walk(lab, "alice", "bob", 30)
    told = repr(lab.events).encode() + repr(delivered and lab.managers["alice"].levels()).encode()
    heard = b"".join(lab.network.overheard)
    for _, key, _ in delivered:
        assert key not in heard
        assert key.hex().encode() not in told
