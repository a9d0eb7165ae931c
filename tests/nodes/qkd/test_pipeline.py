"""From photons to a secret key, with noise, loss, Eve on the fibre and Eve on the classical channel."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, log2
from typing import Any

import numpy as np
import pytest

from nodes.agreement import LinkAgreement
from nodes.errors import NodeError, ProgramInvalid
from nodes.ports import Clock, Coin, Peer, QuantumLink, SharedSecret
from nodes.qkd import bits, cascade
from nodes.qkd.authentication import AuthenticatedPeer, Tagged
from nodes.qkd.cascade_search import Search
from nodes.qkd.distillation import Distilled
from nodes.qkd.pipeline import agreed, make_key_as_alice, make_key_as_bob
from nodes.qkd.report import QkdReport
from nodes.qkd.sifting import sifter_of_alice
from nodes.qkd.verification import tag_length

Connect = Callable[..., tuple[Peer, Peer]]
LayFibre = Callable[..., tuple[QuantumLink, QuantumLink]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]
Distil = Callable[..., Awaitable[tuple[Any, Any]]]


def fresh_secret() -> SharedSecret:
    """One party's secret for one run; the other party has one of its own."""
    return SharedSecret(b"s" * 32, "run-1")


def faithfully(sender: str, number: int, message: object) -> Sequence[object]:
    return [message]


@pytest.fixture
def distil(connect: Connect, lay_fibre: LayFibre, both: Both, make_coin: MakeCoin, clock: Clock) -> Distil:
    async def distilled(
        seed: int,
        pulses: int = 20_000,
        tamper: Callable[[str, int, object], Sequence[object]] = faithfully,
        seconds: float = 20.0,
        **imperfections: float,
    ) -> tuple[Any, Any]:
        bob, alice = connect(tamper)
        to_bob, to_alice = lay_fibre(seed, **imperfections)
        return await both(
            make_key_as_alice(
                AuthenticatedPeer(bob, fresh_secret(), "alice", "bob"),
                to_bob,
                make_coin(seed, 1),
                clock,
                to_bob.agreement,
                pulses,
            ),
            make_key_as_bob(
                AuthenticatedPeer(alice, fresh_secret(), "bob", "alice"),
                to_alice,
                make_coin(seed, 2),
                clock,
                to_alice.agreement,
                pulses,
            ),
            seconds,
        )

    return distilled


@pytest.mark.parametrize("misalignment", [0.0, 0.01, 0.03, 0.05, 0.08])
@pytest.mark.parametrize("transmission", [1.0, 0.4])
async def test_both_parties_get_the_same_key(
    distil: Distil, misalignment: float, transmission: float
) -> None:
    alice, bob = await distil(
        1, pulses=round(100_000 / transmission), misalignment=misalignment, transmission=transmission
    )
    assert not alice.report.aborted
    assert alice.key == bob.key
    assert alice.report == bob.report
    assert len(alice.key) == alice.report.secret_bits >= 256
    assert 0.45 < np.mean(alice.key.bits()) < 0.55


async def test_the_key_is_no_longer_than_what_is_left_of_the_sifted_bits(distil: Distil) -> None:
    alice, _ = await distil(2, misalignment=0.02)
    report: QkdReport = alice.report
    assert report.secret_bits < report.sifted_bits - report.sampled_bits - report.leaked_bits
    assert report.qber is not None
    assert report.qber_upper is not None
    assert 0.0 < report.qber < report.qber_upper < 0.11


async def test_what_leaked_is_the_parities_their_number_and_the_tag(
    distil: Distil, monkeypatch: pytest.MonkeyPatch
) -> None:
    parities = 0
    packed = bits.packed

    def count(parities_told: Any) -> bytes:
        nonlocal parities
        parities += parities_told.size
        return packed(parities_told)

    monkeypatch.setattr(cascade, "packed", count)
    alice, bob = await distil(2, misalignment=0.02)
    parities //= 2  # both ends tell as many
    report: QkdReport = alice.report
    corrected = report.sifted_bits - report.sampled_bits
    assert report.leaked_bits == parities + ceil(log2(corrected + 1)) + tag_length(
        LinkAgreement().correctness
    )
    assert report == bob.report
    assert report.efficiency is not None
    assert report.key_errors is not None
    assert 0.015 < report.key_errors / corrected < 0.025  # of 24,000 bits: 4.9 sigma of 2 % are 0.45 %
    assert 1.0 < report.efficiency < 1.15


async def test_without_noise_the_qber_is_exactly_zero(distil: Distil) -> None:
    alice, bob = await distil(3)
    assert alice.report.qber == 0.0
    assert alice.report.efficiency is None
    assert alice.key == bob.key


async def test_full_intercept_resend_is_refused_by_both(distil: Distil) -> None:
    alice, bob = await distil(4, eve=1.0)
    assert alice.key is None
    assert bob.key is None
    assert alice.report == bob.report
    assert alice.report.aborted
    assert re.search(r"2\d\.\d% of the sampled bits differ", alice.report.reason)
    assert alice.report.secret_bits == 0


