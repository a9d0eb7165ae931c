"""What happens to one half of a pair is not known at the other before light from there arrives."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np
import pytest

from shared_state.clock import VirtualClock
from shared_state.config import FibreConfig, LinkDevices, MemoryConfig, NodeDevices, WorldConfig
from shared_state.dice import Dice
from shared_state.engine.measures import bell_state
from shared_state.errors import QubitExpired
from shared_state.ledger import Holding
from shared_state.world.light_times import LightTimes
from shared_state.world.nature import Nature

CUTOFF = 0.5
LATE = 1e-9  # seconds


def row(*lengths: float) -> dict[str, LinkDevices]:
    """Return the links of the nodes a, b, c, ... in a row."""
    names = "abcdefgh"[: len(lengths) + 1]
    ends = pairwise(names)
    return {
        one + two: LinkDevices((one, two), FibreConfig(far))
        for (one, two), far in zip(ends, lengths, strict=True)
    }


class Row:
    """Nodes in a row; only the memories of ``a`` have a cut-off."""

    def __init__(self, *lengths: float) -> None:
        names = "abcdefgh"[: len(lengths) + 1]
        nodes = {name: NodeDevices(MemoryConfig(cutoff=CUTOFF if name == "a" else inf)) for name in names}
        self.nature = Nature(WorldConfig(nodes, row(*lengths)), VirtualClock(), Dice(3))

    def pair(self, first: str, second: str, at: float = 0.0) -> tuple[int, int]:
        """Return both qubits of a new pair that is stored at ``at``."""
        halves = [
            Holding(label, pair=first + second) for label in self.nature.new_qubits(bell_state_density())
        ]
        halves[0].partner, halves[1].partner = halves[1], halves[0]
        for node, half in zip((first, second), halves, strict=True):
            self.nature.ledger.enter(half, node, "run", at)
        return halves[0].qubit, halves[1].qubit


def bell_state_density() -> np.ndarray[tuple[int, int], np.dtype[np.complex128]]:
    psi = bell_state(0, 0)
    return np.outer(psi, psi.conj())


def test_light_takes_the_shortest_way() -> None:
    links = [
        LinkDevices(("a", "b"), FibreConfig(10e3)),
        LinkDevices(("b", "c"), FibreConfig(10e3)),
        LinkDevices(("a", "c"), FibreConfig(30e3)),
        LinkDevices(("a", "b"), FibreConfig(5e3, velocity=0.5e8)),  # shorter and slower
        LinkDevices(("d", "e"), FibreConfig(1e3)),
    ]
    times = LightTimes(links)
    for one, other, expected in (("a", "b", 50e-6), ("a", "c", 100e-6), ("c", "c", 0.0), ("a", "d", inf)):
        assert times.between(one, other) == times.between(other, one) == pytest.approx(expected)


@pytest.mark.parametrize("length", [0.0, 1e3, 2e4, 1e7])
@pytest.mark.parametrize("looked", [True, False])
def test_an_expiry_is_news_when_light_from_there_arrives(length: float, *, looked: bool) -> None:
    news = CUTOFF + length / 2e8
    for at, told in ((CUTOFF - LATE, False), (news - LATE, False), (news + (0.0 if length else LATE), True)):
        lab = Row(length)
        hers, his = lab.pair("a", "b")
        if looked:
            with pytest.raises(QubitExpired):
                lab.nature.measure("a", CUTOFF + LATE, hers, "Z")
        if told:
            with pytest.raises(QubitExpired, match="kept by a"):
                lab.nature.store("b", at, his)
            with pytest.raises(Exception, match="no longer holds"):  # once
                lab.nature.measure("b", at, his, "Z")
        else:
            lab.nature.hand_over("b", at, [his])
            np.testing.assert_allclose(lab.nature.density_matrix([his]).value, np.eye(2) / 2, atol=1e-12)


@pytest.mark.parametrize("lengths", [(1e4, 2e4), (5e4, 1e3), (1e3, 1e5)])
@pytest.mark.parametrize("swapped_at", [0.1, CUTOFF - LATE])
def test_after_a_swap_the_news_comes_all_the_way(lengths: tuple[float, float], swapped_at: float) -> None:
    expiry_known = CUTOFF + sum(lengths) / 2e8
    for at, told in ((expiry_known - LATE, False), (expiry_known, True)):
        lab = Row(*lengths)
        _, left = lab.pair("a", "b")
        right, his = lab.pair("b", "c")
        lab.nature.bell_measure("b", swapped_at, left, right)
        if told:
            with pytest.raises(QubitExpired, match="kept by a"):
                lab.nature.hand_over("c", at, [his])
        else:
            lab.nature.hand_over("c", at, [his])


@pytest.mark.parametrize("expired", ["before", "unseen"])
def test_whose_loss_it_is_is_not_known_before_the_news_of_the_swap(expired: str) -> None:
    """a's half expires, b swaps just before it hears of that: c hears of the swap and of the loss together."""
    near, far = 1e6, 2e6  # metres: 5 and 10 ms
    for late, told in ((-LATE, False), (LATE, True)):
        lab = Row(near, far)
        hers, left = lab.pair("a", "b")
        right, his = lab.pair("b", "c", 0.2)
        if expired == "before":
            with pytest.raises(QubitExpired):
                lab.nature.measure("a", CUTOFF + 1e-4, hers, "Z")
        swapped = CUTOFF + near / 2e8 - 1e-6
        lab.nature.bell_measure("b", swapped, left, right)
        known = max(swapped + far / 2e8, CUTOFF + (near + far) / 2e8)
        if told:
            with pytest.raises(QubitExpired, match="kept by a"):
                lab.nature.hand_over("c", known + late, [his])
        else:
            lab.nature.hand_over("c", known + late, [his])
