"""Decoding: find the errors that have a given syndrome, by belief propagation in row layers.

A block row updates all its bits before the next one reads them (E. Sharon, S. Litsyn and J. Goldberger, IEEE Trans.
Inf. Theory 53 (2007) 4076), which takes half the iterations. A check answers by the "A-min*" rule (C. Jones, E.
Valles, M. Smith and J. Villasenor, "Approximate-min* constraint node updating for LDPC code decoding", MILCOM 2003):
the least reliable of its bits hears all others combined, every other bit hears all of them combined. Two reliabilities
combine to::

    x [+] y = min(x, y) - c(|x - y|) + c(x + y),      c(t) = ln(1 + exp(-t))

Reliabilities (log-likelihood ratios) are 16-bit integers in units of 1/42.5; c is a fourth power within one unit.
Integers make the result the same on every machine and let the compiled kernel work on 32 bits in one instruction.

The decoder sees the errors' syndrome, not Alice's key, and treats every bit alike: what it does depends on the errors
only.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from math import log
from types import ModuleType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits
from nodes.qkd.ldpc_codes import Code
from nodes.qkd.ldpc_syndrome import syndromes

Reliabilities: TypeAlias = NDArray[np.int16]

SCALE: Final = 42.5
"""Units of reliability in one natural unit."""
LARGEST: Final = 16_383
"""No reliability counts for more in a check: two of them add up to a 16-bit integer."""
CAP: Final = 511
"""No check is surer than that: a bit hears at most sixty, and their sum is a 16-bit integer."""
KNOWN: Final = 2_000
"""The reliability of a bit that both parties know."""
ITERATIONS: Final = 60
REACH: Final = 250
"""From this difference on, c is zero."""


@lru_cache(maxsize=1)
def compiled() -> ModuleType | None:
    """Return the compiled kernel, or None without numba. The first call takes a second or more."""
    return import_module("nodes.qkd.ldpc_compiled") if find_spec("numba") else None


def find_errors(syndrome: Bits, code: Code, qber: float, size: int) -> Bits | None:
    """Return a likely pattern of errors that has the syndrome, or None when none is found.

    Errors come with probability ``qber`` among the first ``size`` bits of the word; the others are known.
    """
    beliefs = np.full(code.size, _reliability(qber), dtype=np.int16)
    beliefs[size:] = KNOWN
    signs = -syndrome.astype(np.int16)
    kernel = compiled()
    settled = (settle if kernel is None else kernel.settle)(beliefs, signs, code)
    return (beliefs < 0).astype(np.uint8) if settled else None


def settle(beliefs: Reliabilities, signs: Reliabilities, code: Code) -> bool:
    """Update what is believed of each bit, until its errors have the syndrome; tell whether they ever do.

    ``beliefs`` are positive where no error is believed to be; ``signs`` are -1 where the syndrome is 1.
    """
    messages = np.zeros((len(code.edges), code.lift), dtype=np.int16)
    syndrome = -signs
    for _ in range(ITERATIONS):
        if np.array_equal(syndromes((beliefs < 0).astype(np.uint8)[np.newaxis], code)[0], syndrome):
            return True
        _sweep(beliefs.reshape(code.columns, code.lift), messages, signs.reshape(-1, code.lift), code)
    return False


def combine(x: Reliabilities, y: Reliabilities) -> Reliabilities:
    """Return x [+] y, the reliability of the sum of two bits."""
    least = np.minimum(x, y)
    combined: Reliabilities = least - _correction(np.maximum(x, y) - least) + _correction(x + y)
    return combined


def _correction(t: Reliabilities) -> Reliabilities:
    """Return c(t) = ln(1 + exp(-t)): (1 - t/T)^4 ln 2 up to T = 250 units, in unsigned 16-bit arithmetic."""
    root = np.maximum(REACH - t, 0).astype(np.uint16)
    square = (root * root + 128) >> 8
    return ((square * square + 1024) >> 11).astype(np.int16)


def _sweep(beliefs: Reliabilities, messages: Reliabilities, signs: Reliabilities, code: Code) -> None:
    """Let every block row update its bits, one row after the other."""
    lanes = np.arange(code.lift)
    for row, sign in enumerate(signs):
        mine = slice(code.starts[row], code.starts[row + 1])
        column, shift = code.edges[mine].T[:, :, np.newaxis]
        bits = column, (lanes + shift) % code.lift
        others = beliefs[bits] - messages[mine]
        negative = others >> 15
        reliability = np.minimum(np.abs(others), LARGEST)
        least, rest = (np.full(code.lift, LARGEST, dtype=np.int16) for _ in range(2))
        for one in reliability:
            rest = combine(rest, np.maximum(one, least))
            least = np.minimum(one, least)
        heard = np.where(reliability == least, rest, combine(rest, least))
        turned = np.bitwise_xor.reduce(negative, axis=0) ^ sign ^ negative
        messages[mine] = (np.minimum(heard, CAP) ^ turned) - turned
        beliefs[bits] = others + messages[mine]


def _reliability(qber: float) -> int:
    """Return ln((1-Q)/Q) in units of 1/42.5, at least 1."""
    likely = min(max(qber, 1e-6), 0.49)
    return round(SCALE * log((1 - likely) / likely))
