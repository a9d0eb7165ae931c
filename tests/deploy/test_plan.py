"""A plan tells each process what the lab file says, and no more than its own part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import inf

import pytest

from deploy.errors import NotFound
from deploy.plan import LinkEnd, NodePlan, plan
from deploy.topology import Lab
from nodes.agreement import LinkAgreement
from nodes.runtime.channel import Hop
from shared_state.config import ClockConfig, FibreConfig, TapConfig, WernerSource

ReadLab = Callable[[str], Lab]

TRIANGLE = """
name: triangle
seed: 7
nodes: {alice: {memories: {t1: 10 s}}, bob: , charlie: , dora: }
links:
- {endpoints: [alice, charlie], length: 10 km, attenuation: 0.3 dB/km, source: {fidelity: 0.9}}
- {endpoints: [charlie, bob], length: 12 km, insertion_loss: 2 dB, classical: {extra_delay: 1 ms}}
- {endpoints: [alice, bob], length: 20 km, qkd: {protocol: bb84}}
taps: {eve: {link: alice-bob, at: 10 km, fraction: 50 %}}
"""


def test_the_world_has_every_device_of_the_lab(read: ReadLab) -> None:
    world = plan(read(TRIANGLE)).world
    assert list(world.nodes) == ["alice", "bob", "charlie", "dora"]
    assert world.nodes["alice"].memories.t1 == 10.0
    assert world.links["alice-charlie"].fibre == FibreConfig(10e3, attenuation_db_per_km=0.3)
    assert world.links["alice-charlie"].source == WernerSource(fidelity=0.9)
    assert world.links["charlie-bob"].fibre == FibreConfig(12e3, insertion_loss_db=2.0)
    assert world.links["alice-bob"].endpoints == ("alice", "bob")
    assert world.taps == {"eve": TapConfig("alice-bob", fraction=0.5, position=10e3)}


def test_a_node_is_told_its_own_links_and_how_long_its_messages_take(read: ReadLab) -> None:
    nodes = plan(read(TRIANGLE)).nodes
    near, far = nodes["bob"].links
    agreed = LinkAgreement()
    assert near == LinkEnd("charlie-bob", "charlie", near.delay, True, True, agreed, first=False)
    assert near.delay == pytest.approx(60e-6 + 1e-3)
    assert far == LinkEnd("alice-bob", "alice", far.delay, False, False, agreed, first=False)
    assert far.delay == pytest.approx(100e-6)
    assert nodes["alice"].channels == {"bob": (Hop(100e-6),), "charlie": (Hop(50e-6),)}
    assert {field.name for field in fields(NodePlan)} == {
        "name",
        "links",
        "channels",
        "key_service",
        "external",
    }


def test_a_message_takes_the_shortest_way(read: ReadLab) -> None:
    lab = read(
        """
nodes: {a: , b: , c: , d: }
links:
- {endpoints: [a, b], length: 10 km}
- {endpoints: [b, c], length: 10 km}
- {endpoints: [a, c], length: 30 km}
- {name: detour, endpoints: [c, d], length: 9 km}
- {name: short, endpoints: [d, c], length: 8 km, velocity: 100000 km/s}
"""
    )
    planned = plan(lab)
    assert planned.entanglement_route("a", "d") == ("a", "b", "c", "d")
    assert planned.nodes["a"].channels["d"] == (Hop(50e-6), Hop(50e-6), Hop(80e-6))
    assert planned.nodes["d"].channels["a"] == planned.nodes["a"].channels["d"][::-1]


def test_of_equally_long_ways_the_one_with_fewest_hops_is_taken_then_the_first_by_name(read: ReadLab) -> None:
    lab = read(
        """
nodes: {a: , x: , m: , b: , c: }
links:
- {endpoints: [a, x], length: 1 km}
- {endpoints: [x, b], length: 1 km}
- {endpoints: [a, m], length: 1 km}
- {endpoints: [m, b], length: 1 km}
- {endpoints: [b, c], length: 1 km}
- {endpoints: [a, c], length: 3 km}
"""
    )
    planned = plan(lab)
    assert planned.entanglement_route("a", "b") == ("a", "m", "b")
    assert planned.entanglement_route("a", "c") == ("a", "c")


def test_pairs_go_around_a_link_that_makes_none(read: ReadLab) -> None:
    planned = plan(read(TRIANGLE))
    assert planned.entanglement_route("alice", "bob") == ("alice", "charlie", "bob")
    assert planned.entanglement_route("bob", "alice") == ("bob", "charlie", "alice")


def test_nodes_without_a_path_cannot_talk_and_get_no_pairs(read: ReadLab) -> None:
    planned = plan(read(TRIANGLE))
    assert planned.nodes["dora"] == NodePlan("dora", (), {})
    assert "dora" not in planned.nodes["alice"].channels
    with pytest.raises(NotFound, match="no entangled pairs can reach from 'alice' to 'dora'; give the links"):
        planned.entanglement_route("alice", "dora")


def test_the_command_chooses_the_clock_where_the_lab_file_does_not(read: ReadLab) -> None:
    assert plan(read("nodes: {a: }"), default_mode="real-time").world.clock == ClockConfig("real-time", 1.0)
    chosen = read("nodes: {a: }\nruntime: {clock: {mode: virtual, scale: 2}}")
    assert plan(chosen, default_mode="real-time").world.clock == ClockConfig("virtual", 2.0)


def test_a_clock_given_replaces_the_clock_of_the_file_and_keeps_its_scale(read: ReadLab) -> None:
    chosen = read("nodes: {a: }\nruntime: {clock: {mode: virtual, scale: 2}}")
    assert plan(chosen, mode="real-time").world.clock == ClockConfig("real-time", 2.0)


def test_the_lag_is_compared_with_the_shortest_link_that_takes_any_time(read: ReadLab) -> None:
    assert plan(read(TRIANGLE)).shortest_delay == pytest.approx(50e-6)
    here = "{endpoints: [a, b], length: 0 km}"
    assert plan(read(f"nodes: {{a: , b: }}\nlinks: [{here}]")).shortest_delay == inf
    assert plan(read("nodes: {a: }")).shortest_delay == inf


def test_a_seed_given_replaces_the_seed_of_the_file_and_zero_is_a_seed(read: ReadLab) -> None:
    assert plan(read(TRIANGLE)).world.seed == 7
    assert plan(read(TRIANGLE), seed=0).world.seed == 0


def test_broker_and_limits_are_passed_on(read: ReadLab) -> None:
    planned = plan(read("name: x\nnodes: {a: }\nruntime: {broker: 'mqtt://[::1]:1884', max_qubits: 5}"))
    assert (planned.lab, planned.broker, planned.world.max_qubits) == ("x", "mqtt://[::1]:1884", 5)
