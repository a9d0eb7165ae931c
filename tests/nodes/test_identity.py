"""A node is who can sign with its key, and nobody else is."""

from __future__ import annotations

import pytest

from nodes.errors import AuthenticationFailed, ProgramInvalid
from nodes.identity import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Identity, IdentityRefused

ALICE_SEED, BOB_SEED = b"a" * 32, b"b" * 32


def alice() -> Identity:
    return Identity("alice", ALICE_SEED, {"bob": Identity.public_key_of(BOB_SEED)})


def bob() -> Identity:
    return Identity("bob", BOB_SEED, {"alice": Identity.public_key_of(ALICE_SEED)})


def test_who_knows_the_public_key_accepts_the_signature() -> None:
    signature = alice().sign(b"data", b"purpose")
    assert len(signature) == SIGNATURE_BYTES
    assert len(Identity.public_key_of(ALICE_SEED)) == PUBLIC_KEY_BYTES
    bob().verify("alice", signature, b"data", b"purpose")


def test_a_signature_is_worth_nothing_for_other_data_or_another_purpose() -> None:
    signature = alice().sign(b"data", b"purpose")
    for data, context in ((b"Data", b"purpose"), (b"data", b"Purpose"), (b"data", b""), (b"", b"purpose")):
        with pytest.raises(IdentityRefused, match="is not: someone stands between 'bob' and 'alice'"):
            bob().verify("alice", signature, data, context)


@pytest.mark.parametrize("place", [0, 1, 31, 48, 1000, 3252, 3308])
def test_a_signature_with_a_flipped_bit_is_refused(place: int) -> None:
    forged = bytearray(alice().sign(b"data", b"purpose"))
    forged[place] ^= 1
    with pytest.raises(IdentityRefused):
        bob().verify("alice", bytes(forged), b"data", b"purpose")


@pytest.mark.parametrize("signature", [b"", b"\0" * SIGNATURE_BYTES, b"\0" * (SIGNATURE_BYTES + 1)])
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(IdentityRefused):
        bob().verify("alice", signature, b"data", b"purpose")


def test_who_signs_with_another_key_is_refused_under_every_name() -> None:
    mallory = Identity("alice", b"m" * 32, {})
    with pytest.raises(IdentityRefused):
        bob().verify("alice", mallory.sign(b"data", b"purpose"), b"data", b"purpose")
    with pytest.raises(IdentityRefused, match=r"no public key of 'mallory'.*it knows alice"):
        bob().verify("mallory", mallory.sign(b"data", b"purpose"), b"data", b"purpose")
    with pytest.raises(IdentityRefused, match="it knows nobody"):
        mallory.verify("bob", bob().sign(b"data", b"purpose"), b"data", b"purpose")


def test_a_refused_identity_is_a_failed_authentication() -> None:
    assert issubclass(IdentityRefused, AuthenticationFailed)


def test_keys_of_another_length_are_refused_before_they_are_used() -> None:
    with pytest.raises(ProgramInvalid, match="32 bytes, not 31"):
        Identity("alice", b"a" * 31, {})
    with pytest.raises(ProgramInvalid, match="public key of 'bob' has 5 bytes"):
        Identity("alice", ALICE_SEED, {"bob": b"short"})
    with pytest.raises(ProgramInvalid, match="32 bytes, not 0"):
        Identity.public_key_of(b"")


def test_an_identity_shows_nothing_of_its_key() -> None:
    assert repr(alice()) == str(alice()) == "<Identity of alice, who knows 1 other nodes>"
