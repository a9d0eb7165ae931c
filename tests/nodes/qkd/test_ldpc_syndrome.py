"""A syndrome is H x, linear in x, and that for a finer code follows from the coarse one and the new rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.qkd.ldpc_codes import code, refine
from nodes.qkd.ldpc_syndrome import refined_syndrome, syndromes


@pytest.mark.parametrize("shape", [(64, 8, 16), (38, 12, 8), (128, 40, 11)])
def test_a_syndrome_is_the_parity_of_each_check(shape: tuple[int, int, int]) -> None:
    made = code(*shape)
    words = np.random.default_rng(1).integers(0, 2, (3, made.size), dtype=np.uint8)
    expected = np.zeros((3, len(made.rows), made.lift), dtype=np.uint8)
    for row, edges in enumerate(made.rows):
        for lane in range(made.lift):
            bits = [column * made.lift + (lane + shift) % made.lift for column, shift in edges]
            expected[:, row, lane] = words[:, bits].sum(axis=1) % 2
    assert np.array_equal(syndromes(words, made), expected.reshape(3, -1))
    assert np.array_equal(syndromes(words, made, 3), expected[:, 3:].reshape(3, -1))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_syndromes_are_linear(seed: int) -> None:
    made = code(64, 8, 16)
    first, second = np.random.default_rng(seed).integers(0, 2, (2, made.size), dtype=np.uint8)
    together = syndromes(np.array([first, second, first ^ second]), made)
    assert np.array_equal(together[0] ^ together[1], together[2])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_a_finer_syndrome_follows_from_the_parities_of_the_new_rows(cuts: int, seed: int) -> None:
    coarse = code(64, 8, 16)
    fine, parents = refine(coarse, cuts)
    word = np.random.default_rng(seed).integers(0, 2, (1, coarse.size), dtype=np.uint8)
    told = syndromes(word, fine, len(coarse.rows))[0]
    assert told.size == cuts * coarse.lift
    whole = refined_syndrome(syndromes(word, coarse)[0], told, parents, coarse.lift)
    assert np.array_equal(whole, syndromes(word, fine)[0])
