"""A phase has one tag for each direction, and nothing that Eve does in it stays unseen at its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from nodes.codec import encode
from nodes.errors import (
    AuthenticationFailed,
    DeadlinePassed,
    KeyRefused,
    NodeError,
    ProgramInvalid,
    ProtocolViolation,
)
from nodes.ports import Peer, SharedSecret
from nodes.qkd.authentication import AuthenticatedPeer, PeerWithdrew, PhaseEnd, Tagged, Withdrawal
from nodes.qkd.pads import DerivedPads, OneTimeKey, Pads, joined
from nodes.qkd.reserve import AuthenticationReserve

Tamper = Callable[[str, int, Any], Sequence[object]]
Converse = Callable[..., Awaitable[tuple[Any, Any]]]
Role = Callable[[AuthenticatedPeer], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Question:
    value: int


@dataclass(frozen=True, slots=True)
class Reply:
    value: int


@dataclass
class Recorder:
    """Pads that remember which of them this end has used for tags of its own."""

    pads: Pads
    role: str
    used: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def epoch(self) -> str:
        return self.pads.epoch

    def take(self, sender: str) -> OneTimeKey:
        key = self.pads.take(sender)
        if sender == self.role:
            self.used.append((key.point, key.pad))
        return key


def pads_of(role: str) -> Recorder:
    peer_role = {"alice": "bob", "bob": "alice"}[role]
    return Recorder(DerivedPads(SharedSecret(b"s" * 32, "run-1"), role, peer_role), role)


def authenticated(role: str, play: Role) -> Callable[[Peer], Awaitable[Any]]:
    async def played(peer: Peer) -> Any:
        friend = AuthenticatedPeer(peer, pads_of(role), role, peer.name)
        try:
            return await play(friend)
        except NodeError as failure:
            await friend.give_up(failure)
            raise

    return played


async def ask(bob: AuthenticatedPeer, rounds: int = 3, name: str = "questions") -> list[int]:
    async with bob.phase(name):
        replies = []
        for value in range(rounds):
            await bob.send(Question(value))
            replies.append((await bob.receive(Reply)).value)
    return replies


async def answer(alice: AuthenticatedPeer, rounds: int = 3, name: str = "questions") -> list[int]:
    async with alice.phase(name):
        asked = []
        for _ in range(rounds):
            asked.append((await alice.receive(Question)).value)
            await alice.send(Reply(2 * asked[-1]))
    return asked


class Listener:
    """Delivers everything and remembers it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Tagged]] = []

    def __call__(self, sender: str, number: int, message: Tagged) -> Sequence[object]:
        self.heard.append((sender, message))
        return [message]


async def test_a_phase_of_a_thousand_messages_has_one_tag_a_direction(converse: Converse) -> None:
    listener = Listener()
    ends: dict[str, Recorder] = {role: pads_of(role) for role in ("alice", "bob")}

    async def alice(peer: Peer) -> list[int]:
        return await ask(AuthenticatedPeer(peer, ends["alice"], "alice", "bob"), 500)

    async def bob(peer: Peer) -> list[int]:
        return await answer(AuthenticatedPeer(peer, ends["bob"], "bob", "alice"), 500)

    replies, asked = await converse(alice, bob, listener)
    assert asked == list(range(500))
    assert replies == [2 * value for value in asked]
    tagged = [(sender, message.kind) for sender, message in listener.heard if message.tag]
    assert len(listener.heard) == 1002
    assert sorted(tagged) == [("alice", "PhaseEnd"), ("bob", "PhaseEnd")]
    assert [len(end.used) for end in ends.values()] == [1, 1]


@dataclass
class Eve:
    """Does something to the message with number ``target`` of the whole dialogue."""

    action: str
    target: int
    heard: list[tuple[str, Tagged]] = field(default_factory=list)
    held: list[Tagged] = field(default_factory=list)

    def __call__(self, sender: str, number: int, message: Tagged) -> Sequence[object]:
        index = len(self.heard)
        self.heard.append((sender, message))
        if index != self.target:
            if self.held and self.heard[self.target][0] == sender:
                return [message, self.held.pop()]
            return [message]
        earlier = [heard for of, heard in self.heard[:-1] if of == sender]
        reflected = [heard for of, heard in self.heard[:-1] if of != sender]
        match self.action:
            case "flip body":
                return [replace(message, body=flipped(message.body))]
            case "flip kind":
                return [replace(message, kind=flipped(message.kind.encode()).decode())]
            case "flip tag":
                return [replace(message, tag=flipped(message.tag))]
            case "drop the tag":
                return [replace(message, tag=b"")]
            case "add a tag":
                return [replace(message, tag=bytes(16))]
            case "lengthen":
                return [replace(message, body=message.body + b"\0")]
            case "shorten":
                return [replace(message, body=message.body[:-1])]
            case "duplicate":
                return [message, message]
            case "insert":
                return [Tagged("Question", encode(Question(7)), b""), message]
            case "withdraw":
                return [Tagged("Withdrawal", encode(Withdrawal("tired")), b"")]
            case "end":
                return [Tagged("PhaseEnd", encode(PhaseEnd("questions")), bytes(16))]
            case "replay":
                return [earlier[0]] if earlier else []
            case "reflect":
                return [reflected[0]] if reflected else []
            case "delay":
                self.held.append(message)
                return []
            case _:
                return []


