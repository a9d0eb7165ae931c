"""Two nodes that know each other's public keys begin an epoch, and nobody else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nodes.errors import AuthenticationFailed, DeadlinePassed, NodeError, ProgramInvalid, ProtocolViolation
from nodes.identity import Identity, IdentityRefused
from nodes.ports import Peer
from nodes.qkd import epochs
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.epochs import Confirmation, Epoch, EpochTerms, Offer
from tests.nodes.qkd.handshakes import TERMS, Converse, Identities, alices, bobs


@dataclass(frozen=True, slots=True)
class Number:
    value: int


def keys(epoch: Epoch, conversation: str) -> list[tuple[bytes, bytes]]:
    kept = epoch.reserve(conversation)
    taken = [kept.take(role) for role in ("alice", "bob") for _ in range(TERMS.pads)]
    return [(key.point, key.pad) for key in taken]


async def test_both_ends_get_the_same_epoch(converse: Converse, identities: Identities) -> None:
    alice, bob = await converse(alices(identities["alice"]), bobs(identities["bob"]))
    assert alice.name == bob.name
    assert len(alice.name) == 32
    assert keys(alice, "distilling") == keys(bob, "distilling")


async def test_conversations_and_epochs_have_no_key_in_common(
    converse: Converse, identities: Identities
) -> None:
    """A seed repeats a run, and not the secrets of an epoch."""
    pads: list[bytes] = []
    points: set[bytes] = set()
    names: set[str] = set()
    for _ in range(10):
        epoch, _ = await converse(alices(identities["alice"]), bobs(identities["bob"]))
        names.add(epoch.name)
        for conversation in ("sifting", "distilling"):
            taken = keys(epoch, conversation)
            points |= {point for point, _ in taken}
            pads += [pad for _, pad in taken]
    assert len(names) == 10
    assert len(points) == 10 * 2 * 2
    assert len(set(pads)) == len(pads) == 10 * 2 * 2 * TERMS.pads


async def test_the_pads_of_a_conversation_are_given_away_once(
    converse: Converse, identities: Identities
) -> None:
    epoch, _ = await converse(alices(identities["alice"]), bobs(identities["bob"]))
    epoch.reserve("sifting")
    with pytest.raises(ProgramInvalid, match=f"'sifting' in epoch {epoch.name} have been given away"):
        epoch.reserve("sifting")


async def test_an_epoch_carries_authenticated_messages(converse: Converse, identities: Identities) -> None:
    async def alice(peer: Peer) -> int:
        epoch = await alices(identities["alice"])(peer)
        bob = AuthenticatedPeer(peer, epoch.reserve("link"), "alice", "bob")
        await bob.send(Number(17))
        return (await bob.receive(Number)).value

    async def bob(peer: Peer) -> int:
        epoch = await bobs(identities["bob"])(peer)
        alice = AuthenticatedPeer(peer, epoch.reserve("link"), "bob", "alice")
        asked = (await alice.receive(Number)).value
        await alice.send(Number(asked + 1))
        return asked

    assert await converse(alice, bob) == (18, 17)


async def test_an_epoch_shows_nothing_but_its_name(converse: Converse, identities: Identities) -> None:
    epoch, _ = await converse(alices(identities["alice"]), bobs(identities["bob"]))
    assert repr(epoch) == str(epoch) == f"<Epoch {epoch.name}>"


@pytest.mark.parametrize(
    "terms", [replace(TERMS, lab="rural"), replace(TERMS, link="bob-charlie"), replace(TERMS, pads=5)]
)
async def test_other_terms_end_the_handshake(
    converse: Converse, identities: Identities, terms: EpochTerms
) -> None:
    results = await converse(alices(identities["alice"], terms), bobs(identities["bob"]))
    assert all(isinstance(result, NodeError) for result in results)


async def test_another_version_is_named(
    converse: Converse, identities: Identities, monkeypatch: pytest.MonkeyPatch
) -> None:
    def downgrade(sender: str, number: int, message: Any) -> Sequence[object]:
        return [replace(message, version=0) if isinstance(message, Offer) else message]

    alice, bob = await converse(alices(identities["alice"]), bobs(identities["bob"]), downgrade)
    assert "offers an epoch of version 0 with 4 pads a lane, where version 1 with 4 is set" in str(bob)
    assert isinstance(alice, DeadlinePassed)


async def test_what_both_were_made_to_believe_is_found(converse: Converse, identities: Identities) -> None:
    """Eve tells Bob, who is set to fewer pads, that Alice is, too: his signature does not fit Alice's offer."""

    def downgrade(sender: str, number: int, message: Any) -> Sequence[object]:
        return [replace(message, pads=1) if isinstance(message, Offer) else message]

    alice, bob = await converse(
        alices(identities["alice"]), bobs(identities["bob"], replace(TERMS, pads=1)), downgrade
    )
    assert isinstance(alice, IdentityRefused)
    assert isinstance(bob, DeadlinePassed)


