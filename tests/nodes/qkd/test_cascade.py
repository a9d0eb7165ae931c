"""Cascade corrects every error and leaks what Martinez-Mateo et al. 2015, table 3, say it does."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer
from nodes.qkd import cascade
from nodes.qkd.bits import packed
from nodes.qkd.cascade import Parities, Questions, Shuffle, answer, correct, leakage
from nodes.qkd.cascade_passes import block_sizes, orders, shuffled_parities
from nodes.qkd.cascade_search import Search
from nodes.qkd.entropy import binary_entropy

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]


def noisy(size: int, qber: float, seed: int) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, size, dtype=np.uint8)
    return alice, alice ^ (rng.random(size) < qber).astype(np.uint8)


def corrected(alice: Bits, bob: Bits, qber: float, seed: bytes = b"seed") -> tuple[Bits, int, int]:
    """Run the search against an oracle of parities; return Bob's key, the parities asked and the rounds."""
    shuffles = orders(seed, alice.size)
    oracle = shuffled_parities(alice, shuffles)
    search = Search(bob, qber, shuffles)
    leaked = rounds = 0
    while asked := search.questions():
        answers = [oracle[number][start] ^ oracle[number][end] for number, start, end in asked]
        search.learn(np.array(answers, dtype=np.uint8))
        leaked, rounds = leaked + len(asked), rounds + 1
    return search.key, leaked, rounds


@pytest.mark.parametrize(
    ("qber", "published"),
    [(0.01, 1.0422), (0.02, 1.0401), (0.03, 1.0390), (0.05, 1.0431), (0.08, 1.0547)],
)
def test_the_leakage_is_that_of_martinez_mateo_2015(qber: float, published: float) -> None:
    """Mean of 4 keys of 40,000 bits, whose spread is 0.006; 4.9 sigma (false alarm 1e-6) are 0.015."""
    efficiencies = []
    for seed in range(4):
        alice, bob = noisy(40_000, qber, seed)
        key, leaked, _ = corrected(alice, bob, qber)
        assert np.array_equal(key, alice)
        efficiencies.append(leaked / (alice.size * binary_entropy(float(np.mean(alice != bob)))))
    assert np.mean(efficiencies) < published + 0.02
    assert np.mean(efficiencies) > 1.0


@settings(deadline=None, max_examples=60)
@given(st.integers(20, 700), st.floats(0.0, 0.11), st.integers(0, 2**32 - 1))
def test_short_keys_are_corrected(size: int, qber: float, seed: int) -> None:
    alice, bob = noisy(size, qber, seed)
    key, leaked, rounds = corrected(alice, bob, qber)
    # what stays wrong has even parity in every block of every pass: rare, and left to verification
    shuffles = orders(b"seed", size)
    for order, block in zip(shuffles, block_sizes(size, qber), strict=True):
        differ = (key != alice)[order]
        assert all(differ[start : start + block].sum() % 2 == 0 for start in range(0, size, block))
    assert leaked > 0
    assert rounds > 0


def test_equal_keys_cost_few_parities() -> None:
    alice, _ = noisy(40_000, 0.0, 1)
    key, leaked, rounds = corrected(alice, alice, 0.0)
    assert np.array_equal(key, alice)
    assert leaked < 50
    assert rounds <= 4


def test_an_estimate_that_is_far_off_costs_parities_but_no_errors() -> None:
    alice, bob = noisy(20_000, 0.05, 2)
    for estimate in (0.0, 0.005, 0.2, 0.5):
        key, _, _ = corrected(alice, bob, estimate)
        assert np.array_equal(key, alice)


def test_round_trips_are_few() -> None:
    """Asked one by one, the 4,100 or so parities of this key would be as many round trips."""
    alice, bob = noisy(20_000, 0.03, 3)
    _, leaked, rounds = corrected(alice, bob, 0.03)
    assert rounds < leaked / 8