ATTACKS = (
    *("flip body", "flip kind", "flip tag", "drop the tag", "add a tag", "lengthen", "shorten", "duplicate"),
    *("insert", "withdraw", "end", "replay", "reflect", "delay", "drop"),
)


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:] if data else b"\x01"


@pytest.mark.parametrize("action", ATTACKS)
async def test_no_attack_on_any_message_of_a_phase_stays_unseen(converse: Converse, action: str) -> None:
    """Neither end leaves the phase; what happens to the very last message only Alice, whom it is for, can know."""
    alice, bob = authenticated("alice", ask), authenticated("bob", answer)
    honest = Eve("none", -1)
    await converse(alice, bob, honest)
    last = len(honest.heard) - 1
    assert last == 7
    for target in range(last + 1):
        results = await converse(alice, bob, Eve(action, target))
        if action == "drop the tag" and not honest.heard[target][1].tag:
            assert results == ([0, 2, 4], [0, 1, 2])
        elif action == "duplicate" and target >= last - 1:
            assert results == ([0, 2, 4], [0, 1, 2])  # nobody listens for what follows its own end
        else:
            assert isinstance(results[0], NodeError), (action, target)
            in_place_of_the_last = target == last or (action == "duplicate" and target == last - 2)
            assert isinstance(results[1], NodeError) or in_place_of_the_last, (action, target)


async def test_every_flipped_bit_of_a_phase_is_found(converse: Converse) -> None:
    """All bits of kinds, bodies and tags of both directions, one by one."""
    alice = authenticated("alice", lambda peer: ask(peer, 1))
    bob = authenticated("bob", lambda peer: answer(peer, 1))
    listener = Listener()
    await converse(alice, bob, listener)
    for target, (_, message) in enumerate(listener.heard):
        flat = message.kind.encode() + message.body + message.tag
        for bit in range(8 * len(flat)):
            if bit % 8 == 7 and bit // 8 < len(message.kind):
                continue  # no text any more: the codec refuses it before anybody sees it
            results = await converse(alice, bob, flipping(target, bit))
            last = target == len(listener.heard) - 1
            assert isinstance(results[0], NodeError), (target, bit)
            assert isinstance(results[1], NodeError) or last, (target, bit)