@pytest.mark.parametrize("pads", [0, -1, epochs.MOST_PADS + 1])
def test_a_reserve_that_cannot_be_filled_is_refused(pads: int) -> None:
    with pytest.raises(ProgramInvalid, match=f"a reserve of {pads} pads"):
        replace(TERMS, pads=pads)


async def test_the_largest_reserve_can_be_filled(converse: Converse, identities: Identities) -> None:
    largest = replace(TERMS, pads=epochs.MOST_PADS)
    alice, _ = await converse(alices(identities["alice"], largest), bobs(identities["bob"], largest))
    assert alice.reserve("link").remaining() == epochs.MOST_PADS


@pytest.mark.parametrize("impersonated", ["alice", "bob"])
async def test_who_signs_with_another_key_is_refused(
    converse: Converse, identities: Identities, impersonated: str
) -> None:
    forged = {
        **identities,
        impersonated: Identity(impersonated, b"m" * 32, {
            name: Identity.public_key_of(name.encode().ljust(32)) for name in ("alice", "bob")
        }),
    }  # fmt: skip
    results = dict(
        zip(("alice", "bob"), await converse(alices(forged["alice"]), bobs(forged["bob"])), strict=True)
    )
    honest = "bob" if impersonated == "alice" else "alice"
    assert isinstance(results[honest], IdentityRefused)


async def test_mallory_in_the_middle_has_an_epoch_with_nobody(
    converse: Converse, identities: Identities
) -> None:
    """She answers Alice as Bob and offers Bob an epoch as Alice, with keys of her own."""
    as_bob, as_alice = (
        Identity(name, b"m" * 32, {
            friend: Identity.public_key_of(friend.encode().ljust(32)) for friend in ("alice", "bob")
        })
        for name in ("bob", "alice")
    )  # fmt: skip
    alice, her_epoch_with_alice = await converse(alices(identities["alice"]), bobs(as_bob))
    her_epoch_with_bob, bob = await converse(alices(as_alice), bobs(identities["bob"]))
    assert isinstance(alice, IdentityRefused)
    assert isinstance(bob, IdentityRefused)
    assert isinstance(her_epoch_with_alice, DeadlinePassed)
    assert isinstance(her_epoch_with_bob, Epoch)  # of which Bob knows nothing


async def test_a_node_without_our_public_key_refuses_us(converse: Converse, identities: Identities) -> None:
    lonely = Identity("bob", b"bob".ljust(32), {})
    alice, bob = await converse(alices(identities["alice"]), bobs(lonely))
    assert isinstance(alice, Epoch)
    assert "no public key of 'alice'" in str(bob)


async def test_an_epoch_that_only_alice_has_leads_to_nothing(
    converse: Converse, identities: Identities
) -> None:
    """The last message lost: Bob waits for it, and Alice's first authenticated message is not it."""

    async def alice(peer: Peer) -> int:
        epoch = await alices(identities["alice"])(peer)
        bob = AuthenticatedPeer(peer, epoch.reserve("link"), "alice", "bob")
        await bob.send(Number(17))
        return (await bob.receive(Number)).value

    def withhold(sender: str, number: int, message: Any) -> Sequence[object]:
        return [] if isinstance(message, Confirmation) else [message]

    results = await converse(alice, bobs(identities["bob"]), withhold)
    assert isinstance(results[0], DeadlinePassed)
    assert isinstance(results[1], ProtocolViolation)


async def test_messages_of_an_older_epoch_are_refused(converse: Converse, identities: Identities) -> None:
    """Eve keeps the first message of an epoch and delivers it as that of the next."""
    kept: list[Any] = []

    async def alice(peer: Peer) -> None:
        for name in ("old", "new"):
            epoch = await alices(identities["alice"])(peer)
            await AuthenticatedPeer(peer, epoch.reserve("link"), "alice", "bob").send(Number(len(name)))

    async def bob(peer: Peer) -> None:
        for _ in range(2):
            epoch = await bobs(identities["bob"])(peer)
            await AuthenticatedPeer(peer, epoch.reserve("link"), "bob", "alice").receive(Number)

    def replay(sender: str, number: int, message: Any) -> Sequence[object]:
        if sender == "alice" and number in (2, 5):
            kept.append(message)
            return [kept[0]]
        return [message]

    results = await converse(alice, bob, replay)
    assert len(kept) == 2
    assert isinstance(results[1], AuthenticationFailed)


async def test_the_secret_depends_on_both_exchanges(converse: Converse, identities: Identities) -> None:
    """Who breaks one of ML-KEM and X25519 knows half of what the pads are derived from, and so none of them."""
    offer = Offer(1, 4, b"n" * 32, b"k" * 1184, b"x" * 32)
    transcript = epochs.Transcript("metro", "link", "alice", "bob", offer, epochs.Answer(b"m", b"c", b"y"))
    pads = [
        pad
        for secrets in (b"k" * 32 + b"x" * 32, b"K" * 32 + b"x" * 32, b"k" * 32 + b"X" * 32)
        for pad in keys(Epoch(transcript, secrets), "link")
    ]
    assert len(set(pads)) == len(pads)
