"""The fast hash is the matrix product over GF(2), and the matrices are a universal family."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nodes.ports import Bits
from nodes.qkd import toeplitz
from nodes.qkd.toeplitz import PrecisionLost, seed_length, toeplitz_hash


def multiplied(key: Bits, seed: Bits, hashed: int) -> Bits:
    """(T | I) key mod 2 with T[i, j] = seed[i - j + n - m - 1], written out."""
    columns = key.size - hashed
    if not seed.size:
        return key[columns:]
    i, j = np.indices((hashed, columns))
    product: Bits = ((seed[i - j + columns - 1].astype(int) @ key[:columns]) % 2).astype(np.uint8)
    return product ^ key[columns:]


@given(st.data(), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_the_hash_is_the_matrix_product(data: st.DataObject, size: int, number: int) -> None:
    hashed = data.draw(st.integers(0, size))
    rng = np.random.default_rng(number)
    key = rng.integers(0, 2, size, dtype=np.uint8)
    seed = rng.integers(0, 2, seed_length(size, hashed), dtype=np.uint8)
    assert np.array_equal(toeplitz_hash(key, seed, hashed), multiplied(key, seed, hashed))


@pytest.mark.parametrize("ones", [0.5, 0.999, 1.0, 0.0])
@pytest.mark.parametrize("precisions", [toeplitz.PRECISIONS, toeplitz.PRECISIONS[1:]])
def test_a_key_of_a_million_bits_is_hashed_exactly(
    ones: float, precisions: tuple[type, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toeplitz, "PRECISIONS", precisions)
    rng = np.random.default_rng(1)
    size, hashed = 1_000_003, 300_001
    key = (rng.random(size) < ones).astype(np.uint8)
    seed = rng.integers(0, 2, seed_length(size, hashed), dtype=np.uint8)
    result, columns = toeplitz_hash(key, seed, hashed), size - hashed
    for row in [0, hashed - 1, *rng.integers(0, hashed, 20).tolist()]:
        window = seed[row : row + columns][::-1]
        assert result[row] == (np.count_nonzero(window & key[:columns]) + key[columns + row]) % 2


@pytest.mark.thorough
def test_single_precision_is_enough_for_the_longest_keys() -> None:
    """Single precision, or what it is checked by, would give other bits than double precision."""
    rng = np.random.default_rng(4)
    key, seed = rng.integers(0, 2, (2, 10**7), dtype=np.uint8)
    single, double = (toeplitz._product(key[: 6 * 10**6], seed, each) for each in toeplitz.PRECISIONS)
    assert single is not None
    assert double is not None
    assert np.array_equal(single, double)


def test_the_hash_is_linear() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 2, (2, 500), dtype=np.uint8)
    seed = rng.integers(0, 2, seed_length(500, 100), dtype=np.uint8)
    together = toeplitz_hash(first ^ second, seed, 100)
    assert np.array_equal(together, toeplitz_hash(first, seed, 100) ^ toeplitz_hash(second, seed, 100))


@pytest.mark.parametrize(
    ("other", "share"),
    [([0, 0, 1, 1, 1, 0], 1 / 16), ([0, 1, 1, 1, 0, 1], 1 / 16), ([1, 0, 0, 0, 0, 0], 0.0)],
)
def test_different_keys_collide_as_often_as_a_universal_family_allows(other: list[int], share: float) -> None:
    """All 2^(n-1) seeds for one pair of keys: 2^-m of them collide, none where only the last m bits differ."""
    key, hashed = np.array([1, 0, 1, 1, 0, 0], np.uint8), 4
    bits = seed_length(key.size, hashed)
    seeds = np.unpackbits(np.arange(2**bits, dtype=">u2").view(np.uint8)).reshape(-1, 16)[:, 16 - bits :]
    collisions = sum(
        np.array_equal(
            toeplitz_hash(key, seed, hashed), toeplitz_hash(np.array(other, np.uint8), seed, hashed)
        )
        for seed in seeds
    )
    assert collisions == share * 2**bits


def test_where_single_precision_is_not_enough_double_precision_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    key, seed = rng.integers(0, 2, 100_000, dtype=np.uint8), rng.integers(0, 2, 99_999, dtype=np.uint8)
    exact = toeplitz_hash(key, seed, 1000)
    # between the rounding errors of the two: 1e-4 and 1e-12
    monkeypatch.setattr(toeplitz, "LARGEST_ROUNDING_ERROR", 1e-8)
    assert toeplitz._product(key[:-1000], seed, np.float32) is None
    assert np.array_equal(toeplitz_hash(key, seed, 1000), exact)


def test_lost_precision_is_an_error_and_no_wrong_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toeplitz, "LARGEST_ROUNDING_ERROR", 0.0)
    with pytest.raises(PrecisionLost, match="shorter blocks"):
        toeplitz_hash(np.ones(10, np.uint8), np.ones(9, np.uint8), 5)


def test_a_seed_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="9 seed bits"):
        toeplitz_hash(np.ones(10, np.uint8), np.ones(14, np.uint8), 5)


def test_a_hash_longer_than_the_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="10 bits cannot be hashed to 11"):
        toeplitz_hash(np.ones(10, np.uint8), np.ones(9, np.uint8), 11)


@given(st.integers(1, 10**8))
@example(13)  # 14 has a factor 7: it takes 16
def test_transforms_have_short_factors_and_little_to_spare(least: int) -> None:
    points = toeplitz._fast_length(least)
    assert least <= points <= max(1.2 * least, least + 3)
    for factor in (2, 3, 5):
        while points % factor == 0:
            points //= factor
    assert points == 1
