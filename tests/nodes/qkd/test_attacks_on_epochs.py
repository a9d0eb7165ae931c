"""Whatever is changed, replayed, displaced or withheld of a handshake, no epoch begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from nodes.errors import NodeError
from nodes.identity import Identity, IdentityRefused
from nodes.qkd.epochs import Confirmation, Epoch
from tests.nodes.qkd.handshakes import MESSAGES, Converse, Identities, Tamper, alices, bobs


def changed(message: Any, change: Callable[[bytes], bytes]) -> list[Any]:
    """Return the message with each of its byte strings changed, one at a time."""
    variants: list[Any] = []
    for part in fields(message):
        value = getattr(message, part.name)
        if isinstance(value, bytes):
            variants.append(replace(message, **{part.name: change(value)}))
        elif not isinstance(value, int):
            variants += [replace(message, **{part.name: variant}) for variant in changed(value, change)]
    return variants


def flip(place: float) -> Callable[[bytes], bytes]:
    def flipped(data: bytes) -> bytes:
        at = min(int(place * len(data)), len(data) - 1)
        return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]

    return flipped


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "first byte": flip(0.0),
    "middle": flip(0.5),
    "last byte": flip(1.0),
    "shorter": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("target", range(3))
async def test_every_changed_field_ends_the_handshake(
    converse: Converse, identities: Identities, change: str, target: int
) -> None:
    for variant in range({0: 3, 1: 5, 2: 2}[target]):
        count = 0

        def tamper(sender: str, number: int, message: Any) -> Sequence[object]:
            nonlocal count
            count += 1
            return [changed(message, CHANGES[change])[variant] if count == target + 1 else message]  # noqa: B023

        await expect_no_epoch(converse, identities, tamper, last=target == 2)


async def expect_no_epoch(converse: Converse, identities: Identities, tamper: Tamper, last: bool) -> None:
    """Neither end gets an epoch; of what happens to the last message Alice does not know."""
    alice, bob = await converse(alices(identities["alice"]), bobs(identities["bob"]), tamper)
    assert isinstance(bob, NodeError)
    assert isinstance(alice, Epoch if last else NodeError)


@pytest.mark.thorough
@pytest.mark.parametrize("target", range(3))
async def test_a_flipped_bit_anywhere_ends_the_handshake(
    converse: Converse, identities: Identities, target: int
) -> None:
    """One bit of every eighth byte of every field."""
    sizes = {0: (32, 1184, 32), 1: (32, 1088, 32, 3309, 32), 2: (3309, 32)}[target]
    for variant, size in enumerate(sizes):
        for byte in range(variant, size, 8):

            def flipped(data: bytes, byte: int = byte) -> bytes:
                at = byte % len(data)  # the other fields, whose variants are not sent, may be shorter
                return data[:at] + bytes([data[at] ^ 1 << byte // 8 % 8]) + data[at + 1 :]

            count = 0

            def tamper(sender: str, number: int, message: Any) -> Sequence[object]:
                nonlocal count
                count += 1
                return [changed(message, flipped)[variant] if count == target + 1 else message]  # noqa: B023

            await expect_no_epoch(converse, identities, tamper, last=target == 2)


async def test_nothing_of_an_old_handshake_serves_in_a_new_one(
    converse: Converse, identities: Identities
) -> None:
    """Each message, each two, and all of them: Eve replays an epoch to nodes that have restarted."""
    old: list[Any] = []

    def record(sender: str, number: int, message: Any) -> Sequence[object]:
        old.append(message)
        return [message]

    await converse(alices(identities["alice"]), bobs(identities["bob"]), record)
    assert [type(message) for message in old] == list(MESSAGES)
    for replayed in range(1, 8):
        count = -1

        def replay(sender: str, number: int, message: Any) -> Sequence[object]:
            nonlocal count
            count += 1
            return [old[count] if replayed >> count & 1 else message]  # noqa: B023

        await expect_no_epoch(converse, identities, replay, last=replayed == 4)


async def test_a_message_serves_in_its_own_place_only(converse: Converse, identities: Identities) -> None:
    """Reflected, repeated, and in each other's place."""
    for target in range(3):
        for instead in range(target):
            heard: list[Any] = []

            def displace(sender: str, number: int, message: Any) -> Sequence[object]:
                heard.append(message)  # noqa: B023
                return [heard[instead] if len(heard) == target + 1 else message]  # noqa: B023

            await expect_no_epoch(converse, identities, displace, last=target == 2)


async def test_a_confirmation_does_not_serve_for_the_other_role(
    converse: Converse, identities: Identities
) -> None:
    """Bob's own signature and proof come back to him as Alice's, though Alice shares his signing key."""
    twins = {name: Identity(name, b"t" * 32, {
        friend: Identity.public_key_of(b"t" * 32) for friend in ("alice", "bob")
    }) for name in ("alice", "bob")}  # fmt: skip
    heard: list[Any] = []

    def reflect(sender: str, number: int, message: Any) -> Sequence[object]:
        heard.append(message)
        return [heard[1].confirmation if isinstance(message, Confirmation) else message]

    _, bob = await converse(alices(twins["alice"]), bobs(twins["bob"]), reflect)
    assert isinstance(bob, IdentityRefused)


@pytest.mark.parametrize("target", range(3))
async def test_a_withheld_message_leaves_no_epoch_but_to_who_sent_the_last(
    converse: Converse, identities: Identities, target: int
) -> None:
    count = 0

    def withhold(sender: str, number: int, message: Any) -> Sequence[object]:
        nonlocal count
        count += 1
        return [] if count == target + 1 else [message]

    await expect_no_epoch(converse, identities, withhold, last=target == 2)
