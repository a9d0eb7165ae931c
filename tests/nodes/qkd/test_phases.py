"""A phase has one tag for each direction, and both ends leave it only with what both have said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nodes.codec import encode, joined
from nodes.errors import (
    AuthenticationFailed,
    DeadlinePassed,
    KeyRefused,
    ProgramInvalid,
    ProtocolViolation,
)
from nodes.ports import Peer
from nodes.qkd.authentication import AuthenticatedPeer, PeerWithdrew, Tagged
from nodes.qkd.reserve import AuthenticationReserve
from tests.nodes.qkd.phased_dialogue import (
    Converse,
    Listener,
    Question,
    Reply,
    answer,
    ask,
    authenticated,
    pads_of,
)
from tests.nodes.qkd.recorded_pads import RecordedPads


async def test_a_phase_of_a_thousand_messages_has_one_tag_a_direction(converse: Converse) -> None:
    listener = Listener()
    ends: dict[str, RecordedPads] = {role: pads_of(role) for role in ("alice", "bob")}

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


@dataclass
class Early:
    """Alice's side of Eve: she delivers what Bob will say before he has said it, and swallows it when it comes."""

    bob: Peer
    foretold: list[Tagged]
    swallowed: bool = False

    @property
    def name(self) -> str:
        return self.bob.name

    async def send(self, message: object) -> None:
        await self.bob.send(message)

    async def receive(self, kind: type[Any]) -> Any:
        if self.foretold:
            return self.foretold.pop()
        if not self.swallowed:
            self.swallowed = True
            await self.bob.receive(kind)
        return await self.bob.receive(kind)


async def test_a_phase_does_not_prove_when_a_message_was_sent(converse: Converse) -> None:
    """Why it is told outside of a phase, or in words that nobody can foretell, that the photons are measured."""
    story: list[str] = []
    revealed = asyncio.Event()

    async def alice(bob: AuthenticatedPeer) -> None:
        async with bob.phase("sifting"):
            await bob.receive(Question)
            story.append("alice reveals her bases")
            await bob.send(Reply(1))
            revealed.set()

    async def bob(alice: AuthenticatedPeer) -> None:
        async with alice.phase("sifting"):
            await revealed.wait()  # Eve has held the photons until now
            story.append("bob measures")
            await alice.send(Question(0))
            await alice.receive(Reply)

    def between(peer: Peer) -> Early:
        return Early(peer, [Tagged("Question", encode(Question(0)), b"")])

    results = await converse(
        lambda raw: authenticated("alice", alice)(between(raw)), authenticated("bob", bob)
    )
    assert results == (None, None)
    assert story == ["alice reveals her bases", "bob measures"]


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
        pads = AuthenticationReserve("epoch 7", ("alice", "bob"), lanes, bytes(32))
        bob = AuthenticatedPeer(peer, pads, "alice", "bob")
        await bob.send(Question(99))
        return await ask(bob, 2)

    async def bob(peer: Peer) -> list[int]:
        pads = AuthenticationReserve("epoch 7", ("alice", "bob"), lanes, bytes(32))
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
