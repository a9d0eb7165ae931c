"""What nodes tell of their stores, over several processes of a node, and how full that makes a link's stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deploy.key_access import KmeAddress
from deploy.key_links import LinkEnds
from deploy.key_pools import KeyLevels, pools
from deploy.plan import Plan, plan
from deploy.topology import Lab

ReadLab = Callable[[str], Lab]

LAB = """
nodes:
  a: {services: {etsi014: {sae: [x], max_key_count: 100, key_size: 512}}}
  b:
links: [{name: line, endpoints: [a, b], length: 1 km, qkd: {continuous: true}}]
"""
LINE = LinkEnds("line", "a", "b")


def told(peer: str, units: int, unconfirmed: int = 0, **counts: int) -> dict[str, Any]:
    level = {"pool": peer, "units": units, "reproducible": 0, "unconfirmed": unconfirmed, "origins": ["qkd"]}
    return {"pools": [level], "delivered": 0, "stolen": 0} | counts


@pytest.fixture
def planned(read: ReadLab) -> Plan:
    return plan(read(LAB), default_mode="real-time")


def test_what_a_node_delivers_is_counted_over_all_its_processes(planned: Plan) -> None:
    levels = KeyLevels()
    levels.note("a", told("b", 5, delivered=3, stolen=64))
    levels.begin_again("a")
    levels.note("a", told("b", 5))
    levels.note("a", told("b", 4, delivered=2))
    levels.begin_again("a")
    [of_a, of_b] = pools(planned, levels.told, [], {})
    assert (of_a.delivered_keys, of_a.read_bytes, of_a.stored_units) == (5, 64, 4)
    assert (of_b.delivered_keys, of_b.stored_units) == (0, 0)
    levels.note("a", told("b", 4, delivered=1))
    assert pools(planned, levels.told, [], {})[0].delivered_keys == 6


@pytest.mark.parametrize(
    ("units", "unconfirmed", "expected"), [(0, 0, 0.0), (100, 0, 0.5), (150, 50, 1.0), (300, 0, 1.5)]
)
def test_a_store_is_full_when_it_has_as_many_keys_as_its_service_may_have(
    planned: Plan, units: int, unconfirmed: int, expected: float
) -> None:
    levels = KeyLevels()
    levels.note("a", told("b", units, unconfirmed))
    levels.note("b", told("a", units, unconfirmed))
    assert levels.filled(planned, LINE) == expected


def test_a_link_makes_keys_by_itself_in_real_time_only(read: ReadLab) -> None:
    lab = read(LAB)
    virtual = plan(lab, default_mode="virtual")
    assert virtual.key_links == []
    assert virtual.continuous_links == plan(lab, default_mode="real-time").key_links == [LINE]


def test_a_node_that_serves_applications_is_told_of_with_nothing_in_store(read: ReadLab) -> None:
    lab = read(
        "nodes: {a: {services: {etsi014: {sae: [x]}}}, b: {services: {etsi014: {sae: [y]}}}}\n"
        "links: [{endpoints: [a, b], length: 1 km}]"
    )
    addresses = {"a": KmeAddress(1, "a", ("x",)), "b": KmeAddress(2, "b", ("y",))}
    told = pools(plan(lab), {}, [], addresses)
    assert [(pool.node, pool.peer, pool.stored_units, pool.kme_url) for pool in told] == [
        ("a", "b", 0, "https://127.0.0.1:1"),
        ("b", "a", 0, "https://127.0.0.1:2"),
    ]
