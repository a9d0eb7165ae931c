"""Martinez-Mateo et al. 2015, table 3: "n = 2^14, 14 passes", efficiency, frame errors and channel uses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from nodes.qkd.cascade_passes import FRAME_BITS, KeyParities, cut
from nodes.qkd.cascade_search import Search
from nodes.qkd.entropy import binary_entropy


class Published(NamedTuple):
    """A row of the table: parities told over n h(Q), and how often the parties spoke."""

    qber: float
    efficiency: float
    channel_uses: int


TABLE_3 = [
    Published(0.005, 1.0499, 169),
    Published(0.01, 1.0422, 209),
    Published(0.02, 1.0401, 408),
    Published(0.03, 1.0390, 497),
    Published(0.04, 1.0431, 500),
    Published(0.05, 1.0431, 433),
    Published(0.06, 1.0458, 607),
    Published(0.07, 1.0505, 797),
    Published(0.08, 1.0547, 550),
    Published(0.09, 1.0549, 690),
    Published(0.10, 1.0574, 840),
    Published(0.11, 1.0613, 998),
]


class Measured(NamedTuple):
    """Of each frame: parities over the entropy of its own error rate, rounds with questions, bits still wrong."""

    efficiency: NDArray[np.float64]
    rounds: NDArray[np.int64]
    left: NDArray[np.int64]


def measured(qber: float, count: int, seed: int) -> Measured:
    rng = np.random.default_rng(seed)
    errors = (rng.random(count * FRAME_BITS) < qber).astype(np.uint8)
    frames = cut(errors.size, qber, rng.bytes(16))
    assert (frames.count, frames.size) == (count, FRAME_BITS)
    parities, search = KeyParities(errors, frames), Search(frames)
    told, rounds = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    while (ranges := search.questions()).row.size:
        search.learn(parities.of(ranges))
        asked = np.bincount(ranges.row % count, minlength=count)
        told, rounds = told + asked, rounds + (asked > 0)
    by_frame = errors.reshape(FRAME_BITS, count)
    limit = np.array([FRAME_BITS * binary_entropy(float(rate)) for rate in by_frame.mean(axis=0)])
    left = (search.errors(errors.size) ^ errors).reshape(by_frame.shape).sum(axis=0)
    return Measured(told / limit, rounds, left)


def agrees(row: Published, found: Measured) -> None:
    """Compare with the table.

    A frame's efficiency spreads by 0.012 (0.5 %) to 0.005 (11 %) about a mean that, over 4,000 frames, is within 0.002
    of the table's: 4.9 sigma (false alarm 1e-6) are 0.005 at most over 120 frames of 0.5 %, and over 60 of 2 % or 5 %.
    Rounds are fewer than the table's, by 10 % to 25 %, among them the 10 that the passes with blocks of half a frame
    save by opening together; 4.9 sigma are 15 % at most. With 1e-4 failures a frame there are four or more among 120
    once in 1e9 times.
    """
    assert abs(found.efficiency.mean() - row.efficiency) < 0.01
    assert 0.6 < found.rounds.mean() / row.channel_uses < 1.1
    assert np.count_nonzero(found.left) < 4


@pytest.mark.parametrize("row", [TABLE_3[2], TABLE_3[5]], ids=str)
def test_the_leakage_is_that_of_table_3(row: Published) -> None:
    agrees(row, measured(row.qber, 60, 1))


@pytest.mark.thorough
@pytest.mark.parametrize("row", TABLE_3, ids=str)
def test_every_row_of_table_3_is_reproduced(row: Published) -> None:
    agrees(row, measured(row.qber, 120, 2))
