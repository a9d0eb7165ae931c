"""The swap tracker on long walks through circuits of up to eight links, where no one can visit every state.

Every kind of event has a rate of its own, over four orders of magnitude and new from time to time: so some messages are
overtaken by everything else.
"""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.network.circuit import Circuit, Distillation, nested
from tests.nodes.network.tracker_model import Event, Rules, World, chain

RARELY = 1e-3
DEADLOCK = "nothing can happen any more, and the pairs are not delivered"


@st.composite
def circuits(draw: st.DrawFn, *, cutoff: float | None) -> Circuit:
    """Draw a circuit: any levels, and purification or batches."""
    links = draw(st.integers(1, 8))
    levels = draw(
        st.lists(st.integers(1, 4), min_size=links - 1, max_size=links - 1) | st.just(nested(links))
    )
    batch = draw(st.sampled_from([1, 64]))
    steps: list[Distillation] = []
    for level in draw(st.lists(st.sampled_from([0, *sorted(set(levels))]), max_size=3)) if batch == 1 else ():
        first = level == 0 and all(step.level for step in steps)
        protocol = draw(st.sampled_from(["bbpssw", "dejmps", "epl"][: 3 if first else 2]))
        steps.append(Distillation(level, protocol))
    window = draw(st.integers(1, 3))
    return chain(links, levels, distillations=tuple(steps), batch=batch, window=window, cutoff=cutoff)


class Fate:
    """Chooses what happens next."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._rates: dict[Event, float] = {}
        self._choices = 0

    def choose(self, events: list[Event]) -> Event:
        if self._choices % 200 == 0:
            self._rates.clear()
        self._choices += 1
        rates = np.array([self._rate(event) for event in events])
        return events[self._chance.choice(len(events), p=rates / rates.sum())]

    def _rate(self, event: Event) -> float:
        kind = event[:1] if event[0] in ("overdue", "lose") else event[:3]
        if kind not in self._rates:
            self._rates[kind] = 10 ** self._chance.uniform(-4, 0) * (RARELY if len(kind) == 1 else 1)
        return self._rates[kind]


@pytest.mark.thorough
@given(
    circuit=circuits(cutoff=1.0),
    pairs=st.integers(1, 12),
    more=st.integers(0, 2),
    lossy=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_late_lost_or_expired_no_half_is_left_alone(
    circuit: Circuit, pairs: int, more: int, lossy: bool, seed: int
) -> None:
    everywhere = tuple(range(circuit.last + 1))
    losses = everywhere if lossy else ()
    world = World(Rules(circuit, pairs, circuit.least + more, 3, everywhere, losses, noise=True))
    fate = Fate(seed)
    while (events := world.events()) and len(world.names(0)) < world.rules.limit:
        world.do(fate.choose(events))
        if world.is_quiet():
            world.check_quiet()
    world.settle()
    assert max(len(world.names(0)), len(world.names(circuit.last))) <= world.rules.limit


@pytest.mark.thorough
@given(
    circuit=circuits(cutoff=None),
    more=st.integers(0, 2),
    noise=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_with_the_least_number_of_places_no_order_of_events_ends_in_a_deadlock(
    circuit: Circuit, more: int, noise: bool, seed: int
) -> None:
    world = World(Rules(circuit, inf, circuit.least + more, limit=2, noise=noise))
    fate = Fate(seed)
    for _ in range(4_000):
        events = world.events()
        assert events, DEADLOCK
        world.do(fate.choose(events))
        if len(world.names(0)) == len(world.names(circuit.last)) == world.rules.limit:
            return


def test_one_place_fewer_than_the_least_number_is_too_few() -> None:
    steps = Distillation(0, "dejmps"), Distillation(1, "dejmps")
    circuit = chain(2, distillations=steps, cutoff=None)
    world = World(Rules(circuit, inf, circuit.least - 1, limit=1))
    world.settle()
    assert not world.delivered
