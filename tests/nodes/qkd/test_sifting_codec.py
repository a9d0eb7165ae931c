"""Clicks travel in few bits and in one way only."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.errors import ProtocolViolation
from nodes.qkd.sifting_codec import (
    decode_classes,
    decode_indices,
    decode_marks,
    encode_classes,
    encode_indices,
    encode_marks,
)

below_and_indices = st.integers(1, 2**40).flatmap(
    lambda below: st.tuples(st.just(below), st.sets(st.integers(0, below - 1), max_size=50))
)


@given(below_and_indices)
def test_indices_are_decoded_to_what_they_were(encoded: tuple[int, set[int]]) -> None:
    below, indices = encoded
    ascending = np.array(sorted(indices), dtype=np.int64)
    received = encode_indices(ascending, below)
    assert decode_indices(received, len(indices), below).tolist() == sorted(indices)


@given(st.binary(max_size=30), st.integers(0, 40), st.integers(1, 2**20))
def test_what_can_be_decoded_is_the_code_of_what_comes_out(received: bytes, number: int, below: int) -> None:
    """Canonical: no two messages mean the same, and nonsense of any kind is refused."""
    try:
        indices = decode_indices(received, number, below)
    except ProtocolViolation:
        return
    assert len(indices) == number
    assert (np.diff(indices) > 0).all()
    assert not number or (indices[0] >= 0 and indices[-1] < below)
    assert encode_indices(indices, below) == received


@given(st.data(), st.integers(0, 200))
def test_whatever_is_altered_is_refused_or_means_something_else(data: st.DataObject, size: int) -> None:
    rng = np.random.default_rng(size)
    marks = (rng.random(size) < data.draw(st.sampled_from([0.05, 0.5]))).astype(np.uint8)
    received = bytearray(encode_marks(marks))
    place, flips = data.draw(st.integers(0, len(received) - 1)), data.draw(st.integers(1, 255))
    received[place] ^= flips
    try:
        other = decode_marks(bytes(received), size)
    except ProtocolViolation:
        return
    assert not np.array_equal(other, marks)
    assert encode_marks(other) == received


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 1000])
def test_marks_are_decoded_to_what_they_were(share: float, size: int) -> None:
    marks = (np.random.default_rng(1).random(size) < share).astype(np.uint8)
    received = encode_marks(marks)
    assert np.array_equal(decode_marks(received, size), marks)
    assert len(received) <= 4 + (size + 7) // 8 + 2


@pytest.mark.parametrize("kinds", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_classes_are_decoded_to_what_they_were(kinds: int, size: int) -> None:
    classes = np.random.default_rng(1).integers(0, kinds, size, dtype=np.uint8)
    received = encode_classes(classes, kinds)
    assert len(received) == kinds - 1
    assert np.array_equal(decode_classes(received, size, kinds), classes)


def entropy(share: float) -> float:
    return -share * log2(share) - (1 - share) * log2(1 - share)


@pytest.mark.thorough
@pytest.mark.parametrize("share", [1e-5, 1e-3, 0.0413, 0.1, 0.3])
def test_no_code_could_be_much_shorter(share: float) -> None:
    """Within 4 % of the entropy of clicks that come at random."""
    rng, pulses = np.random.default_rng(2), round(50_000 / share)
    indices = (
        np.flatnonzero(rng.random(pulses) < share)
        if share > 1e-4
        else np.unique(rng.integers(0, pulses, 50_000))
    )
    assert 8 * len(encode_indices(indices, pulses)) <= 1.04 * pulses * entropy(len(indices) / pulses)


@pytest.mark.parametrize(
    "decode",
    [
        lambda: decode_indices(b"", 1, 10),
        lambda: decode_indices(b"\x80", 0, 10),
        lambda: decode_indices(b"\xff", 3, 2),
        lambda: decode_indices(bytes(10**6), 3, 100),
        lambda: decode_marks(b"\x00\x00\x00", 5),
        lambda: decode_marks(b"\x00\x00\x00\x06\xff", 5),
        lambda: decode_classes((), 5, 2),
        lambda: decode_classes((encode_marks(np.ones(5, np.uint8)),) * 2, 5, 2),
    ],
)
def test_nonsense_is_a_violation(decode: Callable[[], Any]) -> None:
    with pytest.raises(ProtocolViolation):
        decode()
