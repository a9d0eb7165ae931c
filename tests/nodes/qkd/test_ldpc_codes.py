"""Codes have no short cycles, the degrees asked for, and are the same everywhere; finer ones are cut from them."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.qkd.ldpc_codes import Code, code, refine
from nodes.qkd.ldpc_degrees import FRACTIONS, LARGEST_DEGREE, column_degrees

SHAPES = [(512, 51, 12), (256, 15, 24), (256, 100, 8), (125, 20, 8), (38, 12, 8), (32, 6, 9)]


def matrix(of: Code) -> NDArray[np.int64]:
    """Return the whole parity-check matrix."""
    checks = np.zeros((len(of.rows), of.lift, of.columns, of.lift), dtype=np.int64)
    lanes = np.arange(of.lift)
    for row, edges in enumerate(of.rows):
        for column, shift in edges:
            checks[row, lanes, column, (lanes + shift) % of.lift] += 1
    return checks.reshape(of.checks, of.size)


def degrees(of: Code) -> Counter[int]:
    """Return how many block columns there are of each degree."""
    return Counter(Counter(column for row in of.rows for column, _ in row).values())


@pytest.mark.parametrize("shape", SHAPES)
def test_no_two_checks_share_two_bits(shape: tuple[int, int, int]) -> None:
    """Then the shortest cycle has six edges at least."""
    checks = matrix(code(*shape)).astype(np.float32)
    assert checks.max() == 1
    shared = checks @ checks.T
    np.fill_diagonal(shared, 0)
    assert shared.max() == 1


@pytest.mark.parametrize("rows", [26, 51, 77, 180])
def test_columns_have_the_degrees_asked_for_and_checks_are_alike(rows: int) -> None:
    made = code(512, rows, 1024)
    assert degrees(made) == Counter(column_degrees(512, rows))
    widths = Counter(map(len, made.rows))
    assert max(widths) - min(widths) <= 1


@settings(deadline=None, max_examples=6)
@given(st.integers(32, 512), st.floats(0.012, 0.9), st.integers(8, 64))
def test_every_bit_is_checked(columns: int, share: float, lift: int) -> None:
    made = code(columns, max(6, int(columns * share)), lift)
    assert degrees(made).total() == columns
    assert all(len({edge.column for edge in row}) == len(row) for row in made.rows)
    assert all(0 <= edge.shift < lift for row in made.rows for edge in row)


def test_the_same_code_is_made_everywhere() -> None:
    """The parties' machines, numpy and Python versions may differ; their codes may not."""
    made = code(512, 51, 1024)
    content = b"".join(part.astype("<i8").tobytes() for part in (made.starts, made.edges))
    assert sha256(content).hexdigest() == "b717d404db39dc1c347d08f1a2f3f9c1cd29965f28b795b3205a154d538c500a"


def test_fractions_are_whole_and_bits_of_degree_2_are_fewer_than_checks() -> None:
    for share, fractions in FRACTIONS.items():
        assert sum(fractions.values()) == pytest.approx(1.0, abs=5e-4)
        assert fractions[2] < share
        assert max(fractions) <= LARGEST_DEGREE


@settings(deadline=None, max_examples=30)
@given(st.integers(6, 60), st.integers(0, 60))
def test_a_finer_code_has_the_rows_of_the_coarse_one_in_pieces(rows: int, cuts: int) -> None:
    coarse = code(128, rows, 8)
    fine, parents = refine(coarse, cuts)
    assert len(fine.rows) == rows + cuts
    assert degrees(fine) == degrees(coarse)
    pieces = [list(row) for row in fine.rows]
    for number in range(cuts - 1, -1, -1):
        pieces[parents[number]] += pieces[rows + number]
    assert [sorted(row) for row in pieces[:rows]] == [sorted(row) for row in coarse.rows]
    assert max(map(len, fine.rows)) <= max(map(len, coarse.rows))


def test_cuts_one_after_the_other_are_the_cuts_at_once() -> None:
    """Bob asks twice, Alice is asked twice: both come to the code of one longer wish."""
    coarse = code(512, 51, 16)
    assert refine(refine(coarse, 7).code, 20).code.rows == refine(coarse, 27).code.rows


def test_a_row_of_one_edge_is_not_cut() -> None:
    with pytest.raises(ValueError, match="one edge"):
        refine(code(32, 6, 8), 500)
