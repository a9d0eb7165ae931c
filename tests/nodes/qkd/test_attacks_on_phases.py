"""Nothing that Eve does to a message of a phase stays unseen at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from nodes.codec import encode
from nodes.errors import AuthenticationFailed, NodeError
from nodes.qkd.authentication import AuthenticatedPeer, PhaseEnd, Tagged, Withdrawal
from tests.nodes.qkd.phased_dialogue import Converse, Listener, Question, Tamper, answer, ask, authenticated


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
            assert not any("tired" in str(result) for result in results)  # nobody believes a forged reason


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