@pytest.mark.parametrize(
    ("pulses", "imperfections", "reason"),
    [
        (100, {}, "sifted bits"),
        (20_000, {"transmission": 0.0}, "only 0 sifted bits"),
        (1_000, {}, "send more pulses"),
        (10_000, {"misalignment": 0.09}, "send more pulses"),
        (20_000, {"eve": 0.5}, "sampled bits differ"),
    ],
)
async def test_what_cannot_be_distilled_is_refused_by_both_for_the_same_reason(
    distil: Distil, pulses: int, imperfections: dict[str, float], reason: str
) -> None:
    alice, bob = await distil(5, pulses=pulses, **imperfections)
    assert alice == bob
    assert alice.key is None
    assert reason in alice.report.reason


async def test_keys_that_still_differ_are_refused_by_both(
    distil: Distil, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Search.errors

    def overlook_one(search: Search, size: int) -> Any:
        errors = found(search, size)
        errors[np.flatnonzero(errors)[:1]] = 0
        return errors

    monkeypatch.setattr(Search, "errors", overlook_one)
    alice, bob = await distil(6, misalignment=0.02)
    assert alice.key is bob.key is None
    assert alice.report == bob.report
    assert "differ after error correction" in alice.report.reason


@dataclass
class Eve:
    """Does something to the message with number ``target`` of the whole dialogue."""

    action: str
    target: int
    heard: list[object] = field(default_factory=list)
    held: list[object] = field(default_factory=list)

    def __call__(self, sender: str, number: int, message: object) -> Sequence[object]:
        assert isinstance(message, Tagged)
        index = len(self.heard)
        self.heard.append(message)
        if index != self.target:
            return [message]
        match self.action:
            case "alter":
                body = bytes([message.body[0] ^ 1]) + message.body[1:] if message.body else b"\0"
                return [replace(message, body=body)]
            case "retag":
                tag = message.tag or bytes(16)  # within a phase messages have none
                return [replace(message, tag=bytes([tag[0] ^ 1]) + tag[1:])]
            case "duplicate":
                return [message, message]
            case "replay":
                return [self.heard[0], message]
            case "rename":
                return [replace(message, kind="Withdrawal")]
            case _:
                return []


def count_messages(distil: Distil) -> Awaitable[int]:
    async def count() -> int:
        eve = Eve("none", -1)
        await distil(7, pulses=4000, tamper=eve)
        return len(eve.heard)

    return count()


@pytest.mark.parametrize("action", ["alter", "retag", "rename", "duplicate", "replay"])
async def test_no_forgery_of_any_message_leads_to_a_key_that_both_trust(distil: Distil, action: str) -> None:
    total = await count_messages(distil)
    assert total > 10
    for target in range(total):
        alice, bob = await distil(7, pulses=4000, tamper=Eve(action, target))
        assert isinstance(alice, Distilled)
        assert isinstance(bob, Distilled)
        if action == "duplicate" and target >= total - 2:
            continue  # the last message of either party: nobody listens for what follows it
        assert alice.key is None, (target, total)
        assert "authentic" in alice.report.reason
        if target < total - 3:  # from the verdict on, Bob may finish before Alice finds out
            assert bob.key is None, (target, total)
            assert "authentic" in bob.report.reason


async def test_a_dropped_message_yields_a_wait_or_is_found_by_the_next_one(distil: Distil) -> None:
    total = await count_messages(distil)
    stalls = 0
    for target in (0, 1, 2, 3, total // 2, total - 2):
        try:
            alice, bob = await distil(7, pulses=4000, tamper=Eve("drop", target), seconds=0.2)
        except TimeoutError:
            stalls += 1  # the runtime's peers have a deadline
        else:
            assert alice.key is None
            assert bob.key is None
    assert stalls > 0


async def test_who_fails_alone_tells_the_other(
    connect: Connect, lay_fibre: LayFibre, both: Both, make_coin: MakeCoin, clock: Clock
) -> None:
    """Bob's program expects another number of pulses: his violation reaches Alice as a reason."""
    bob, alice = connect()
    to_bob, to_alice = lay_fibre(8)
    mine, his = await both(
        make_key_as_alice(
            AuthenticatedPeer(bob, fresh_secret(), "alice", "bob"),
            to_bob,
            make_coin(1),
            clock,
            to_bob.agreement,
            1000,
        ),
        make_key_as_bob(
            AuthenticatedPeer(alice, fresh_secret(), "bob", "alice"),
            to_alice,
            make_coin(2),
            clock,
            to_alice.agreement,
            2000,
        ),
    )
    assert isinstance(his, NodeError)
    assert mine.report.aborted
    assert mine.report.reason == str(his)
    assert "1000 photons where 2000" in mine.report.reason


@pytest.mark.parametrize(
    "wish", [{"protocol": "b92"}, {"reconciliation": "winnow"}, {"block": -1}, {"block": 10**9}]
)
def test_what_no_link_can_agree_on_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ProgramInvalid, match="choose"):
        agreed(LinkAgreement(), **wish)


def test_a_block_of_more_photons_than_can_be_stated_is_refused(
    connect: Connect, lay_fibre: LayFibre, make_coin: MakeCoin
) -> None:
    bob, _ = connect()
    with pytest.raises(ProgramInvalid, match="choose 1 to"):
        sifter_of_alice(LinkAgreement(), lay_fibre(1)[0], bob, make_coin(1), 10**9)


async def test_the_report_holds_no_bit_of_the_key(distil: Distil) -> None:
    alice, _ = await distil(9)
    assert not hasattr(alice.report, "key")
    shown = repr(alice)
    assert "secret bits>" in shown
    assert not re.search(r"[01]{16}|array|\\x", shown)
