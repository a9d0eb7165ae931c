"""Longer walks than in ``test_network_faults``: in real time, over more links, with purification on two levels."""

from __future__ import annotations

import pytest

from nodes.runtime.programs import Scalar
from shared_state.config import WorldConfig
from tests.nodes.runtime.network_lab import RING, delayed, doubled, dropped, network, row, werner
from tests.nodes.runtime.network_walks import walk_messages, walk_strikes

FOUR_LINKS = row("alice", "r1", "r2", "r3", "bob")
SIX_LINKS = row("alice", "r1", "r2", "r3", "r4", "r5", "bob")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("world", "fidelity", "number", "terms"),
    [
        (network(FOUR_LINKS, memories=8), None, 2, {"order": "nested", "purify": "dejmps,1:dejmps"}),
        (network(SIX_LINKS, memories=8), werner(6), 4, {"order": "nested"}),
        (network(SIX_LINKS, memories=2), werner(6), 1, {"order": "r3,r1,r5", "cutoff": 5e-4}),
    ],
    ids=["nested and purified", "six links", "six links with a cut-off"],
)
async def test_no_message_of_a_long_chain_can_be_hit_to_any_harm(
    world: WorldConfig, fidelity: float | None, number: int, terms: dict[str, Scalar]
) -> None:
    faults = (dropped, doubled, delayed)
    assert await walk_messages(world, faults, fidelity, terms, number, within=1.0, in_turn=True) > 30


@pytest.mark.thorough
@pytest.mark.parametrize("purify", ["", "1:dejmps"])
async def test_in_real_time_no_message_can_be_hit_to_any_harm(purify: str) -> None:
    """Here nobody is told that a message is lost: the ends must notice by themselves, by the deadline at the latest."""
    world = network(row("alice", "r1", "r2", "bob"), mode="real-time")
    fidelity = None if purify else werner(3)
    faults = (dropped, doubled, delayed)
    assert await walk_messages(world, faults, fidelity, {"purify": purify}, within=6.0) > 50


@pytest.mark.thorough
@pytest.mark.parametrize("victim", ["r1", "r2"])
async def test_in_real_time_a_repeater_that_dies_is_gone_around(victim: str) -> None:
    world = network(RING, mode="real-time")
    assert await walk_strikes(world, lambda lab: lab.kill(victim)) > 0


@pytest.mark.thorough
@pytest.mark.parametrize("link", ["alice-r1", "r1-r2", "r2-bob"])
async def test_in_real_time_a_link_that_is_cut_is_gone_around(link: str) -> None:
    both = await walk_strikes(
        network(RING, mode="real-time"),
        lambda lab: lab.oracle.set_link(link, up=False),
        mended=lambda lab: lab.oracle.set_link(link, up=True),
    )
    assert both > 0
