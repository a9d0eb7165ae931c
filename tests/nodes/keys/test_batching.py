"""Calls that come together are served together, and each gets what it would have got alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.keys import batching
from nodes.keys.batching import BatchedKeys
from nodes.keys.errors import KeysExhausted, NotEntitled, PeerUnreachable, UnknownKeyIds
from nodes.keys.service import DeliveredKey, Limits
from tests.nodes.keys.drawn_keys import DrawnKeys

MASTER, SLAVE = "vpn-north", "vpn-dc"


class SlowKeys(DrawnKeys):
    """Drawn keys, each call for which takes some turns of the event loop; ``calls`` counts them."""

    calls = 0

    async def get_key(
        self, master_sae: str, slave_saes: Sequence[str], number: int, size: int
    ) -> list[DeliveredKey]:
        await self._linger()
        return await super().get_key(master_sae, slave_saes, number, size)

    async def get_key_with_ids(
        self, slave_sae: str, master_sae: str, key_ids: Sequence[str]
    ) -> list[DeliveredKey]:
        await self._linger()
        return await super().get_key_with_ids(slave_sae, master_sae, key_ids)

    async def _linger(self) -> None:
        self.calls += 1
        for _ in range(5):
            await asyncio.sleep(0)


async def test_calls_at_the_same_moment_are_one() -> None:
    keys = SlowKeys()
    batched = BatchedKeys(keys)
    made = await asyncio.gather(*(batched.get_key(MASTER, [SLAVE], number, 256) for number in (1, 5, 2)))
    assert [len(each) for each in made] == [1, 5, 2]
    assert len({key.key_id for each in made for key in each}) == 8
    assert keys.asked == [(8, 256)]
    wanted = [[key.key_id for key in each] for each in made]
    collected = await asyncio.gather(*(batched.get_key_with_ids(SLAVE, MASTER, ids) for ids in wanted))
    assert collected == list(made)
    assert keys.calls == 2


async def test_who_comes_while_others_are_served_is_served_with_all_that_have_come_since() -> None:
    keys = SlowKeys()
    batched = BatchedKeys(keys)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(batched.get_key(MASTER, [SLAVE], 1, 256))
        for _ in range(3):
            await asyncio.sleep(0)
        others = [group.create_task(batched.get_key(MASTER, [SLAVE], 2, 256)) for _ in range(4)]
    assert keys.asked == [(1, 256), (8, 256)]
    assert [len(call.result()) for call in [first, *others]] == [1, 2, 2, 2, 2]


async def test_what_is_not_alike_is_not_put_together() -> None:
    keys = SlowKeys()
    batched = BatchedKeys(keys)
    await asyncio.gather(
        batched.get_key(MASTER, [SLAVE], 1, 256),
        batched.get_key(MASTER, [SLAVE], 1, 512),
        batched.get_key(MASTER, ["vpn-campus"], 1, 256),
        batched.get_key(MASTER, [SLAVE, "vpn-campus"], 1, 256),
        batched.get_key("backup-north", [SLAVE], 1, 256),
    )
    assert sorted(keys.asked) == [(1, 256)] * 4 + [(1, 512)]


async def test_no_more_are_put_together_than_one_call_may_ask_for() -> None:
    keys = SlowKeys(limits=Limits(max_key_per_request=5))
    batched = BatchedKeys(keys)
    made = await asyncio.gather(*(batched.get_key(MASTER, [SLAVE], 2, 256) for _ in range(5)))
    assert [number for number, _ in keys.asked] == [4, 4, 2]
    ids = [[key.key_id for key in each] for each in made]
    keys.calls = 0
    await asyncio.gather(*(batched.get_key_with_ids(SLAVE, MASTER, each) for each in ids))
    assert keys.calls == 3


async def test_too_few_keys_for_all_are_enough_for_some() -> None:
    batched = BatchedKeys(SlowKeys(stored=4))
    told = await asyncio.gather(
        *(batched.get_key(MASTER, [SLAVE], number, 256) for number in (3, 2, 1)), return_exceptions=True
    )
    assert [len(each) if isinstance(each, list) else type(each) for each in told] == [3, KeysExhausted, 1]


async def test_an_unknown_id_spoils_only_the_call_that_names_it() -> None:
    batched = BatchedKeys(SlowKeys())
    made = await batched.get_key(MASTER, [SLAVE], 2, 256)
    foreign = await batched.get_key(MASTER, ["vpn-campus"], 1, 256)
    wanted = [[made[0].key_id], ["nothing"], [foreign[0].key_id], [made[1].key_id]]
    told = await asyncio.gather(
        *(batched.get_key_with_ids(SLAVE, MASTER, ids) for ids in wanted), return_exceptions=True
    )
    assert [told[0], told[3]] == [[made[0]], [made[1]]]
    assert isinstance(told[1], UnknownKeyIds)
    assert isinstance(told[2], NotEntitled)


async def test_a_key_that_two_calls_ask_for_goes_to_one() -> None:
    batched = BatchedKeys(SlowKeys())
    [made] = await batched.get_key(MASTER, [SLAVE], 1, 256)
    told = await asyncio.gather(
        *(batched.get_key_with_ids(SLAVE, MASTER, [made.key_id]) for _ in range(3)), return_exceptions=True
    )
    assert told[0] == [made]
    assert [type(each) for each in told[1:]] == [UnknownKeyIds, UnknownKeyIds]


async def test_an_error_that_all_would_meet_is_met_once() -> None:
    keys = SlowKeys()
    keys.error = PeerUnreachable("dc")
    batched = BatchedKeys(keys)
    told = await asyncio.gather(
        *(batched.get_key(MASTER, [SLAVE], 1, 256) for _ in range(4)), return_exceptions=True
    )
    assert [type(each) for each in told] == [PeerUnreachable] * 4
    assert keys.calls == 1
    keys.error = None
    assert len(await batched.get_key(MASTER, [SLAVE], 1, 256)) == 1


@pytest.mark.parametrize("turns", range(12))
async def test_who_gives_up_takes_nobody_along(turns: int) -> None:
    batched = BatchedKeys(SlowKeys())
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(batched.get_key(MASTER, [SLAVE], 1, 256)) for _ in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0)
        calls[0].cancel()
        calls[2].cancel()
    assert [len(calls[at].result()) for at in (1, 3)] == [1, 1]
    assert len(await batched.get_key(MASTER, [SLAVE], 1, 256)) == 1


@settings(max_examples=30)
@given(numbers=st.lists(st.integers(1, 8), max_size=12), stored=st.integers(0, 40), pauses=st.integers(0, 3))
async def test_keys_are_neither_lost_nor_delivered_twice(
    numbers: list[int], stored: int, pauses: int
) -> None:
    keys = SlowKeys(stored=stored, limits=Limits(max_key_per_request=16))
    batched = BatchedKeys(keys)

    async def call(place: int, number: int) -> list[DeliveredKey]:
        for _ in range(place * pauses):
            await asyncio.sleep(0)
        return await batched.get_key(MASTER, [SLAVE], number, 64)

    told = await asyncio.gather(*(call(*each) for each in enumerate(numbers)), return_exceptions=True)
    delivered = [key for each in told if isinstance(each, list) for key in each]
    assert all(isinstance(each, list | KeysExhausted) for each in told)
    assert all(
        len(each) == number for each, number in zip(told, numbers, strict=True) if isinstance(each, list)
    )
    assert len({key.key_id for key in delivered}) == len(delivered) == stored - keys.stored


class LongKeys(SlowKeys):
    """Keys that take a hundred seconds, of a clock that jumps."""

    jumps = 0

    async def _linger(self) -> None:
        self.jumps += 1
        await super()._linger()

    def jumping(self, time: Callable[[], float]) -> Callable[[], float]:
        return lambda: time() + 100.0 * self.jumps


async def test_who_has_been_answered_and_asks_again_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, loop = LongKeys(), asyncio.get_running_loop()
    batched = BatchedKeys(keys)
    monkeypatch.setattr(batching, "_LONGEST_PATIENCE", 50.0)
    monkeypatch.setattr(loop, "time", keys.jumping(loop.time))

    async def often(pause: int) -> None:
        for _ in range(3):
            await batched.get_key(MASTER, [SLAVE], 1, 256)
            for _ in range(pause):
                await asyncio.sleep(0)

    await asyncio.gather(*(often(pause) for pause in range(8)))
    assert [number for number, _ in keys.asked] == [8, 8, 8]


async def test_a_lonely_caller_waits_for_nobody_who_has_left() -> None:
    keys = SlowKeys()
    batched = BatchedKeys(keys)
    await asyncio.gather(*(batched.get_key(MASTER, [SLAVE], 1, 256) for _ in range(8)))
    async with asyncio.timeout(1):
        for _ in range(20):
            await batched.get_key(MASTER, [SLAVE], 1, 256)
    assert [number for number, _ in keys.asked] == [8] + [1] * 20
