"""The fast Toeplitz hash is the matrix product over GF(2)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.ports import Bits
from nodes.qkd import toeplitz
from nodes.qkd.toeplitz import PrecisionLost, seed_length, toeplitz_hash


def multiplied(key: Bits, seed: Bits, hashed: int) -> Bits:
    """T key mod 2 with T[i, j] = seed[i - j + n - 1], written out."""
    rows, columns = np.indices((hashed, key.size))
    product: Bits = ((seed[rows - columns + key.size - 1].astype(int) @ key) % 2).astype(np.uint8)
    return product


@given(st.integers(1, 200), st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_the_hash_is_the_matrix_product(size: int, hashed: int, number: int) -> None:
    rng = np.random.default_rng(number)
    key = rng.integers(0, 2, size, dtype=np.uint8)
    seed = rng.integers(0, 2, seed_length(size, hashed), dtype=np.uint8)
    assert np.array_equal(toeplitz_hash(key, seed, hashed), multiplied(key, seed, hashed))


def test_a_key_of_a_million_bits_is_hashed_exactly() -> None:
    rng = np.random.default_rng(1)
    size, hashed = 1_000_003, 300_001
    key = rng.integers(0, 2, size, dtype=np.uint8)
    seed = rng.integers(0, 2, seed_length(size, hashed), dtype=np.uint8)
    result = toeplitz_hash(key, seed, hashed)
    for row in rng.integers(0, hashed, 20).tolist():
        window = seed[row : row + size][::-1]
        assert result[row] == np.count_nonzero(window & key) % 2


def test_the_hash_is_linear() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 2, (2, 500), dtype=np.uint8)
    seed = rng.integers(0, 2, seed_length(500, 100), dtype=np.uint8)
    together = toeplitz_hash(first ^ second, seed, 100)
    assert np.array_equal(together, toeplitz_hash(first, seed, 100) ^ toeplitz_hash(second, seed, 100))


def test_different_keys_collide_as_often_as_a_universal_family_allows() -> None:
    """All 2^(n+m-1) seeds for one pair of keys: exactly 2^-m of them collide."""
    size, hashed = 6, 4
    key, other = np.array([1, 0, 1, 1, 0, 0], np.uint8), np.array([0, 0, 1, 1, 1, 0], np.uint8)
    bits = seed_length(size, hashed)
    seeds = np.unpackbits(np.arange(2**bits, dtype=">u2").view(np.uint8)).reshape(-1, 16)[:, 16 - bits :]
    collisions = sum(
        np.array_equal(toeplitz_hash(key, seed, hashed), toeplitz_hash(other, seed, hashed)) for seed in seeds
    )
    assert collisions == 2**bits // 2**hashed


def test_lost_precision_is_an_error_and_no_wrong_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toeplitz, "LARGEST_ROUNDING_ERROR", 0.0)
    with pytest.raises(PrecisionLost, match="shorter blocks"):
        toeplitz_hash(np.ones(10, np.uint8), np.ones(14, np.uint8), 5)


def test_a_seed_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="14 seed bits"):
        toeplitz_hash(np.ones(10, np.uint8), np.ones(15, np.uint8), 5)
