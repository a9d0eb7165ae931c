"""The exchange by ML-KEM and ML-DSA: agreed between the two that are named, and by nobody else.

``kyber-py`` and ``dilithium-py`` are independent implementations of FIPS 203 and FIPS 204.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import shake_256

import pytest
from dilithium_py.ml_dsa import ML_DSA_65
from kyber_py.ml_kem import ML_KEM_768, ML_KEM_1024

from nodes.codec import decode, encode, joined
from nodes.identity import Identity
from nodes.keys.errors import ExchangeRefused
from nodes.keys.exchange import PARAMETER_SETS, KemAnswer, KemOffer, accept, finish, make_offer

SEEDS = {node: shake_256(node.encode()).digest(32) for node in ("alice", "bob", "eve")}
PUBLICS = {node: Identity.public_key_of(seed) for node, seed in SEEDS.items()}
ALICE, BOB, EVE = (Identity(node, seed, PUBLICS) for node, seed in SEEDS.items())
ORACLES = {"ML-KEM-768": ML_KEM_768, "ML-KEM-1024": ML_KEM_1024}
CONTEXT = b"bellwire key exchange"


def bare(parameters: str = "ML-KEM-768") -> KemOffer:
    return KemOffer("x1", "alice", "bob", parameters, "block", 7, b"")


@pytest.mark.parametrize("parameters", PARAMETER_SETS)
def test_both_ends_agree_on_a_secret_and_a_transcript(parameters: str) -> None:
    private_key, offer = make_offer(ALICE, bare(parameters))
    his, answer = accept(BOB, decode(KemOffer, encode(offer)))
    hers = finish(ALICE, private_key, offer, decode(KemAnswer, encode(answer)))
    assert hers == his
    assert (len(hers.secret), len(hers.transcript)) == (32, 32)
    again, _ = accept(BOB, offer)
    assert again.secret != his.secret
    assert again.transcript != his.transcript


@pytest.mark.parametrize("parameters", PARAMETER_SETS)
def test_an_independent_initiator_is_understood(parameters: str) -> None:
    encapsulation_key, decapsulation_key = ORACLES[parameters].keygen()
    unsigned = replace(bare(parameters), public_key=encapsulation_key)
    public_key, signing_key = ML_DSA_65.key_derive(SEEDS["alice"])
    assert public_key == PUBLICS["alice"]
    signature = ML_DSA_65.sign(signing_key, joined(b"bellwire offer", encode(unsigned)), ctx=CONTEXT)
    offer = replace(unsigned, signature=signature)
    his, answer = accept(BOB, offer)
    signed = joined(b"bellwire answer", encode(offer), answer.ciphertext)
    assert ML_DSA_65.verify(PUBLICS["bob"], signed, answer.signature, ctx=CONTEXT)
    assert ORACLES[parameters].decaps(decapsulation_key, answer.ciphertext) == his.secret.reveal()


@pytest.mark.parametrize("parameters", PARAMETER_SETS)
def test_an_independent_responder_is_understood(parameters: str) -> None:
    private_key, offer = make_offer(ALICE, bare(parameters))
    secret, ciphertext = ORACLES[parameters].encaps(offer.public_key)
    _, signing_key = ML_DSA_65.key_derive(SEEDS["bob"])
    signature = ML_DSA_65.sign(
        signing_key, joined(b"bellwire answer", encode(offer), ciphertext), ctx=CONTEXT
    )
    hers = finish(ALICE, private_key, offer, KemAnswer(ciphertext, signature))
    assert hers.secret.reveal() == secret


@pytest.mark.parametrize(
    "alter",
    [
        lambda offer: replace(offer, exchange="x2"),
        lambda offer: replace(offer, initiator="eve"),
        lambda offer: replace(offer, responder="eve"),
        lambda offer: replace(offer, parameters="ML-KEM-1024"),
        lambda offer: replace(offer, block="another"),
        lambda offer: replace(offer, units=8),
        lambda offer: replace(offer, public_key=make_offer(EVE, bare())[1].public_key),
        lambda offer: replace(offer, signature=bytes(3309)),
        lambda offer: replace(offer, signature=b""),
        lambda offer: make_offer(EVE, bare())[1],
        lambda offer: replace(offer, initiator="nobody"),
    ],
)
def test_an_altered_or_forged_offer_is_refused(alter: Callable[[KemOffer], KemOffer]) -> None:
    with pytest.raises(ExchangeRefused):
        accept(BOB, alter(make_offer(ALICE, bare())[1]))


def test_an_answer_from_eve_or_to_another_offer_is_refused() -> None:
    private_key, offer = make_offer(ALICE, bare())
    _, other = make_offer(ALICE, bare())
    _, answer = accept(BOB, offer)
    forgeries = [
        accept(EVE, offer)[1],
        accept(BOB, other)[1],
        replace(answer, ciphertext=accept(EVE, offer)[1].ciphertext),
        replace(answer, ciphertext=answer.ciphertext[:-1]),
    ]
    for forged in forgeries:
        with pytest.raises(ExchangeRefused):
            finish(ALICE, private_key, offer, forged)


def test_a_signature_for_another_purpose_does_not_hold() -> None:
    unsigned = replace(make_offer(ALICE, bare())[1], signature=b"")
    statement = joined(b"bellwire offer", encode(unsigned))
    with pytest.raises(ExchangeRefused):
        accept(BOB, replace(unsigned, signature=ALICE.sign(statement, b"epoch")))


def test_malformed_keys_and_ciphertexts_are_refused_even_when_signed() -> None:
    unsigned = replace(make_offer(ALICE, bare())[1], public_key=b"short", signature=b"")
    signature = ALICE.sign(joined(b"bellwire offer", encode(unsigned)), CONTEXT)
    with pytest.raises(ExchangeRefused, match="'alice' offers is no ML-KEM-768 key"):
        accept(BOB, replace(unsigned, signature=signature))
    private_key, offer = make_offer(ALICE, bare())
    signature = BOB.sign(joined(b"bellwire answer", encode(offer), b"short"), CONTEXT)
    with pytest.raises(ExchangeRefused, match="ciphertext of 'bob' is malformed"):
        finish(ALICE, private_key, offer, KemAnswer(b"short", signature))
    with pytest.raises(ExchangeRefused, match="no parameter set 'ML-KEM-512'"):
        make_offer(ALICE, bare("ML-KEM-512"))


def test_a_ciphertext_that_was_changed_and_signed_gives_other_secrets() -> None:
    """Implicit rejection (FIPS 203, 6.3): decapsulation does not fail, so nothing is told to who tries."""
    private_key, offer = make_offer(ALICE, bare())
    agreed, answer = accept(BOB, offer)
    changed = bytes([answer.ciphertext[0] ^ 1]) + answer.ciphertext[1:]
    signature = BOB.sign(joined(b"bellwire answer", encode(offer), changed), CONTEXT)
    hers = finish(ALICE, private_key, offer, KemAnswer(changed, signature))
    assert hers.secret != agreed.secret
    assert hers.transcript != agreed.transcript
