"""Syndromes: the parities of a word that a code asks for, and what they say of the errors in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits
from nodes.qkd.ldpc_codes import Code


def syndromes(words: Bits, code: Code, first: int = 0) -> Bits:
    """Return the parities H x of each word x, from block row ``first`` on.

    Words have shape (words, code.size), syndromes (words, code.checks) when all rows are asked for.
    """
    blocks = words.reshape(len(words), code.columns, code.lift)
    rows = code.rows[first:]
    parities = np.zeros((len(words), len(rows), code.lift), dtype=np.uint8)
    for parity, edges in zip(np.moveaxis(parities, 1, 0), rows, strict=True):
        for column, shift in edges:
            stay = code.lift - shift
            parity[:, :stay] ^= blocks[:, column, shift:]
            parity[:, stay:] ^= blocks[:, column, :shift]
    return parities.reshape(len(words), -1)


def refined_syndrome(coarse: Bits, told: Bits, parents: Sequence[int], lift: int) -> Bits:
    """Return the syndrome for a refined code, from that for the coarse one and the parities of the new rows.

    What is left of a row that was cut has its parity less those of all pieces that were cut off it; the last cut is
    undone first, so that a piece which was cut again takes its own pieces along.
    """
    rows: NDArray[np.uint8] = np.concatenate([coarse, told]).reshape(-1, lift)
    first = len(rows) - len(parents)
    for number in range(len(parents) - 1, -1, -1):
        rows[parents[number]] ^= rows[first + number]
    return np.concatenate([rows[:first].reshape(-1), told])
