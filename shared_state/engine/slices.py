"""Long operations in slices: a generator that pauses between short stretches of work and returns its result."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, TypeAlias, TypeVar

ResultT = TypeVar("ResultT")

Steps: TypeAlias = Generator[None, None, ResultT]
"""An operation under way. ``next`` does one slice of it; its StopIteration carries the result."""

BLOCK: Final = 2**16
"""Matrix elements (of 16 bytes) that one slice works on: few enough for a processor's own cache."""

WORK: Final = 2**25
"""Complex multiplications that one slice may take, where they are many per element."""


def finish(steps: Steps[ResultT]) -> ResultT:
    """Do all the slices at once and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: ResultT = done.value
            return result
