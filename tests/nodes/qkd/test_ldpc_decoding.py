"""The decoder finds the errors that codes of their rate can correct; compiled or not, it does the same to the bit."""

from __future__ import annotations

from math import log1p

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.ports import Bits
from nodes.qkd import ldpc_decoding
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.ldpc_codes import Code, code, refine
from nodes.qkd.ldpc_decoding import CAP, LARGEST, SCALE, combine, compiled, find_errors, settle
from nodes.qkd.ldpc_degrees import LARGEST_DEGREE
from nodes.qkd.ldpc_syndrome import syndromes


def drawn(size: int, qber: float, seed: int) -> Bits:
    return (np.random.default_rng(seed).random(size) < qber).astype(np.uint8)


def found(errors: Bits, of: Code, qber: float) -> Bits | None:
    return find_errors(syndromes(errors[np.newaxis], of)[0], of, qber, of.size)


def test_reliabilities_combine_as_those_of_a_sum_of_bits() -> None:
    """x [+] y = 2 artanh(tanh(x/2) tanh(y/2)), within two units of 1/42.5."""
    x, y = np.meshgrid(np.arange(0, 600, 7), np.arange(0, 600, 5))
    exact = [
        min(a, b) + SCALE * (log1p(np.exp(-(a + b) / SCALE)) - log1p(np.exp(-abs(a - b) / SCALE)))
        for a, b in zip(x.flat, y.flat, strict=True)
    ]
    ours = combine(x.astype(np.int16), y.astype(np.int16))
    assert np.abs(ours.reshape(-1) - exact).max() < 2.0
    assert combine(np.array([LARGEST], dtype=np.int16), np.array([37], dtype=np.int16)) == 37


def test_no_sum_leaves_16_bits() -> None:
    assert LARGEST + LARGEST < 2**15
    assert CAP * LARGEST_DEGREE + ldpc_decoding.KNOWN < 2**15


@pytest.mark.parametrize(("share", "excess"), [(0.05, 1.3), (0.1, 1.25), (0.2, 1.2), (0.5, 1.2)])
@pytest.mark.parametrize("cuts", [0, 9])
def test_the_compiled_decoder_does_the_same_to_the_bit(
    share: float, excess: float, cuts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both where errors are found and where they are not: what is believed in the end is the same."""
    pytest.importorskip("numba")
    kernel = compiled()
    assert kernel is not None
    for module in (ldpc_decoding, kernel):
        monkeypatch.setattr(module, "ITERATIONS", 12)
    of, _ = refine(code(128, round(128 * share), 37), cuts)
    for qber in (_qber(share / excess), _qber(share)):
        signs = -syndromes(drawn(of.size, qber, 3)[np.newaxis], of)[0].astype(np.int16)
        ours, theirs = (np.full(of.size, 200, dtype=np.int16) for _ in range(2))
        ours[-50:] = theirs[-50:] = ldpc_decoding.KNOWN
        assert settle(ours, signs, of) == kernel.settle(theirs, signs, of)
        assert np.array_equal(ours, theirs)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("rows", "excess"), [(15, 2.1), (26, 1.45), (51, 1.26), (77, 1.20), (128, 1.18), (180, 1.17), (256, 1.18)]
)
def test_frames_that_have_their_parities_are_corrected(rows: int, excess: float) -> None:
    """Errors are drawn in the number expected, so that no frame has bad luck; of 300, at most five failed then.

    Were it one in 50, five or more of ten would fail with 8e-7; the seeds make it the same ten in every run.
    """
    of = code(512, rows, 40)
    qber = _qber(rows / 512 / excess)
    corrected = 0
    for seed in range(10):
        errors = np.zeros(of.size, dtype=np.uint8)
        errors[np.random.default_rng(seed).permutation(of.size)[: round(qber * of.size)]] = 1
        result = found(errors, of, qber)
        corrected += result is not None
        assert result is None or np.array_equal(result, errors)
    assert corrected > 5


def test_errors_beyond_shannons_limit_are_not_found() -> None:
    of = code(512, 51, 32)
    for seed in range(3):
        assert found(drawn(of.size, _qber(51 / 512) * 1.1, seed), of, 0.015) is None


def test_no_error_is_found_where_there_is_none() -> None:
    of = code(128, 16, 16)
    result = found(np.zeros(of.size, dtype=np.uint8), of, 0.01)
    assert result is not None
    assert not result.any()


@settings(deadline=None, max_examples=15)
@given(st.integers(1000, 1900), st.integers(0, 2**32 - 1))
def test_known_bits_are_never_thought_wrong(size: int, seed: int) -> None:
    of = code(128, 40, 16)
    errors = drawn(of.size, 0.03, seed)
    errors[size:] = 0
    result = find_errors(syndromes(errors[np.newaxis], of)[0], of, 0.03, size)
    assert result is not None
    assert np.array_equal(result, errors)


def test_without_numba_the_decoder_works(monkeypatch: pytest.MonkeyPatch) -> None:
    of = code(128, 30, 40)
    errors = drawn(of.size, 0.025, 8)
    fast = found(errors, of, 0.025)
    monkeypatch.setattr(ldpc_decoding, "compiled", lambda: None)
    slow = found(errors, of, 0.025)
    assert fast is not None
    assert slow is not None
    assert np.array_equal(fast, slow)
    assert np.array_equal(slow, errors)


def _qber(entropy: float) -> float:
    low, high = 0.0, 0.5
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if binary_entropy(middle) < entropy else (low, middle)
    return low
