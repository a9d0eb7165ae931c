"""The decoder's inner loops, compiled by numba (the extra ``compiled``): bit for bit what ``ldpc_decoding`` does.

Importing this module takes a second, and the first time on a machine some more, until numba has compiled and stored
what it finds here. Every loop runs along the lift, over arrays without gaps and in 16-bit integers, so that it
becomes vector instructions: numba widens whatever it computes to 64 bits, hence a cast around every operation. A
rotated block is two pieces, before and behind the place where it wraps around.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nodes.qkd.ldpc_codes import Code
from nodes.qkd.ldpc_decoding import CAP, ITERATIONS, LARGEST, REACH

Lanes: TypeAlias = NDArray[np.int16]
Indices: TypeAlias = NDArray[np.int64]

_ZERO, _CAP, _LARGEST, _REACH = np.int16(0), np.int16(CAP), np.int16(LARGEST), np.int16(REACH)
_LANES, _BLOCKS, _GRAPH = "int16[::1]", "int16[:, ::1]", "int64[::1], int64[:, ::1]"

_PARITY, _LEAST, _REST, _WHOLE = range(4)
"""What is known of each check of a block row: its sign, the least reliable bit, the others, all of them."""


def settle(beliefs: Lanes, signs: Lanes, code: Code) -> bool:
    """See ``ldpc_decoding.settle``."""
    blocks, rows = beliefs.reshape(code.columns, code.lift), signs.reshape(-1, code.lift)
    return bool(_settle(blocks, rows, code.starts, code.edges, ITERATIONS))


@njit("int16(int16)", cache=True, nogil=True, inline="always")
def _correction(t: np.int16) -> np.int16:
    root = np.uint16(max(_ZERO, np.int16(_REACH - t)))
    square = np.uint16(np.uint16(np.uint16(root * root) + np.uint16(128)) >> 8)
    return np.int16(np.uint16(np.uint16(square * square) + np.uint16(1024)) >> 11)


@njit("int16(int16, int16)", cache=True, nogil=True, inline="always")
def _combine(x: np.int16, y: np.int16) -> np.int16:
    least = min(x, y)
    apart, together = np.int16(max(x, y) - least), np.int16(x + y)
    return np.int16(np.int16(least - _correction(apart)) + _correction(together))


_PIECE = f"void({_LANES}, {_LANES}, {_LANES}, {_BLOCKS}, int64)"


@njit(_PIECE, cache=True, nogil=True)
def _gather(beliefs: Lanes, messages: Lanes, others: Lanes, state: Lanes, start: int) -> None:
    """Add to a check what all others say of a bit; ``beliefs`` are those of the lanes from ``start`` on."""
    stop = start + beliefs.size
    told, heard = messages[start:stop], others[start:stop]
    parity, least, rest = state[_PARITY, start:stop], state[_LEAST, start:stop], state[_REST, start:stop]
    for j in range(beliefs.size):
        other = np.int16(beliefs[j] - told[j])
        heard[j] = other
        negative = np.int16(other >> 15)
        parity[j] ^= negative
        reliability = min(np.int16(np.int16(other ^ negative) - negative), _LARGEST)
        rest[j] = _combine(rest[j], max(reliability, least[j]))
        least[j] = min(reliability, least[j])


@njit(_PIECE, cache=True, nogil=True)
def _scatter(beliefs: Lanes, messages: Lanes, others: Lanes, state: Lanes, start: int) -> None:
    """Tell a bit what a check has heard from all others."""
    stop = start + beliefs.size
    told, heard = messages[start:stop], others[start:stop]
    parity, least = state[_PARITY, start:stop], state[_LEAST, start:stop]
    rest, whole = state[_REST, start:stop], state[_WHOLE, start:stop]
    for j in range(beliefs.size):
        other = heard[j]
        negative = np.int16(other >> 15)
        reliability = min(np.int16(np.int16(other ^ negative) - negative), _LARGEST)
        answer = rest[j] if reliability == least[j] else whole[j]
        turned = np.int16(parity[j] ^ negative)
        message = np.int16(np.int16(answer ^ turned) - turned)
        told[j] = message
        beliefs[j] = np.int16(other + message)


@njit(f"void({_BLOCKS})", cache=True, nogil=True)
def _answer(state: Lanes) -> None:
    """Make of what a check has heard what it answers."""
    least, rest, whole = state[_LEAST], state[_REST], state[_WHOLE]
    for j in range(least.size):
        whole[j] = min(_combine(rest[j], least[j]), _CAP)
        rest[j] = min(rest[j], _CAP)


@njit(f"void({_LANES}, {_LANES})", cache=True, nogil=True)
def _add_signs(beliefs: Lanes, parity: Lanes) -> None:
    for j in range(parity.size):
        parity[j] ^= np.int16(beliefs[j] >> 15)


@njit(f"boolean({_BLOCKS}, {_BLOCKS}, {_GRAPH}, {_LANES})", cache=True, nogil=True)
def _satisfied(beliefs: Lanes, signs: Lanes, starts: Indices, edges: Indices, parity: Lanes) -> bool:
    for row in range(signs.shape[0]):
        parity[:] = signs[row]
        for edge in range(starts[row], starts[row + 1]):
            block, shift = beliefs[edges[edge, 0]], edges[edge, 1]
            wrap = block.size - shift
            _add_signs(block[shift:], parity[:wrap])
            _add_signs(block[:shift], parity[wrap:])
        for j in range(parity.size):
            if parity[j] != 0:
                return False
    return True


@njit(f"boolean({_BLOCKS}, {_BLOCKS}, {_GRAPH}, int64)", cache=True, nogil=True)
def _settle(beliefs: Lanes, signs: Lanes, starts: Indices, edges: Indices, iterations: int) -> bool:
    lift = beliefs.shape[1]
    messages = np.zeros((edges.shape[0], lift), dtype=np.int16)
    others = np.empty((np.diff(starts).max(), lift), dtype=np.int16)
    state = np.empty((4, lift), dtype=np.int16)
    for _ in range(iterations):
        if _satisfied(beliefs, signs, starts, edges, state[_PARITY]):
            return True
        for row in range(signs.shape[0]):
            first, last = starts[row], starts[row + 1]
            state[_PARITY] = signs[row]
            state[_LEAST] = _LARGEST
            state[_REST] = _LARGEST
            for edge in range(first, last):
                block, shift = beliefs[edges[edge, 0]], edges[edge, 1]
                _gather(block[shift:], messages[edge], others[edge - first], state, 0)
                _gather(block[:shift], messages[edge], others[edge - first], state, lift - shift)
            _answer(state)
            for edge in range(first, last):
                block, shift = beliefs[edges[edge, 0]], edges[edge, 1]
                _scatter(block[shift:], messages[edge], others[edge - first], state, 0)
                _scatter(block[:shift], messages[edge], others[edge - first], state, lift - shift)
    return False
