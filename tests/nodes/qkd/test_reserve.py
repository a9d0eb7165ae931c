"""What a link keeps back to authenticate itself comes once, in step at both ends, and goes to nobody else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from hypothesis import given
from hypothesis import strategies as st

from nodes.errors import ProgramInvalid, ProtocolViolation
from nodes.ports import Bits, Peer
from nodes.qkd.bits import packed
from nodes.qkd.key import Key
from nodes.qkd.pads import PAD_BYTES, OneTimeKey
from nodes.qkd.refill import Refill, refill_as_alice, refill_as_bob
from nodes.qkd.reserve import AuthenticationReserve, ReserveExhausted, split_for_reserve

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]

ROLES = ("alice", "bob")
MASK = b"m" * 32


def counting(first: int, words: int) -> bytes:
    """Return words that are all different."""
    return b"".join(number.to_bytes(PAD_BYTES, "big") for number in range(first, first + words))


def reserve(pads: int) -> AuthenticationReserve:
    lanes = (counting(1_000_000, pads + 1), counting(2_000_000, pads + 1))
    return AuthenticationReserve("epoch 1", ROLES, lanes, MASK)


class Stream:
    """The words that ``reserve`` makes of what is put back."""

    def __init__(self) -> None:
        self._masked = Cipher(ChaCha20(MASK, bytes(16)), mode=None).encryptor()

    def words(self, put_back: bytes) -> list[int]:
        masked = self._masked.update(put_back)
        return [int.from_bytes(masked[at : at + PAD_BYTES], "big") for at in range(0, len(masked), PAD_BYTES)]


def shown(key: OneTimeKey) -> tuple[int, int]:
    return int.from_bytes(key.point, "big"), int.from_bytes(key.pad, "big")


def bits_of(count: int, seed: int = 1) -> Bits:
    return np.random.default_rng(seed).integers(0, 2, count, dtype=np.uint8)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(ROLES)),
        st.tuples(st.just("arrive"), st.sampled_from(ROLES)),
        st.tuples(st.just("refill"), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    ),
    max_size=60,
)


@given(pads=st.integers(1, 6), steps=STEPS)
def test_both_ends_stay_in_step_whatever_is_under_way(pads: int, steps: list[tuple[str, Any]]) -> None:
    """Tags arrive later than they were made, refills lie between: every tag finds its key, and no pad comes twice."""
    ends = {role: reserve(pads) for role in ROLES}
    under_way: dict[str, deque[OneTimeKey]] = {role: deque() for role in ROLES}
    used: list[tuple[str, int]] = []
    refills = 0
    for step, what in steps:
        if step == "send":
            try:
                key = ends[what].take(what)
            except ReserveExhausted:
                continue
            used.append((what, shown(key)[1]))
            under_way[what].append(key)
        elif step == "arrive" and under_way[what]:
            recipient = ROLES[1 - ROLES.index(what)]
            expected = under_way[what].popleft()
            assert shown(ends[recipient].take(what)) == shown(expected)
        elif step == "refill":
            put_back = counting(10_000 * refills, sum(what))
            refills += 1
            for end in ends.values():
                end.refill(put_back, what)
    assert len(set(used)) == len(used)


@given(pads=st.integers(1, 8), taken=st.tuples(st.integers(0, 8), st.integers(0, 8)))
def test_what_is_needed_makes_each_lane_full_again_and_no_fuller(pads: int, taken: tuple[int, int]) -> None:
    kept = reserve(pads)
    assert kept.needed() == (0, 0)
    for role, count in zip(ROLES, taken, strict=True):
        for _ in range(min(count, pads)):
            kept.take(role)
    missing = [min(count, pads) for count in taken]
    assert kept.needed() == tuple(count + (count > 0) for count in missing)  # and the next point
    kept.refill(bytes(PAD_BYTES * sum(kept.needed())), kept.needed())
    assert kept.needed() == (0, 0)
    assert kept.remaining() == pads


TAGS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)


@given(pads=st.integers(2, 6), blocks=TAGS)
def test_a_link_that_puts_back_what_it_needs_goes_on_for_ever_and_hoards_nothing(
    pads: int, blocks: list[tuple[int, int]]
) -> None:
    """Though one end makes more tags than the other, as Bob does while photons are sifted."""
    kept = reserve(pads)
    for block, tags in enumerate(blocks):
        kept.require(2)
        for role, count in zip(ROLES, tags, strict=True):
            for _ in range(count):
                kept.take(role)
        kept.refill(counting(1000 * block, sum(kept.needed())), kept.needed())
        assert kept.remaining() == pads
        for role in ROLES:
            assert kept._lanes[role].remaining() == pads


def test_after_the_derived_pads_point_and_pads_are_those_of_the_masked_key() -> None:
    kept, stream = reserve(2), Stream()
    kept.refill(counting(0, 8), (4, 4))
    words = stream.words(counting(0, 8))
    assert [shown(kept.take("alice")) for _ in range(2)] == [(1_000_000, 1_000_001), (1_000_000, 1_000_002)]
    quantum = [kept.quantum]
    assert [shown(kept.take("alice")) for _ in range(3)] == [(words[0], pad) for pad in words[1:4]]
    quantum.append(kept.quantum)  # Bob's lane still has its derived pads
    assert [shown(kept.take("bob")) for _ in range(3)][-1] == (words[4], words[5])
    assert [*quantum, kept.quantum] == [False, False, True]
    kept.refill(counting(100, 2), (1, 1))
    assert shown(kept.take("alice")) == (words[0], stream.words(counting(100, 2))[0])


def test_the_same_key_makes_other_pads_in_another_epoch() -> None:
    """As in the next run of a lab with the same seed."""
    pads = set()
    for epoch in range(2):
        kept = AuthenticationReserve("epoch", ROLES, (bytes(32), bytes(32)), bytes([epoch]) * 32)
        kept.refill(counting(0, 8), (4, 4))
        pads |= {shown(kept.take("bob")) for _ in range(4)}
    assert len(pads) == 1 + 2 * 3  # both had the same derived pad


def test_an_empty_lane_stops_the_link() -> None:
    kept = reserve(3)
    for _ in range(3):
        kept.take("bob")
    with pytest.raises(ReserveExhausted, match="no pad of 'bob' is left in epoch 1; begin a new epoch"):
        kept.take("bob")
    kept.take("alice")
    assert kept.remaining() == 0
    kept.refill(counting(0, 2), (1, 1))  # a point without a pad is not enough
    with pytest.raises(ReserveExhausted):
        kept.take("bob")
    kept.refill(counting(10, 2), (1, 1))
    stream = Stream()
    point, pad = stream.words(counting(0, 2))[1], stream.words(counting(10, 2))[1]
    assert shown(kept.take("bob")) == (point, pad)


def test_a_block_that_could_run_dry_does_not_begin() -> None:
    kept = reserve(5)
    kept.require(5)
    kept.take("alice")
    with pytest.raises(ReserveExhausted, match="4 pads are left in epoch 1 and 5 may be needed"):
        kept.require(5)


def test_what_is_no_whole_number_of_pads_or_of_no_role_is_refused() -> None:
    for length, words in (
        (1, (0, 0)),
        (15, (1, 0)),
        (32, (1, 0)),
        (16, (2, -1)),
        (16, (1,)),
        (16, (0, 0, 1)),
    ):
        with pytest.raises(ProgramInvalid, match=f"{length} bytes"):
            reserve(2).refill(bytes(length), words)
    with pytest.raises(ProgramInvalid, match="between alice and bob; 'eve' is neither"):
        reserve(2).take("eve")


def test_neither_a_reserve_nor_a_one_time_key_shows_key() -> None:
    kept = AuthenticationReserve("epoch 1", ROLES, (b"hush" * 12, b"hush" * 12), b"hush" * 8)
    taken = kept.take("alice")
    assert repr(kept) == "<AuthenticationReserve of epoch 1: 1 of 2 pads>"
    assert not any("hush" in str(thing) for thing in (kept, taken))


@given(size=st.integers(0, 2000), words=st.integers(0, 16))
def test_no_bit_is_both_put_back_and_released(size: int, words: int) -> None:
    bits = bits_of(size)
    needed = words * PAD_BYTES
    split = split_for_reserve(Key(bits), words)
    assert len(split.reserved) % PAD_BYTES == 0
    put_back = np.unpackbits(np.frombuffer(split.reserved, dtype=np.uint8))
    together = np.concatenate([put_back, split.released.bits()])
    if size >= 8 * needed:
        assert len(split.reserved) == needed
        assert np.array_equal(together, bits)
    else:
        assert len(split.released) == 0
        assert np.array_equal(together, bits[: together.size])
        assert size - together.size < 8 * PAD_BYTES
    assert "bits put back" in repr(split)


def exchange(
    connect: Connect,
    both: Both,
    key: Bits,
    mine: list[AuthenticationReserve],
    his: list[AuthenticationReserve],
) -> Awaitable[tuple[Any, Any]]:
    bob, alice = connect()
    return both(refill_as_alice(Key(key), mine, bob), refill_as_bob(Key(key), his, alice))


async def test_both_ends_put_the_same_bits_back_and_release_the_same_ones(
    connect: Connect, both: Both
) -> None:
    mine, his = ([reserve(4), reserve(6)] for _ in ROLES)
    for end in (mine, his):
        for role, count in zip(ROLES, (3, 4), strict=True):
            for _ in range(count):
                end[0].take(role)
        end[1].take("alice")
    words = 4 + 5 + 2  # 3 pads and a point, 4 pads and a point; a pad and a point
    key = bits_of(8 * PAD_BYTES * words + 300)
    released, the_same = await exchange(connect, both, key, mine, his)
    assert released == the_same == Key(key[8 * PAD_BYTES * words :])
    for index in range(2):
        for role in ROLES:
            for _ in range(3):
                try:
                    taken = shown(mine[index].take(role))
                except ReserveExhausted:
                    with pytest.raises(ReserveExhausted):
                        his[index].take(role)
                else:
                    assert taken == shown(his[index].take(role))


async def test_a_tag_that_is_under_way_does_not_divide_the_key_differently(
    connect: Connect, both: Both
) -> None:
    mine, his = reserve(4), reserve(4)
    mine.take("alice")
    his.take("bob")
    his.take("bob")
    assert mine.needed() != his.needed()
    key = bits_of(2000)
    released, the_same = await exchange(connect, both, key, [mine], [his])
    assert released == the_same
    his.take("alice")
    assert shown(mine.take("alice")) == shown(his.take("alice"))


async def test_a_key_that_is_too_short_is_put_back_and_not_released(connect: Connect, both: Both) -> None:
    mine, his = reserve(4), reserve(4)
    for end in (mine, his):
        for _ in range(4):
            end.take("alice")
    released, the_same = await exchange(connect, both, bits_of(2 * 256 + 200), [mine], [his])
    assert len(released) == len(the_same) == 0
    assert shown(mine.take("alice")) == shown(his.take("alice"))


@pytest.mark.parametrize("words", [(), ((1, 1), (1, 1)), ((-1, 1),), ((1,),), ((1, 1, 1),), ((3, 2),)])
async def test_words_that_the_key_does_not_give_are_refused(
    connect: Connect, words: tuple[tuple[int, ...], ...]
) -> None:
    bob, alice = connect()
    await bob.send(Refill(words))
    with pytest.raises(ProtocolViolation, match="which a key of 512 bits does not give to 1 reserves"):
        await asyncio.wait_for(refill_as_bob(Key(bits_of(512)), [reserve(2)], alice), 5)


def test_what_is_put_back_is_the_first_bits_of_the_key() -> None:
    bits = bits_of(1000)
    assert split_for_reserve(Key(bits), 2).reserved == packed(bits[:256])
