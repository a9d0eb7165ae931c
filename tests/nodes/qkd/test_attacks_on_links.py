"""A whole link between Eve's hands: handshake, photons, Cascade in phases, key, and its first bits put back.

Eve holds every classical message and does one thing to one of them. Nothing that she does leaves a key at both ends
that are not the same, and but for what comes in place of the very last message, none at either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from nodes.codec import encode
from nodes.errors import NodeError
from nodes.identity import Identity
from nodes.ports import Bits, Coin, Peer, QuantumLink
from nodes.qkd import amplification, bb84, cascade, estimation, verification
from nodes.qkd.authentication import AuthenticatedPeer, Tagged, Withdrawal
from nodes.qkd.epochs import EpochTerms, begin_as_alice, begin_as_bob
from nodes.qkd.key import Key
from nodes.qkd.refill import refill_as_alice, refill_as_bob
from nodes.qkd.reserve import AuthenticationReserve
from tests.nodes.qkd.recorded_pads import RecordedPads

Converse = Callable[..., Awaitable[tuple[Any, Any]]]
LayFibre = Callable[..., tuple[QuantumLink, QuantumLink]]
MakeCoin = Callable[..., Coin]
Tamper = Callable[[str, int, Any], Sequence[object]]
RunLink = Callable[..., Awaitable[tuple[Any, Any]]]

TERMS = EpochTerms("metro", "alice-bob", pads=8)
PULSES = 6000
LENGTH = 2000
"""Of the key that a block of about 2400 bits gives; how long it may be is not what is tested here."""


@dataclass
class Party:
    """One end of the link: what it has, and the keys of the blocks that it has finished."""

    role: str
    identity: Identity
    link: QuantumLink
    coin: Coin
    used: list[tuple[bytes, bytes]] = field(default_factory=list)
    quantum: bool = False

    async def keys(self, raw: Peer, blocks: int) -> list[Key]:
        begin = begin_as_alice if self.role == "alice" else begin_as_bob
        epoch = await begin(raw, self.identity, TERMS, self.coin)
        reserve = epoch.reserve("link")
        peer = AuthenticatedPeer(raw, RecordedPads(reserve, self.role, self.used), self.role, raw.name)
        try:
            keys = [await self.block(peer, reserve) for _ in range(blocks)]
        except NodeError as failure:
            await peer.give_up(failure)
            raise
        self.quantum = reserve.quantum
        return keys

    async def block(self, peer: AuthenticatedPeer, reserve: AuthenticationReserve) -> Key:
        reserve.require(6)
        return await (self.as_alice if self.role == "alice" else self.as_bob)(peer, reserve)

    async def as_alice(self, bob: AuthenticatedPeer, reserve: AuthenticationReserve) -> Key:
        sifted = await bb84.transmit(PULSES, self.link, bob, self.coin)
        async with bob.phase("estimation"):
            estimate = await estimation.sample_as_alice(sifted, 0.2, 1e-10, bob, self.coin)
        async with bob.phase("reconciliation"):
            key = (await cascade.answer(estimate.key, estimate.qber, bob, self.coin)).key
        async with bob.phase("hashing"):
            await verification.verify_as_alice(key, 1e-12, bob, self.coin)
            secret = await amplification.amplify_as_alice(key, LENGTH, bob, self.coin)
            return await refill_as_alice(Key(secret), [reserve], bob)

    async def as_bob(self, alice: AuthenticatedPeer, reserve: AuthenticationReserve) -> Key:
        sifted = await bb84.receive(PULSES, self.link, alice, self.coin)
        async with alice.phase("estimation"):
            estimate = await estimation.sample_as_bob(sifted, 0.2, 1e-10, alice)
        async with alice.phase("reconciliation"):
            key = (await cascade.correct(estimate.key, estimate.qber, alice, self.coin)).key
        async with alice.phase("hashing"):
            await verification.verify_as_bob(key, 1e-12, alice)
            secret = await amplification.amplify_as_bob(key, LENGTH, alice)
            return await refill_as_bob(Key(secret), [reserve], alice)


@pytest.fixture
def parties(
    lay_fibre: LayFibre, make_coin: MakeCoin, identities: dict[str, Identity]
) -> Callable[..., list[Party]]:
    def made(seed: int) -> list[Party]:
        links = lay_fibre(seed, misalignment=0.002)
        return [
            Party(role, identities[role], link, make_coin(seed, index))
            for index, (role, link) in enumerate(zip(("alice", "bob"), links, strict=True))
        ]

    return made


@pytest.fixture
def run_link(converse: Converse, parties: Callable[..., list[Party]]) -> RunLink:
    async def run(tamper: Tamper, seed: int = 1, blocks: int = 1) -> tuple[Any, Any]:
        alice, bob = parties(seed)
        return await converse(lambda raw: alice.keys(raw, blocks), lambda raw: bob.keys(raw, blocks), tamper)

    return run


@dataclass
class Eve:
    """Does something to the message with number ``target`` of all, and remembers what would have been."""

    action: str
    target: int
    old: list[tuple[str, Any]] = field(default_factory=list)
    heard: list[tuple[str, Any]] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)
    harmless: bool = False

    def __call__(self, sender: str, number: int, message: Any) -> Sequence[object]:
        index = len(self.heard)
        self.heard.append((sender, message))
        if index == self.target:
            delivered = list(self.tampered(sender, number, message))
            self.harmless = delivered == [message]
            return delivered
        if self.held and sender == self.heard[self.target][0]:
            self.harmless = self.held == [message]  # two parities are soon alike
            return [message, self.held.pop()]
        return [message]

    def tampered(self, sender: str, number: int, message: Any) -> Sequence[object]:
        before = self.heard[:-1]
        match self.action:
            case "drop":
                return []
            case "duplicate":
                return [message, message]
            case "delay":
                self.held.append(message)
                return []
            case "replay":
                return [next((said for of, said in before if of == sender), message)]
            case "reflect":
                return [next((said for of, said in reversed(before) if of != sender), message)]
            case "older epoch":
                earlier = [said for of, said in self.old if of == sender]
                return [earlier[min(number, len(earlier) - 1)]]
        return [forged(self.action, message)] if isinstance(message, Tagged) else [message]


def forged(action: str, message: Tagged) -> Tagged:
    match action:
        case "flip body":
            at = len(message.body) // 2
            return replace(
                message, body=message.body[:at] + bytes([message.body[at] ^ 4]) + message.body[at + 1 :]
            )
        case "flip tag":
            return replace(
                message, tag=bytes([message.tag[0] ^ 1]) + message.tag[1:] if message.tag else bytes(16)
            )
        case "drop the tag":
            return replace(message, tag=b"")
        case _:
            return Tagged("Withdrawal", encode(Withdrawal("the laser is broken")), bytes(16))


ATTACKS = (
    *("drop", "duplicate", "delay", "replay", "reflect", "older epoch"),
    *("flip body", "flip tag", "drop the tag", "withdraw"),
)


async def test_without_eve_both_have_the_same_key(run_link: RunLink) -> None:
    alice, bob = await run_link(Eve("none", -1))
    assert alice == bob
    assert len(alice[0]) >= 256


@pytest.mark.thorough
@pytest.mark.parametrize("action", ATTACKS)
async def test_no_attack_on_any_message_leaves_a_key(run_link: RunLink, action: str) -> None:
    earlier, honest = Eve("none", -1), Eve("none", -1)
    await run_link(earlier, seed=2)
    await run_link(honest)
    last = len(honest.heard) - 1
    before_it = max(index for index, (sender, _) in enumerate(honest.heard[:last]) if sender == "bob")
    assert last > 30
    tried = 0
    for target in range(last + 1):
        eve = Eve(action, target, old=earlier.heard)
        alice, bob = await run_link(eve)
        if eve.harmless or (action == "duplicate" and target >= last - 1):
            assert alice == bob  # it is what was sent, or comes when nobody listens
            continue
        tried += 1
        assert isinstance(alice, NodeError), target
        in_place_of_the_last = target == last or (action == "duplicate" and target == before_it)
        assert isinstance(bob, NodeError) or in_place_of_the_last, target
    assert tried > 4


@pytest.mark.parametrize("target", [0, 1, 2, 3, 5, 8, 20])
async def test_what_an_older_epoch_said_serves_nobody(run_link: RunLink, target: int) -> None:
    earlier = Eve("none", -1)
    await run_link(earlier, seed=2)
    results = await run_link(Eve("older epoch", target, old=earlier.heard))
    assert all(isinstance(result, NodeError) for result in results)


async def test_mallory_cannot_speak_for_anybody_after_the_handshake(
    run_link: RunLink, identities: dict[str, Identity]
) -> None:
    """She lets the handshake pass, then answers Alice with tags of an epoch that she made up."""
    lanes = (bytes(16 * 9), bytes(16 * 9))
    hers = AuthenticationReserve("epoch of mallory", ("alice", "bob"), lanes, bytes(32))

    def impersonate(sender: str, number: int, message: Any) -> Sequence[object]:
        if sender != "bob" or not isinstance(message, Tagged):
            return [message]
        authenticator = hers.take("bob").authenticator()
        authenticator.update(message.kind.encode() + message.body)
        return [replace(message, tag=authenticator.finalize())]

    results = await run_link(impersonate)
    assert all(isinstance(result, NodeError) for result in results)


async def test_no_one_time_key_is_used_twice_by_either_end_or_after_a_restart(
    converse: Converse, parties: Callable[..., list[Party]]
) -> None:
    """Three epochs of the same seed, four blocks each: the derived pads are used up, and key has taken their place."""
    used: list[tuple[bytes, bytes]] = []
    tags = 0

    def count(sender: str, number: int, message: Any) -> Sequence[object]:
        nonlocal tags
        tags += isinstance(message, Tagged) and bool(message.tag)
        return [message]

    for _ in range(3):
        alice, bob = parties(3)
        mine, his = await converse(lambda raw: alice.keys(raw, 4), lambda raw: bob.keys(raw, 4), count)  # noqa: B023
        assert mine == his
        assert alice.quantum
        assert bob.quantum
        used += alice.used + bob.used
    assert len(used) == tags
    assert len(set(used)) == len(used)


async def test_no_bit_that_was_put_back_is_released(
    converse: Converse, parties: Callable[..., list[Party]]
) -> None:
    """Once the lanes hold key only, no pad of 128 bits is found at any place of the released keys."""
    alice, bob = parties(4)
    keys, _ = await converse(lambda raw: alice.keys(raw, 5), lambda raw: bob.keys(raw, 5))
    released: list[Bits] = [key.bits() for key in keys]
    windows = {
        np.packbits(bits[at : at + 128]).tobytes() for bits in released for at in range(bits.size - 127)
    }
    pads = {part for pair in alice.used + bob.used for part in pair}
    assert len(windows) > 1000
    assert not windows & pads