def flipping(target: int, bit: int) -> Tamper:
    count = 0

    def tamper(sender: str, number: int, message: Tagged) -> Sequence[object]:
        nonlocal count
        count += 1
        if count != target + 1:
            return [message]
        flat = bytearray(message.kind.encode("latin-1") + message.body + message.tag)
        flat[bit // 8] ^= 128 >> bit % 8
        kind, body = len(message.kind), len(message.kind) + len(message.body)
        return [Tagged(flat[:kind].decode("latin-1"), bytes(flat[kind:body]), bytes(flat[body:]))]

    return tamper


async def test_nothing_can_be_shifted_from_one_phase_to_the_next(converse: Converse) -> None:
    """Eve moves the last question of the first phase behind its end, with the ends' tags unchanged."""

    async def alice(bob: AuthenticatedPeer) -> None:
        for name, values in (("one", (1, 2)), ("two", (3,))):
            async with bob.phase(name):
                for value in values:
                    await bob.send(Question(value))

    async def bob(alice: AuthenticatedPeer) -> None:
        for name, count in (("one", 1), ("two", 2)):
            async with alice.phase(name):
                for _ in range(count):
                    await alice.receive(Question)

    held: list[Tagged] = []

    def shift(sender: str, number: int, message: Tagged) -> Sequence[object]:
        if sender == "alice" and number == 1:
            held.append(message)
            return []
        return [message, held.pop()] if held and sender == "alice" else [message]

    results = await converse(authenticated("alice", alice), authenticated("bob", bob), shift)
    assert isinstance(results[1], AuthenticationFailed)
    assert isinstance(results[0], NodeError)


async def refuse(peer: AuthenticatedPeer) -> None:
    async with peer.phase("verdict"):
        await peer.send(Question(1))
        if (await peer.receive(Question)).value != 2:
            raise KeyRefused("the keys differ")


async def test_a_refusal_leaves_a_phase_only_after_the_check(converse: Converse) -> None:
    roles = authenticated("alice", refuse), authenticated("bob", refuse)
    results = await converse(*roles)
    assert [type(result) for result in results] == [KeyRefused, KeyRefused]

    def forge(sender: str, number: int, message: Tagged) -> Sequence[object]:
        forged = replace(message, body=encode(Question(2)))
        return [forged if sender == "bob" and number == 0 else message]

    results = await converse(*roles, forge)
    assert [type(result) for result in results] == [AuthenticationFailed, AuthenticationFailed]


async def test_who_breaks_the_protocol_in_a_phase_is_not_known(converse: Converse) -> None:
    async def alice(bob: AuthenticatedPeer) -> None:
        async with bob.phase("questions"):
            await bob.send(Reply(1))
            await bob.receive(Reply)

    told, broken = await converse(authenticated("alice", alice), authenticated("bob", answer))
    assert isinstance(broken, AuthenticationFailed)
    assert "the phase 'questions' with alice was broken" in str(broken)
    assert "alice sent a Reply where a Question was due" in str(broken)
    assert isinstance(told, PeerWithdrew)
    assert told.reason == str(broken)


async def test_who_breaks_it_in_a_tagged_message_is_known(converse: Converse) -> None:
    async def alice(bob: AuthenticatedPeer) -> None:
        await bob.send(Question(1))  # in no phase
        await bob.receive(Reply)

    told, broken = await converse(
        authenticated("alice", alice), authenticated("bob", lambda peer: expect_replies(peer))
    )
    assert type(broken) is ProtocolViolation
    assert "alice sent a Question where a Reply was due" in str(broken)
    assert isinstance(told, PeerWithdrew)


async def expect_replies(alice: AuthenticatedPeer) -> None:
    async with alice.phase("replies"):
        await alice.receive(Reply)


@pytest.mark.parametrize("rounds", [(2, 3), (3, 2)])
async def test_an_end_that_comes_too_early_ends_both(converse: Converse, rounds: tuple[int, int]) -> None:
    results = await converse(
        authenticated("alice", lambda peer: ask(peer, rounds[0])),
        authenticated("bob", lambda peer: answer(peer, rounds[1])),
    )
    assert {type(result) for result in results} == {AuthenticationFailed, PeerWithdrew}


async def test_phases_of_different_names_do_not_fit(converse: Converse) -> None:
    results = await converse(
        authenticated("alice", lambda peer: ask(peer, 1, "sifting")),
        authenticated("bob", lambda peer: answer(peer, 1, "estimation")),
    )
    assert "alice was in phase 'sifting', not in phase 'estimation'" in str(results[1])
    assert isinstance(results[0], PeerWithdrew)


async def test_a_phase_within_a_phase_is_refused(converse: Converse) -> None:
    async def nested(peer: AuthenticatedPeer) -> None:
        async with peer.phase("outer"):
            await ask(peer, 1)

    results = await converse(authenticated("alice", nested), authenticated("bob", nested))
    assert isinstance(results[0], ProgramInvalid)
    assert "'questions' begins within phase 'outer'" in str(results[0])


async def test_a_withdrawal_in_a_phase_is_authentic_with_all_before_it(converse: Converse) -> None:
    async def give_up(bob: AuthenticatedPeer) -> None:
        async with bob.phase("questions"):
            await bob.send(Question(1))
            await bob.receive(Reply)
            await bob.withdraw("the disk is full")

    async def listen(alice: AuthenticatedPeer) -> None:
        async with alice.phase("questions"):
            await alice.receive(Question)
            await alice.send(Reply(1))
            await alice.receive(Question)

    def forge(sender: str, number: int, message: Tagged) -> Sequence[object]:
        return [replace(message, body=encode(Question(9))) if message.kind == "Question" else message]

    roles = authenticated("alice", give_up), authenticated("bob", listen)
    _, bob = await converse(*roles)
    assert isinstance(bob, PeerWithdrew)
    assert bob.reason == "the disk is full"
    _, bob = await converse(*roles, forge)
    assert isinstance(bob, AuthenticationFailed)


async def test_a_withdrawal_reaches_a_peer_that_has_gone_on_to_the_next_phase(converse: Converse) -> None:
    """Alice finds the end of the first phase forged when Bob, who has agreed to it, is in the second."""

    async def alice(bob: AuthenticatedPeer) -> None:
        await answer(bob, 1, "one")
        await answer(bob, 1, "two")

    async def bob(alice: AuthenticatedPeer) -> None:
        await ask(alice, 1, "one")
        await ask(alice, 1, "two")

    def forge(sender: str, number: int, message: Tagged) -> Sequence[object]:
        return [replace(message, tag=bytes(16)) if sender == "bob" and message.tag else message]

    found, told = await converse(authenticated("alice", alice), authenticated("bob", bob), forge)
    assert isinstance(found, AuthenticationFailed)
    assert isinstance(told, PeerWithdrew)
    assert told.reason == str(found)


async def test_a_lost_end_of_the_last_phase_leaves_one_end_without(converse: Converse) -> None:
    def drop(sender: str, number: int, message: Tagged) -> Sequence[object]:
        return [] if sender == "bob" and message.kind == "PhaseEnd" else [message]

    alice, bob = await converse(authenticated("alice", ask), authenticated("bob", answer), drop)
    assert isinstance(alice, DeadlinePassed)
    assert bob == [0, 1, 2]


async def test_a_phase_does_not_prove_when_a_message_was_sent(converse: Converse) -> None:
    """What Eve can foretell she delivers early: that the photons are measured is told outside of a phase."""
    measured: list[str] = []
    early = [Tagged("Question", encode(Question(0)), b"")]

    async def alice(bob: AuthenticatedPeer, in_phase: bool) -> None:
        async with bob.phase("sifting"):
            if in_phase:
                await bob.receive(Question)
            await bob.send(Reply(1))
        measured.append("revealed")

    async def bob(alice: AuthenticatedPeer, in_phase: bool) -> None:
        async with alice.phase("sifting"):
            if in_phase:
                await alice.send(Question(0))
            await alice.receive(Reply)

    def foretell(sender: str, number: int, message: Tagged) -> Sequence[object]:
        return early if sender == "bob" and number == 0 else [message]

    results = await converse(
        authenticated("alice", lambda peer: alice(peer, True)),
        authenticated("bob", lambda peer: bob(peer, True)),
        foretell,
    )
    assert results == (None, None)
    assert measured == ["revealed"]


def poly1305(point: bytes, pad: bytes, message: bytes) -> bytes:
    """The definition: D. J. Bernstein, FSE 2005, section 2."""
    r = int.from_bytes(point, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    value = 0
    for start in range(0, len(message), 16):
        value = (value + int.from_bytes(message[start : start + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((value + int.from_bytes(pad, "little")) % 2**128).to_bytes(16, "little")


async def test_the_tag_is_the_polynomial_of_epoch_direction_numbers_kinds_and_bytes(
    converse: Converse,
) -> None:
    listener = Listener()
    lanes = (bytes(range(48)), bytes(range(100, 148)))

    async def alice(peer: Peer) -> list[int]:
        pads = AuthenticationReserve("epoch 7", ("alice", "bob"), lanes)
        bob = AuthenticatedPeer(peer, pads, "alice", "bob")
        await bob.send(Question(99))
        return await ask(bob, 2)

    async def bob(peer: Peer) -> list[int]:
        pads = AuthenticationReserve("epoch 7", ("alice", "bob"), lanes)
        alice = AuthenticatedPeer(peer, pads, "bob", "alice")
        await alice.receive(Question)
        return await answer(alice, 2)

    await converse(alice, bob, listener)
    said = {
        role: [message for sender, message in listener.heard if sender == role] for role in ("alice", "bob")
    }
    folded = {role: [fed(number, message) for number, message in enumerate(said[role])] for role in said}
    (alices, *pads), (bobs, bobs_pad, _) = ([lane[at : at + 16] for at in (0, 16, 32)] for lane in lanes)
    label, bobs_label = (
        joined(b"bellwire authentication", b"epoch 7", *roles)
        for roles in ((b"alice", b"bob"), (b"bob", b"alice"))
    )
    received = joined(poly1305(bobs, bytes(16), b"".join(folded["bob"][:-1])))
    bob_received = joined(poly1305(alices, bytes(16), b"".join(folded["alice"][1:-1])))
    assert [message.tag for message in said["alice"] if message.tag] == [
        poly1305(alices, pads[0], label + folded["alice"][0]),
        poly1305(alices, pads[1], label + b"".join(folded["alice"][1:-1]) + received + folded["alice"][-1]),
    ]
    assert said["bob"][-1].tag == poly1305(
        bobs, bobs_pad, bobs_label + b"".join(folded["bob"][:-1]) + bob_received + folded["bob"][-1]
    )


def fed(number: int, message: Tagged) -> bytes:
    return joined(number.to_bytes(8, "big"), message.kind.encode(), message.body)
