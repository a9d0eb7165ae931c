"""The swap tracker under every order of everything that may happen, for small circuits: no state is left out.

What is checked in each state, and in each in which nothing is on its way, is said in ``tracker_model``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from nodes.network.circuit import Distillation
from tests.nodes.network.tracker_model import Rules, World, chain

pytestmark = pytest.mark.thorough

ANYWHERE = (0, 1, 2, 3, 4)
LINKS_BY_DEJMPS = (Distillation(0, "dejmps"),)
ENDS_BY_DEJMPS = (Distillation(1, "dejmps"),)


@dataclass
class Explored:
    """States that were visited, among them those in which nothing is on its way; and for each in which nothing can
    happen any more, the number of pairs that both ends have."""

    states: int = 0
    quiet: int = 0
    delivered: list[int] = field(default_factory=list)


def explore(rules: Rules) -> Explored:
    """Visit every state that can come about, depth first; where a check fails, the error says what led there."""
    first = World(rules, memory=True)
    seen, stack, explored = {first.key()}, [first], Explored()
    while stack:
        before = world = stack.pop()
        events = world.events()
        explored.states += 1
        try:
            if world.is_quiet():
                explored.quiet += 1
                world.check_quiet()
            if not events:
                explored.delivered.append(len(world.names(0) & world.names(world.circuit.last)))
            for event in events:
                world = before.copy()
                world.do(event)
                if (key := world.key()) not in seen:
                    seen.add(key)
                    stack.append(world)
        except Exception as error:
            error.add_note(world.told())
            raise
    return explored


@pytest.mark.parametrize(
    ("rules", "delivered", "states"),
    [
        pytest.param(Rules(chain(1), pairs=3, places=2), 3, 10, id="one link"),
        pytest.param(Rules(chain(2), pairs=2, places=2), 2, 1_000, id="two links"),
        pytest.param(
            Rules(chain(2), pairs=3, places=2, limit=2), 2, 7_000, id="two links, two wanted of three"
        ),
        pytest.param(Rules(chain(3), pairs=2), 2, 5_000, id="three links, as soon as possible"),
        pytest.param(Rules(chain(3, (1, 2)), pairs=2), 2, 3_000, id="three links, the first node first"),
        pytest.param(Rules(chain(3, (2, 1)), pairs=2), 2, 1_500, id="three links, the last node first"),
        pytest.param(Rules(chain(4)), 1, 4_000, id="four links, as soon as possible"),
        pytest.param(Rules(chain(4, (1, 2, 1))), 1, 2_500, id="four links, nested"),
        pytest.param(Rules(chain(4, (2, 1, 2))), 1, 1_500, id="four links, the middle first"),
        pytest.param(Rules(chain(4, (1, 2, 3))), 1, 2_000, id="four links, from the head"),
        pytest.param(Rules(chain(4, (3, 2, 1))), 1, 1_000, id="four links, from the tail"),
    ],
)
def test_without_cutoffs_and_losses_every_order_of_events_delivers_all_pairs(
    rules: Rules, delivered: int, states: int
) -> None:
    explored = explore(rules)
    assert set(explored.delivered) == {delivered}
    assert explored.states > states


@pytest.mark.parametrize(
    ("rules", "states"),
    [
        pytest.param(Rules(chain(2), pairs=2, places=2, cutoffs=(1,)), 30_000, id="two links, two places"),
        pytest.param(Rules(chain(2), pairs=2, cutoffs=(1,)), 2_500, id="two links, one place"),
        pytest.param(
            Rules(chain(2), pairs=2, limit=1, cutoffs=(1,), losses=(1,)), 2_500, id="two links, limit"
        ),
        pytest.param(Rules(chain(3), cutoffs=(1, 2), losses=ANYWHERE[:4]), 35_000, id="three links, asap"),
        pytest.param(
            Rules(chain(3, (1, 2)), cutoffs=(1, 2), losses=ANYWHERE[:4]), 30_000, id="three links, 1 2"
        ),
        pytest.param(
            Rules(chain(3, (2, 1)), cutoffs=(1, 2), losses=ANYWHERE[:4]), 20_000, id="three links, 2 1"
        ),
        pytest.param(Rules(chain(4), cutoffs=(2,)), 18_000, id="four links, asap"),
        pytest.param(Rules(chain(4, (1, 2, 1)), cutoffs=(1, 2)), 35_000, id="four links, nested"),
        pytest.param(Rules(chain(4, (2, 1, 2)), cutoffs=(2, 3)), 10_000, id="four links, 2 1 2"),
    ],
)
def test_with_cutoffs_and_losses_at_any_moment_no_order_of_events_leaves_a_half_alone(
    rules: Rules, states: int
) -> None:
    explored = explore(rules)
    assert min(explored.delivered) == 0
    assert max(explored.delivered) == min(rules.pairs, rules.limit)
    assert explored.states > states


TWICE = Distillation(0, "epl"), Distillation(0, "bbpssw")


@pytest.mark.parametrize(
    ("rules", "delivered", "states"),
    [
        pytest.param(
            Rules(chain(1, distillations=LINKS_BY_DEJMPS), 2, 2, losses=(0, 1), noise=True),
            {0, 1},
            300,
            id="one link",
        ),
        pytest.param(
            Rules(chain(1, distillations=TWICE), 4, 3, noise=True),
            {0, 1},
            200,
            id="one link, twice",
        ),
        pytest.param(
            Rules(chain(1, distillations=LINKS_BY_DEJMPS), 6, 3, limit=2, noise=True),
            {0, 1, 2},
            300,
            id="one link, two wanted of three",
        ),
        pytest.param(
            Rules(chain(2, distillations=LINKS_BY_DEJMPS), 2, 2, cutoffs=(1,), noise=True),
            {0, 1},
            7_000,
            id="two links",
        ),
        pytest.param(
            Rules(chain(2, distillations=LINKS_BY_DEJMPS), 2, 2, losses=(2,), noise=True),
            {0, 1},
            2_000,
            id="two links and losses",
        ),
        pytest.param(
            Rules(chain(2, distillations=ENDS_BY_DEJMPS), 2, 2, cutoffs=(1,), noise=True),
            {0, 1},
            35_000,
            id="end to end",
        ),
        pytest.param(
            Rules(chain(3, (1, 2), distillations=ENDS_BY_DEJMPS), 2, 2),
            {1},
            30_000,
            id="a level between",
        ),
    ],
)
def test_in_every_order_of_events_both_ends_purify_the_same_pairs_and_agree_how_it_went(
    rules: Rules, delivered: set[int], states: int
) -> None:
    explored = explore(rules)
    assert set(explored.delivered) == delivered
    assert explored.states > states
