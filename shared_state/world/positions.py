"""Where rare things happen in a long train: positions drawn at the cost of what happens, not of the train."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.world import kernels

Unsigned: TypeAlias = NDArray[np.unsignedinteger[Any]]


def distinct(count: int, number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``number`` different positions below ``count``, sorted; every set of so many is as likely.

    The first ``number`` different values of a sequence of uniform ones are such a set. Takes O(number) memory.
    """
    if number > count / 2:
        absent = np.ones(count, dtype=np.bool_)
        absent[distinct(count, count - number, rng)] = False
        return np.flatnonzero(absent)
    chosen = np.sort(rng.integers(count, size=number))
    while (again := chosen[1:] == chosen[:-1]).any():
        different = chosen[np.append(True, ~again)]
        more = rng.integers(count, size=number - len(different))
        chosen = np.sort(np.concatenate([different, more]))
    return chosen


def scattered(
    count: int, numbers: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.uint32], Unsigned]:
    """Scatter ``numbers[k]`` things of each kind k over different positions below ``count`` <= 2^32.

    Returns the positions, sorted, and the kind of what is there. Every arrangement is as likely: things are thrown one
    by one, and who meets another is thrown again. Which of two that meet stays does not depend on where they meet, so
    nothing prefers a position to another.
    """
    kinds = np.repeat(np.arange(len(numbers), dtype=np.min_scalar_type(len(numbers))), numbers)
    if len(kinds) > count / 2:
        rng.shuffle(kinds)
        return distinct(count, len(kinds), rng).astype(np.uint32), kinds
    # position and kind in one number, so that one sort does it all; of two that meet the lower kind stays
    digits = max(0, len(numbers) - 1).bit_length()
    wide = np.dtype(np.uint32 if count << digits <= 2**32 else np.uint64)
    things = rng.integers(count, size=len(kinds), dtype=wide.type)
    things <<= wide.type(digits)
    things |= kinds
    things.sort()
    positions = things >> wide.type(digits)
    again = np.flatnonzero(positions[1:] == positions[:-1]) + 1
    if len(again):
        thrown = things[again] & wide.type(2**digits - 1)
        rng.shuffle(thrown)
        thrown |= _free(np.delete(positions, again), count, len(again), rng) << wide.type(digits)
        things = np.delete(things, again)
        things = np.insert(things, np.searchsorted(things, thrown), thrown)
        positions = things >> wide.type(digits)
    return positions.astype(np.uint32, copy=False), (things & wide.type(2**digits - 1)).astype(kinds.dtype)


def tosses(count: int, probability: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Toss ``count`` coins that show True with ``probability``: as exactly as a double says, at a byte a coin."""
    share = 256 * probability
    whole = int(share)
    drawn = np.frombuffer(rng.bytes(count), dtype=np.uint8)
    shown = drawn < whole
    # one byte in 256 does not tell yet
    close = np.flatnonzero(drawn == whole)
    shown[close] = rng.random(len(close)) < share - whole
    return shown


def coins(count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Toss ``count`` fair coins; 0 or 1 each."""
    return np.unpackbits(np.frombuffer(rng.bytes(-(-count // 8)), dtype=np.uint8), count=count)


def ranks(values: NDArray[np.uint32], asked: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return how many of ``values`` lie below each of ``asked``; both ascend."""
    fast = kernels.compiled()
    if fast is None:
        return np.searchsorted(values, asked)
    found = np.empty(len(asked), dtype=np.int64)
    fast.rank(values, np.ascontiguousarray(asked), found)
    return found


def _free(taken: Unsigned, count: int, number: int, rng: np.random.Generator) -> Unsigned:
    """Draw ``number`` different positions below ``count`` that are not ``taken``; both sorted."""
    found = taken[:0]
    while len(found) < number:
        more = rng.integers(count, size=number - len(found), dtype=taken.dtype.type)
        found = np.sort(np.concatenate([found, more]))
        found = found[np.append(True, found[1:] != found[:-1])]
        places = np.minimum(np.searchsorted(taken, found), len(taken) - 1)
        found = found[taken[places] != found]
    return found
