"""A key keeps itself to itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from nodes.codec import encode
from nodes.qkd.key import Key

BITS = np.random.default_rng(1).integers(0, 2, 512, dtype=np.uint8)


def test_the_text_of_a_key_shows_its_length_and_no_bit() -> None:
    assert repr(Key(BITS)) == str(Key(BITS)) == f"{Key(BITS)}" == "<Key of 512 secret bits>"


def test_no_message_can_hold_a_key() -> None:
    @dataclass(frozen=True)
    class Leak:
        key: Key

    with pytest.raises(TypeError, match="cannot hold a Key"):
        encode(Leak(Key(BITS)))


def test_a_key_is_not_changed_from_outside() -> None:
    bits = BITS.copy()
    key = Key(bits)
    bits[0] ^= 1
    key.bits()[1] ^= 1
    assert np.array_equal(key.bits(), BITS)


def test_equal_bits_make_equal_keys() -> None:
    assert Key(BITS) == Key(BITS.copy())
    assert Key(BITS) != Key(1 - BITS)
    assert Key(BITS) != Key(BITS[:-1])
    assert Key(BITS) != "a key"


def test_a_key_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Key(BITS))


def test_each_purpose_has_its_own_aes_key() -> None:
    key = Key(BITS)
    assert len(key.aes256("files")) == 32
    assert key.aes256("files") == Key(BITS).aes256("files")
    assert key.aes256("files") != key.aes256("messages")
