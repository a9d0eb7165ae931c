"""What a receiver sees that is blind for a while after each click, and whose clicks echo: dead time, after-pulses.

``see`` is one function for two ways to run it: compiled by numba where that is installed (the extra ``compiled``), or
by Python itself, some hundred times slower, with the same result.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared_state.world import kernels

NEVER: Final = 2**62
"""More clicks than there will be."""
_READY, _CURSOR, _CLICKS, _ECHOES, _AFTER_CLICK, _OVER = 0, 1, 3, 4, 5, 6
"""Where these are in the state of ``see``."""


class Recovered(NamedTuple):
    """The clicks that are seen: of each its pulse, and the number of the candidate that made it, -1 for none.

    ``echoes`` are the numbers of the clicks that are after-pulses. ``ready`` is the first pulse after the last dead
    time, which may lie beyond the train, and ``after_click`` tells whether that click's after-pulse would come there.
    """

    indices: NDArray[np.uint32]
    sources: NDArray[np.int32]
    echoes: NDArray[np.int64]
    ready: int
    after_click: bool


def recover(
    candidates: NDArray[np.uint32],
    count: int,
    blind: int,
    probability: float,
    rng: np.random.Generator,
    ready: int = 0,
    after_click: bool = False,
) -> Recovered:
    """Return what is seen of ``candidates``, the pulses below ``count`` in which something fires, sorted.

    A click is seen in the first pulse ``blind`` (>= 1) after the last one or later; in just that pulse it is followed
    by an after-pulse with ``probability``. The receiver is blind before the pulse ``ready``.
    """
    state = np.array([ready, 0, 0, 0, 0, after_click, False], dtype=np.int64)
    expected = int(1.2 * probability * (len(candidates) + 1)) + 16
    parts: list[tuple[NDArray[Any], ...]] = []
    while not state[_OVER]:
        # how many clicks there are up to each that echoes
        gaps = rng.geometric(probability, expected) if probability else np.full(1, NEVER)
        clicks, echoes = int(state[_CLICKS]), int(state[_ECHOES])
        room = len(candidates) - int(state[_CURSOR]) + len(gaps)
        indices, sources = np.empty(room, dtype=np.uint32), np.empty(room, dtype=np.int32)
        echoed = np.empty(len(gaps), dtype=np.int64)
        _see(candidates, count, blind, gaps, state, indices, sources, echoed)
        made, heard = int(state[_CLICKS]) - clicks, int(state[_ECHOES]) - echoes
        parts.append((indices[:made], sources[:made], echoed[:heard]))
    indices, sources, echoed = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    return Recovered(indices, sources, echoed, int(state[_READY]), bool(state[_AFTER_CLICK]))


def see(
    candidates: Any, count: int, blind: int, gaps: Any, state: Any, indices: Any, sources: Any, echoes: Any
) -> None:
    """Go on from ``state`` until the train is over, or no more of ``gaps`` are left; write what is seen.

    ``state``: the first pulse that can be seen; the first candidate not looked at; the how many-eth chance of an echo
    will be taken, 0 where the next gap says so; clicks and echoes so far; whether a click may echo in the first pulse
    that can be seen; whether all is over.
    """
    ready, cursor, until_echo = state[0], state[1], state[2]
    clicks, echoed, after_click = state[3], state[4], state[5]
    first_click, first_echo, gap, over = clicks, echoed, 0, False
    while ready < count:
        if after_click and until_echo == 0:
            if gap == len(gaps):
                break
            until_echo = gaps[gap]
            gap += 1
        while cursor < len(candidates) and candidates[cursor] < ready:
            cursor += 1
        more = cursor < len(candidates)
        if after_click and until_echo == 1:
            clicked, source = ready, -1
            if more and candidates[cursor] == ready:
                source = cursor
            echoes[echoed - first_echo] = clicks
            echoed += 1
            until_echo = 0
        elif more:
            clicked, source = candidates[cursor], cursor
            if after_click:
                until_echo -= 1
        else:
            after_click, over = 0, True
            break
        indices[clicks - first_click] = clicked
        sources[clicks - first_click] = source
        clicks += 1
        ready = clicked + blind
        after_click = 1
    state[0], state[1], state[2], state[3], state[4] = ready, cursor, until_echo, clicks, echoed
    state[5], state[6] = after_click, over or ready >= count


def _see(
    candidates: NDArray[np.uint32], count: int, blind: int, gaps: NDArray[np.int64], *arrays: Any
) -> None:
    fast = kernels.compiled()
    if fast is not None:
        fast.see(candidates, count, blind, gaps, *arrays)
        return
    lists = [array.tolist() for array in arrays]
    see(candidates.tolist(), count, blind, gaps.tolist(), *lists)
    for array, values in zip(arrays, lists, strict=True):
        array[:] = values


def pulses_of(duration: float, period: float) -> int:
    """Return in how many pulses a duration is over; one at its very end is after it, whatever rounding made of it."""
    return ceil(duration / period - 1e-6)
