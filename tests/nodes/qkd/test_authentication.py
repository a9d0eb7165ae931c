"""Whoever changes a single bit on the classical channel is found out, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from nodes.codec import encode
from nodes.errors import AuthenticationFailed, ProgramInvalid, ProtocolViolation, TransferFailed
from nodes.ports import Peer, SharedSecret
from nodes.qkd.authentication import AuthenticatedPeer, PeerWithdrew, Tagged
from nodes.qkd.reserve import AuthenticationReserve, ReserveExhausted

Connect = Callable[..., tuple[Peer, Peer]]


@dataclass(frozen=True, slots=True)
class Number:
    value: int


@dataclass(frozen=True, slots=True)
class Greeting:
    value: int


def wrapped(
    peers: tuple[Peer, Peer], bobs_secret: bytes = b"s" * 32, bobs_session: str = "run-1"
) -> tuple[AuthenticatedPeer, AuthenticatedPeer]:
    bob, alice = peers
    return (
        AuthenticatedPeer(bob, SharedSecret(b"s" * 32, "run-1"), "alice", "bob"),
        AuthenticatedPeer(alice, SharedSecret(bobs_secret, bobs_session), "bob", "alice"),
    )


async def test_messages_arrive_as_they_were_sent(connect: Connect) -> None:
    bob, alice = wrapped(connect())
    for value in range(5):
        await bob.send(Number(value))
        await alice.send(Greeting(-value))
    assert [await alice.receive(Number) for _ in range(5)] == [Number(value) for value in range(5)]
    assert [await bob.receive(Greeting) for _ in range(5)] == [Greeting(-value) for value in range(5)]


async def test_every_flipped_bit_is_found(connect: Connect) -> None:
    flip = 0

    def flipped(sender: str, number: int, message: object) -> Sequence[object]:
        assert isinstance(message, Tagged)
        flat = bytearray(message.body + message.tag)
        flat[flip // 8] ^= 1 << flip % 8
        return [replace(message, body=bytes(flat[:-16]), tag=bytes(flat[-16:]))]

    bits = 8 * len(b"\x81\xa5value\x07" + 16 * b"t")
    for flip in range(bits):  # noqa: B007 - ``flipped`` reads it
        bob, alice = wrapped(connect(flipped))
        await bob.send(Number(7))
        with pytest.raises(AuthenticationFailed, match="message 0 from alice"):
            await alice.receive(Number)


@pytest.mark.parametrize(
    "forge",
    [
        lambda message: replace(message, kind="Greeting"),
        lambda message: replace(message, tag=b""),
        lambda message: replace(message, tag=message.tag + b"\0"),
        lambda message: replace(message, body=message.body[:-1]),
        lambda message: replace(message, body=message.body + b"\0"),
        lambda message: Number(7),
    ],
)
async def test_another_kind_or_length_is_found(connect: Connect, forge: Callable[[Tagged], object]) -> None:
    def forged(sender: str, number: int, message: object) -> Sequence[object]:
        assert isinstance(message, Tagged)
        return [forge(message)]

    bob, alice = wrapped(connect(forged))
    await bob.send(Number(7))
    with pytest.raises(AuthenticationFailed):
        await alice.receive(Greeting)


@pytest.mark.parametrize("order", [[0, 0], [1, 0], [1], [0, 2]])
async def test_a_repeated_missing_or_reordered_message_is_found(connect: Connect, order: list[int]) -> None:
    caught: list[object] = []

    def catch(sender: str, number: int, message: object) -> Sequence[object]:
        caught.append(message)
        return [caught[which] for which in order] if number == 2 else []

    bob, alice = wrapped(connect(catch))
    for value in range(3):
        await bob.send(Number(value))
    received = []
    try:
        for _ in order:
            received.append(await alice.receive(Number))
    except AuthenticationFailed:
        pass
    else:
        pytest.fail("a message out of its place was taken for authentic")
    assert received == [Number(value) for value in range(len(received))]


async def test_a_message_cannot_be_reflected_to_its_sender(connect: Connect) -> None:
    peers = connect()
    bob, _ = wrapped(peers)
    _, alice = wrapped(peers)
    await bob.send(Number(1))
    reflected = await peers[1].receive(Tagged)
    await peers[1].send(reflected)
    with pytest.raises(AuthenticationFailed):
        await bob.receive(Number)
    assert alice.name == "alice"


@pytest.mark.parametrize("other", [(b"t" * 32, "run-1"), (b"s" * 32, "run-2")])
async def test_another_secret_or_session_does_not_authenticate(
    connect: Connect, other: tuple[bytes, str]
) -> None:
    bob, alice = wrapped(connect(), *other)
    await bob.send(Number(1))
    with pytest.raises(AuthenticationFailed, match="shared secrets differ"):
        await alice.receive(Number)


async def test_equal_messages_have_different_tags(connect: Connect) -> None:
    peers = connect()
    bob, alice = wrapped(peers)
    for _ in range(20):
        await bob.send(Number(1))
        await alice.send(Number(1))
    tags = {(await peers[1].receive(Tagged)).tag for _ in range(20)}
    tags |= {(await peers[0].receive(Tagged)).tag for _ in range(20)}
    assert len(tags) == 40


async def test_an_authentic_message_of_another_kind_is_a_violation_of_the_peer(connect: Connect) -> None:
    bob, alice = wrapped(connect())
    await bob.send(Number(1))
    with pytest.raises(ProtocolViolation, match="alice sent a Number where a Greeting was due"):
        await alice.receive(Greeting)


async def test_a_withdrawal_takes_the_place_of_any_message(connect: Connect) -> None:
    bob, alice = wrapped(connect())
    await bob.withdraw("the disk is full")
    with pytest.raises(PeerWithdrew, match="the disk is full"):
        await alice.receive(Number)


async def test_a_forged_withdrawal_is_found(connect: Connect) -> None:
    peers = connect()
    _, alice = wrapped(peers)
    await peers[0].send(Tagged("Withdrawal", b"\x81\xa6reason\xa2no", b"\0" * 16))
    with pytest.raises(AuthenticationFailed):
        await alice.receive(Number)


async def test_a_secret_serves_one_authenticated_peer(connect: Connect) -> None:
    """A second one would begin again with the first one-time key, and two messages would have the same."""
    bob, _ = connect()
    secret = SharedSecret(b"s" * 32, "run-1:17")
    AuthenticatedPeer(bob, secret, "alice", "bob")
    for roles in (("alice", "bob"), ("bob", "alice")):
        with pytest.raises(ProgramInvalid, match=r"in run-1:17 .* make one AuthenticatedPeer"):
            AuthenticatedPeer(bob, secret, *roles)


async def test_a_secret_gives_other_roles_other_one_time_keys(connect: Connect) -> None:
    peers = connect()
    secret = SharedSecret(b"s" * 32, "run-1")
    for peer_role in ("bob", "charlie"):
        await AuthenticatedPeer(peers[0], secret, "alice", peer_role).send(Number(1))
    assert (await peers[1].receive(Tagged)).tag != (await peers[1].receive(Tagged)).tag


def test_a_secret_is_not_shown() -> None:
    secret = SharedSecret(b"hush" * 8, "run-1")
    assert repr(secret) == str(secret) == f"{secret}" == "<SharedSecret of run-1>"
    with pytest.raises(TypeError):
        encode(secret)


async def test_giving_up_tells_the_words_of_a_known_error_and_the_kind_of_any_other(connect: Connect) -> None:
    for failure, told in (
        (TransferFailed("the disk \udce9 is full"), r"the disk \udce9 is full"),
        (OverflowError("17 secrets"), "its program failed (OverflowError); see its log"),
    ):
        bob, alice = wrapped(connect())
        await bob.give_up(failure)
        with pytest.raises(PeerWithdrew) as withdrawal:
            await alice.receive(Number)
        assert withdrawal.value.reason == told


async def test_giving_up_on_a_peer_that_is_gone_raises_nothing(connect: Connect) -> None:
    def gone(sender: str, number: int, message: object) -> Sequence[object]:
        raise ConnectionResetError

    bob, _ = wrapped(connect(gone))
    await bob.give_up(TransferFailed("the disk is full"))


def reserve(epoch: str = "epoch 1", pads: int = 2) -> AuthenticationReserve:
    lanes = (b"a" * 16 * (pads + 1), b"b" * 16 * (pads + 1))
    return AuthenticationReserve(epoch, ("alice", "bob"), lanes, b"m" * 32)


async def test_a_reserve_authenticates_as_many_messages_as_it_has_pads(connect: Connect) -> None:
    to_bob, to_alice = connect()
    bob = AuthenticatedPeer(to_bob, reserve(), "alice", "bob")
    alice = AuthenticatedPeer(to_alice, reserve(), "bob", "alice")
    for value in range(2):
        await bob.send(Number(value))
        assert await alice.receive(Number) == Number(value)
    with pytest.raises(ReserveExhausted, match="no pad of 'alice' is left in epoch 1"):
        await bob.send(Number(2))
    await bob.give_up(TransferFailed("nothing can be told any more"))


async def test_the_name_of_the_epoch_is_under_the_tag(connect: Connect) -> None:
    """The same pads in another epoch, which cannot be, would not authenticate either."""
    to_bob, to_alice = connect()
    await AuthenticatedPeer(to_bob, reserve("epoch 1"), "alice", "bob").send(Number(1))
    with pytest.raises(AuthenticationFailed):
        await AuthenticatedPeer(to_alice, reserve("epoch 2"), "bob", "alice").receive(Number)


async def test_a_reserve_serves_its_two_roles_only(connect: Connect) -> None:
    to_bob, _ = connect()
    with pytest.raises(ProgramInvalid, match="'charlie' is neither"):
        await AuthenticatedPeer(to_bob, reserve(), "charlie", "bob").send(Number(1))
