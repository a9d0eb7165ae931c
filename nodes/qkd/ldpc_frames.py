"""One frame of a key at both ends, without messages: Alice tells parities of hers, Bob looks for the errors in his."""

from __future__ import annotations

from math import ceil
from typing import Final

import numpy as np

from nodes.errors import ProtocolViolation
from nodes.ports import Bits
from nodes.qkd.ldpc_codes import Code, refine
from nodes.qkd.ldpc_decoding import find_errors
from nodes.qkd.ldpc_layout import WORTH
from nodes.qkd.ldpc_rates import estimated_qber, parities_per_bit
from nodes.qkd.ldpc_syndrome import refined_syndrome, syndromes

WHOLE: Final = 0xFFFF
"""The wish for all bits of a frame, instead of parities of further rows."""

_CLEARLY: Final = 1.05
"""When so many times the parities at hand are needed, more are wished for before any attempt at decoding."""
_STEP: Final = 0.02
"""The share of the parities at hand that is wished for after a first attempt; it doubles with every further one."""


class Frame:
    """Some bits of the key, filled up with zeros to a word of a code that grows finer with every wish."""

    def __init__(self, bits: Bits, code: Code) -> None:
        self.size = bits.size
        self.code = code
        self._whole = False
        self._word = np.zeros(code.size, dtype=np.uint8)
        self._word[: bits.size] = bits

    @property
    def bits(self) -> Bits:
        """Return the bits of the key."""
        return self._word[: self.size]

    @property
    def leaked(self) -> int:
        """Count what was told: the parities, or all bits, of which the parities told before are functions."""
        return self.size if self._whole else self.code.checks

    @property
    def syndrome(self) -> Bits:
        """Return the parities that the code asks for."""
        return self._parities(self.code)

    def _parities(self, code: Code, first: int = 0) -> Bits:
        parities: Bits = syndromes(self._word[np.newaxis], code, first)[0]
        return parities


class ToldFrame(Frame):
    """Alice's frame: ``answer`` whatever Bob wishes."""

    def answer(self, wish: int) -> Bits:
        """Return the parities of as many further rows, or all bits.

        Raises ``ProtocolViolation`` when there is nothing left to wish for.
        """
        rows = len(self.code.rows)
        if wish and (self._whole or (wish != WHOLE and rows + wish > self.code.columns)):
            raise ProtocolViolation(
                f"the peer wished for {wish} more rows of a frame of which {rows} are told"
            )
        if wish == WHOLE:
            self._whole = True
            return self.bits
        self.code = refine(self.code, wish).code
        return self._parities(self.code, rows)


class SoughtFrame(Frame):
    """Bob's frame: ask for its ``wish`` and ``learn`` the answer until there is none; ``bits`` are then correct."""

    def __init__(self, bits: Bits, code: Code, syndrome: Bits) -> None:
        super().__init__(bits, code)
        self._difference: Bits = self.syndrome ^ syndrome
        self._solved = False
        self._step = _STEP

    def wish(self, expected_qber: float) -> int:
        """Try to correct the frame; return how many more rows that takes, 0 for a corrected one, or ``WHOLE``."""
        if self._solved:
            return 0
        rows = len(self.code.rows)
        qber = estimated_qber(self._difference, self.code, self.size)
        needed = ceil(self.code.columns * parities_per_bit(qber))
        if needed <= _CLEARLY * rows:
            errors = find_errors(self._difference, self.code, max(qber, expected_qber / 2), self.size)
            if errors is not None:
                self._word ^= errors
                self._solved = True
                return 0
            needed = max(needed, rows + ceil(self._step * rows))
            self._step *= 2
        return needed - rows if needed * self.code.lift < WORTH * self.size else WHOLE

    def answer_size(self, wish: int) -> int:
        """Return how many bits answer a wish."""
        return self.size if wish == WHOLE else wish * self.code.lift

    def learn(self, wish: int, told: Bits) -> None:
        """Take the answer to a wish."""
        if wish == WHOLE:
            self._word[: self.size] = told
            self._whole = self._solved = True
        elif wish:
            coarse = self.code
            self.code, parents = refine(coarse, wish)
            difference = told ^ self._parities(self.code, len(coarse.rows))
            self._difference = refined_syndrome(self._difference, difference, parents, coarse.lift)