@pytest.mark.parametrize(
    ("qber", "first", "second"), [(0.005, 256, 1024), (0.02, 64, 512), (0.03, 32, 512), (0.05, 16, 256)]
)
def test_block_sizes_are_those_of_the_paper(qber: float, first: int, second: int) -> None:
    assert block_sizes(2**14, qber) == [first, second, 4096] + [2**13] * 11


async def test_both_ends_charge_the_parities_that_were_heard(
    connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    asked: list[int] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        if isinstance(message, Questions):
            asked.append(len(message.starts) // 4)
        return [message]

    alice_key, bob_key = noisy(10_000, 0.04, 5)
    bob, alice = connect(listen)
    mine, his = await both(answer(alice_key, bob), correct(bob_key, 0.04, alice, make_coin(1)))
    assert np.array_equal(mine.key, alice_key)
    assert np.array_equal(his.key, alice_key)
    assert mine.parities == his.parities == sum(asked)
    assert asked[-1] == 0


async def test_many_questions_go_in_portions_and_cost_nothing_more(
    connect: Connect, both: Both, make_coin: MakeCoin, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogue: list[tuple[str, int]] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        dialogue.append((sender, len(message.starts) // 4 if isinstance(message, Questions) else 0))
        return [message]

    alice_key, bob_key = noisy(10_000, 0.04, 5)
    told = []
    for most in (10_000, 50):
        monkeypatch.setattr(cascade, "MOST_RANGES", most)
        dialogue.clear()
        bob, alice = connect(listen)
        mine, his = await both(answer(alice_key, bob), correct(bob_key, 0.04, alice, make_coin(1)))
        assert np.array_equal(his.key, alice_key)
        assert mine.parities == his.parities == sum(asked for _, asked in dialogue)
        assert max(asked for _, asked in dialogue) <= most
        told.append(mine.parities)
    assert told[0] == told[1]
    # the shuffle, the 313 blocks of the first pass in seven portions, and only then the first answer
    assert [sender for sender, _ in dialogue[:9]] == ["bob"] * 8 + ["alice"]


def test_the_number_of_parities_is_charged_as_one_of_all_that_it_can_be() -> None:
    assert leakage(100, 1023) == 110
    assert leakage(100, 1024) == 111


async def test_a_corrected_key_is_not_shown(connect: Connect, both: Both, make_coin: MakeCoin) -> None:
    key, _ = noisy(200, 0.0, 6)
    bob, alice = connect()
    for reconciled in await both(answer(key, bob), correct(key, 0.0, alice, make_coin(1))):
        assert re.fullmatch(r"<200 bits, equal to the peer's after \d+ parities>", repr(reconciled))


@pytest.mark.parametrize(
    ("number", "start", "end"), [(14, 0, 10), (0, 10, 10), (0, 11, 10), (0, 0, 1001), (2**31, 0, 1)]
)
async def test_alice_answers_no_question_about_bits_that_are_not_there(
    connect: Connect, number: int, start: int, end: int
) -> None:
    bob, alice = connect()
    await alice.send(Shuffle(b"seed"))
    columns = [np.array([value], dtype="<u4").tobytes() for value in (number, start, end)]
    await alice.send(Questions(*columns))
    with pytest.raises(ProtocolViolation, match="a range"):
        await answer(np.zeros(1000, dtype=np.uint8), bob)


@pytest.mark.parametrize("columns", [(b"123", b"", b""), (b"\0\0\0\0", b"", b"")])
async def test_alice_answers_no_malformed_question(
    connect: Connect, columns: tuple[bytes, bytes, bytes]
) -> None:
    bob, alice = connect()
    await alice.send(Shuffle(b"seed"))
    await alice.send(Questions(*columns))
    with pytest.raises(ProtocolViolation):
        await answer(np.zeros(1000, dtype=np.uint8), bob)


async def test_bob_refuses_parities_that_do_not_fit_his_questions(
    connect: Connect, make_coin: MakeCoin
) -> None:
    bob, alice = connect()
    await bob.send(Parities(packed(np.zeros(999, dtype=np.uint8))))
    with pytest.raises(ProtocolViolation, match="were due"):
        await correct(np.zeros(1000, dtype=np.uint8), 0.03, alice, make_coin(1))
