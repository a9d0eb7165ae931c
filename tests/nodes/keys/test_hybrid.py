"""The combiner: either secret alone protects the key, and no two inputs are mistaken for each other."""

from __future__ import annotations

import hmac
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nodes.keys.hybrid import combine, expanded_block, hybrid_block
from nodes.keys.secret import Secret
from nodes.keys.units import UNIT_BYTES
from tests.nodes.keys.key_lab import key_of_units

QKD, KEM, CONTEXT = bytes(range(32)), bytes(range(32, 64)), b"transcript"
secrets = st.lists(st.binary(max_size=8), min_size=1, max_size=4)


def test_the_combiner_gives_the_known_answer() -> None:
    """RFC 5869 written out: extract with a salt of zeros, expand by one block."""
    lengths = (32).to_bytes(8, "big")
    extracted = hmac.digest(bytes(32), lengths + QKD + lengths + KEM, "sha256")
    info = b"bellwire hybrid unit\0" + (10).to_bytes(8, "big") + CONTEXT
    assert combine("hybrid unit", [QKD, KEM], CONTEXT) == hmac.digest(extracted, info + b"\1", "sha256")
    pinned = "f695fc80ddd54d6e04fb328197331567707225c177efd42317ecbce6aff34251"
    assert combine("hybrid unit", [QKD, KEM], CONTEXT).hex() == pinned


@settings(deadline=None)
@given(secrets, secrets)
def test_different_secrets_are_never_the_same_input(one: list[bytes], other: list[bytes]) -> None:
    assume(one != other)
    assert combine("test", one, b"") != combine("test", other, b"")


def test_bytes_moved_from_one_secret_to_the_next_change_the_key() -> None:
    parts = [[b"ab", b"c"], [b"a", b"bc"], [b"abc", b""], [b"", b"abc"], [b"abc"]]
    assert len({combine("test", part, b"") for part in parts}) == len(parts)


@settings(deadline=None)
@given(st.binary(max_size=8), st.binary(max_size=8))
def test_purposes_and_contexts_are_kept_apart(context: bytes, other: bytes) -> None:
    assume(context != other)
    assert combine("test", [QKD], context) != combine("test", [QKD], other)
    assert combine("test", [QKD], context) != combine("tes", [QKD], b"t" + context)


def test_there_is_no_key_of_nothing() -> None:
    with pytest.raises(ValueError, match="no secret"):
        combine("test", [], b"")


def agreement(left: bytes, right: bytes) -> float:
    """Return the fraction of bits in which two strings agree."""
    bits = np.frombuffer(left, dtype=np.uint8) ^ np.frombuffer(right, dtype=np.uint8)
    return 1.0 - float(np.unpackbits(bits).mean())


@pytest.mark.parametrize("known", ["qkd", "kem"])
def test_who_knows_one_secret_learns_nothing_of_the_key(known: str) -> None:
    """With the other secret one bit different, 2^17 bits of key agree with the true ones as coins do.

    The fraction has a standard deviation of 0.5 / 2^8.5; 4.9 of them are passed with probability 1e-6.
    """
    units = 512
    block, shared = key_of_units(units), b"s" * 32
    true = hybrid_block(block, Secret(shared), CONTEXT)
    guess = bytearray(block)
    if known == "qkd":
        guessed = hybrid_block(block, Secret(b"r" + shared[1:]), CONTEXT)  # "r" and "s" differ in one bit
    else:
        guess[::UNIT_BYTES] = bytes(octet ^ 1 for octet in guess[::UNIT_BYTES])
        guessed = hybrid_block(bytes(guess), Secret(shared), CONTEXT)
    assert abs(agreement(true, guessed) - 0.5) < 4.9 * 0.5 / np.sqrt(8 * len(true))


def test_every_unit_of_a_block_has_a_key_of_its_own() -> None:
    same = bytes(UNIT_BYTES) * 50
    for block in (hybrid_block(same, Secret(KEM), CONTEXT), expanded_block(50, Secret(KEM), CONTEXT)):
        units = {block[start : start + UNIT_BYTES] for start in range(0, len(block), UNIT_BYTES)}
        assert len(block) == len(same)
        assert len(units) == 50
    assert hybrid_block(same, Secret(KEM), CONTEXT) != hybrid_block(same, Secret(KEM), sha256(b"x").digest())


def test_a_block_of_ml_kem_alone_is_not_that_of_a_hybrid() -> None:
    hybrid = hybrid_block(bytes(UNIT_BYTES), Secret(KEM), CONTEXT)
    assert hybrid != expanded_block(1, Secret(KEM), CONTEXT)
