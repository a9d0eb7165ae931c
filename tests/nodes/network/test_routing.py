"""The routes that are found are the best of all simple paths, whoever looks and in whatever order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from math import inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.network.prediction import LinkFigures, NodeFigures, chain_fidelity, chain_rate
from nodes.network.routing import SEARCHED, Cost, NoRoute, Route, Topology, routes

NAMES = "abcdefg"
COSTS: list[Cost] = ["rate", "fidelity", "length", "hops", lambda link: link.length % 7]


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    count = draw(st.integers(2, len(NAMES)))
    nodes = tuple(
        NodeFigures(name, draw(st.sampled_from([1, 2, 8, 8])), draw(st.sampled_from([1.0, 0.9])), t2=0.1)
        for name in NAMES[:count]
    )
    ends = st.lists(st.sampled_from(NAMES[:count]), min_size=2, max_size=2, unique=True)
    links = tuple(
        LinkFigures(
            f"link{index}",
            (first, second),
            rate=draw(st.sampled_from([0.0, 50.0, 100.0, 400.0, 1000.0])),
            fidelity=draw(st.sampled_from([0.2, 0.8, 0.9, 0.97, 1.0])),
            delay=1e-4,
            length=float(draw(st.integers(1, 30))),
        )
        for index, (first, second) in enumerate(draw(st.lists(ends, max_size=14)))
    )
    return Topology(nodes, links)


def weight(topology: Topology, link: LinkFigures, cost: Cost) -> float:
    quality = {node.name: node.swap_quality for node in topology.nodes}
    match cost:
        case "rate":
            return 1 / link.rate
        case "fidelity":
            swaps = sum(log(quality[end]) for end in link.endpoints) / 2
            return -log(max((4 * link.fidelity - 1) / 3, 1e-300)) - swaps
        case "length":
            return link.length
        case "hops":
            return 1.0
    return cost(link)


def simple_paths(
    topology: Topology, path: tuple[str, ...], destination: str, banned: frozenset[str]
) -> Iterator[tuple[str, ...]]:
    if path[-1] == destination:
        yield path
        return
    for node in topology.nodes:
        enough = node.memories >= (1 if node.name == destination else 2)
        joined = any(
            {*link.endpoints} == {path[-1], node.name} and link.rate and link.name not in banned
            for link in topology.links
        )
        if joined and enough and node.name not in path and node.name not in banned:
            yield from simple_paths(topology, (*path, node.name), destination, banned)


def every_route(
    topology: Topology,
    source: str,
    destination: str,
    cost: Cost,
    banned: frozenset[str] = frozenset(),
    ranked_by: Cost | None = None,
) -> list[Route]:
    """Return all routes, best first, by brute force."""
    nodes = {node.name: node for node in topology.nodes}
    found = []
    ends_are_fine = nodes[source].memories and not {source, destination} & banned
    for path in simple_paths(topology, (source,), destination, banned) if ends_are_fine else ():
        links = [
            min(
                (each for each in topology.links if {*each.endpoints} == {*hop} and each.rate),
                key=lambda each: (
                    each.name in banned,
                    weight(topology, each, cost),
                    -each.fidelity,
                    -each.rate,
                    each.name,
                ),
            )
            for hop in pairwise(path)
        ]
        rate, fidelity = chain_rate(links), chain_fidelity(links, [nodes[name] for name in path])
        merits = {"rate": -rate, "fidelity": -fidelity}
        by = ranked_by or cost
        merit = sum(weight(topology, each, by) for each in links)
        if isinstance(by, str):
            merit = merits.get(by, merit)
        names = tuple(each.name for each in links)
        delay = sum(each.delay for each in links)
        found.append(
            ((float(f"{merit:.12g}"), len(links), path, names), Route(path, names, rate, fidelity, delay))
        )
    return [route for _, route in sorted(found, key=lambda each: each[0])]


def same(found: list[Route], expected: list[Route]) -> bool:
    return [replace(each, delay=0.0) for each in found] == [replace(each, delay=0.0) for each in expected]


@pytest.mark.thorough
@settings(max_examples=300, deadline=None)
@given(
    topologies(),
    st.sampled_from(COSTS),
    st.integers(1, 6),
    st.sets(st.sampled_from(["c", "d", "link0", "link5"])),
)
def test_the_routes_are_the_best_of_all_paths(
    topology: Topology, cost: Cost, most: int, banned: set[str]
) -> None:
    everything = every_route(topology, "a", "b", cost, frozenset(banned))
    avoid = frozenset(banned)
    if not everything:
        with pytest.raises(NoRoute) as refused:
            routes(topology, "a", "b", cost=cost, most=most, avoid_nodes=avoid, avoid_links=avoid)
        assert refused.value.code == "no-route"
        return
    found = routes(topology, "a", "b", cost=cost, most=most, avoid_nodes=avoid, avoid_links=avoid)
    assert len(found) == min(most, len(everything))
    if len(everything) <= SEARCHED:
        assert same(found, everything[:most])
    for route in found:
        assert route.delay == pytest.approx(1e-4 * len(route.links))


@settings(max_examples=200, deadline=None)
@given(topologies(), st.sampled_from(COSTS), st.sampled_from([0.3, 0.6, 0.8, 0.95]))
def test_a_fidelity_that_is_asked_for_is_predicted_or_said_to_be_out_of_reach(
    topology: Topology, cost: Cost, least: float
) -> None:
    everything = every_route(topology, "a", "b", cost)
    if not everything or len(everything) > SEARCHED:
        return
    good = [route for route in everything if route.fidelity >= least]
    if not good:  # another of several links between two nodes may be good enough
        best = every_route(topology, "a", "b", "fidelity", ranked_by=cost)
        good = [route for route in best if route.fidelity >= least]
    if good:
        assert same(routes(topology, "a", "b", cost=cost, min_fidelity=least), good[:4])
        return
    with pytest.raises(NoRoute) as refused:
        routes(topology, "a", "b", cost=cost, min_fidelity=least)
    assert refused.value.code == "fidelity-unattainable"
    top = max(route.fidelity for route in everything + best)
    assert f"has {top:.4f}" in str(refused.value)


@settings(max_examples=200, deadline=None)
@given(st.data(), topologies(), st.sampled_from(COSTS))
def test_the_order_of_nodes_links_and_endpoints_does_not_matter(
    data: st.DataObject, topology: Topology, cost: Cost
) -> None:
    nodes = tuple(data.draw(st.permutations(topology.nodes)))
    links = tuple(data.draw(st.permutations(topology.links)))
    turned = tuple(replace(link, endpoints=(link.endpoints[1], link.endpoints[0])) for link in links)
    if not every_route(topology, "a", "b", cost):
        with pytest.raises(NoRoute):
            routes(Topology(nodes, turned), "a", "b", cost=cost)
        return
    assert routes(Topology(nodes, turned), "a", "b", cost=cost) == routes(topology, "a", "b", cost=cost)


def link(first: str, second: str, **figures: float | str) -> LinkFigures:
    values = {"name": f"{first}-{second}", "rate": 100.0, "fidelity": 0.95, "delay": 1e-4, "length": 20e3}
    return LinkFigures(endpoints=(first, second), **{**values, **figures})  # type: ignore[arg-type]


def square(**figures: float) -> Topology:
    """Return two ways from a to d: over b, and over c, where the links have other figures."""
    nodes = tuple(NodeFigures(name, 2) for name in "abcd")
    links = (link("a", "b"), link("b", "d"), link("a", "c", **figures), link("c", "d", **figures))
    return Topology(nodes, links)


@pytest.mark.parametrize(
    ("cost", "figures"),
    [
        ("rate", {"rate": 101.0, "fidelity": 0.5}),
        ("fidelity", {"fidelity": 0.96, "rate": 1.0}),
        ("length", {"length": 19e3, "rate": 1.0}),
        (lambda each: each.delay, {"delay": 1e-5, "rate": 1.0}),
    ],
)
def test_what_is_asked_for_decides(cost: Cost, figures: dict[str, float]) -> None:
    first, second = routes(square(**figures), "a", "d", cost=cost)
    assert (first.nodes, second.nodes) == (("a", "c", "d"), ("a", "b", "d"))
    assert first.links == ("a-c", "c-d")


def test_ties_go_to_fewer_hops_and_then_to_the_first_names() -> None:
    topology = square()
    assert [route.nodes for route in routes(topology, "a", "d")] == [("a", "b", "d"), ("a", "c", "d")]
    longer = Topology(topology.nodes, (*topology.links, link("a", "d", length=40e3)))
    assert routes(longer, "a", "d", cost="length")[0].nodes == ("a", "d")


def test_a_bad_swap_is_gone_round() -> None:
    topology = square()
    nodes = tuple(replace(node, swap_quality=0.8) if node.name == "b" else node for node in topology.nodes)
    assert routes(Topology(nodes, topology.links), "a", "d", cost="fidelity")[0].nodes == ("a", "c", "d")


def test_of_more_paths_than_are_looked_at_the_best_one_comes_first() -> None:
    """Eight times there are two ways on: one with a swap of 0.9, one whose links keep 0.85. That makes 256 paths."""
    joints = [NodeFigures(f"j{index}", 2) for index in range(9)]
    swaps = [NodeFigures(f"s{index}", 2, swap_quality=0.9) for index in range(8)]
    detours = [NodeFigures(f"d{index}", 2) for index in range(8)]
    links = []
    for index in range(8):
        for stop, w in ((f"s{index}", 1.0), (f"d{index}", 0.85**0.5)):
            links.append(link(f"j{index}", stop, fidelity=(1 + 3 * w) / 4))
            links.append(link(stop, f"j{index + 1}", fidelity=(1 + 3 * w) / 4))
    topology = Topology((*joints, *swaps, *detours), tuple(links))
    best = routes(topology, "j0", "j8", cost="fidelity")[0]
    assert best.fidelity == pytest.approx(0.25 + 0.75 * 0.9**8)
    assert best.nodes[1::2] == tuple(swap.name for swap in swaps)


@pytest.mark.parametrize("cost", ["rate", "fidelity", "length", "hops"])
def test_a_large_grid_has_a_first_way_in_the_order_of_the_names(cost: Cost) -> None:
    """All 48 620 shortest ways are alike; only ``SEARCHED`` are looked at."""
    nodes = tuple(NodeFigures(f"n{row}{column}", 8) for row in range(10) for column in range(10))
    across = [link(f"n{row}{column}", f"n{row}{column + 1}") for row in range(10) for column in range(9)]
    down = [link(f"n{row}{column}", f"n{row + 1}{column}") for row in range(9) for column in range(10)]
    found = routes(Topology(nodes, (*across, *down)), "n00", "n99", cost=cost, most=2)
    assert [len(route.links) for route in found] == [18, 18]
    assert found[0].nodes[:10] == tuple(f"n0{column}" for column in range(10))


@pytest.mark.parametrize(
    ("ends", "avoid", "sentence"),
    [
        (("a", "a"), (), "two different ends"),
        (("a", "z"), (), "there is no node z; there are: a, b, c, d"),
        (("a", "d"), ("d",), "d is an end of the path and is to be avoided"),
        (("a", "d"), ("b", "c-d"), "over what is to be avoided: b, c-d"),
    ],
)
def test_a_refusal_says_why(ends: tuple[str, str], avoid: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(NoRoute, match=sentence) as refused:
        routes(square(), *ends, avoid_nodes=frozenset(avoid), avoid_links=frozenset(avoid))
    assert refused.value.code == "no-route"


def test_a_repeater_needs_two_memories_and_an_end_one() -> None:
    topology = square()
    small = tuple(replace(node, memories=1) for node in topology.nodes)
    with pytest.raises(NoRoute, match="without two memories to swap in: b, c"):
        routes(Topology(small, topology.links), "a", "d")
    assert routes(Topology(small, topology.links), "a", "b")[0].nodes == ("a", "b")
    none = tuple(replace(node, memories=0) for node in topology.nodes)
    with pytest.raises(NoRoute, match="a has no memory"):
        routes(Topology(none, topology.links), "a", "b")


def test_links_that_make_no_pairs_lead_nowhere() -> None:
    with pytest.raises(NoRoute, match="no chain of links that store pairs leads from a to c"):
        routes(square(rate=0.0), "a", "c")


def test_a_fidelity_out_of_reach_names_the_best_path() -> None:
    with pytest.raises(NoRoute, match=r"a - c - d, has 0\.9221") as refused:
        routes(square(fidelity=0.96), "a", "d", min_fidelity=0.95)
    assert refused.value.code == "fidelity-unattainable"


@pytest.mark.parametrize("price", [-1.0, inf, float("nan")])
def test_a_cost_that_no_search_can_add_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match="cost of link a-b"):
        routes(square(), "a", "d", cost=lambda _: price)


def test_a_topology_whose_names_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="is not there"):
        Topology((NodeFigures("a", 2),), (link("a", "b"),))
    with pytest.raises(ValueError, match="one name"):
        Topology((NodeFigures("a", 2), NodeFigures("a", 2)), ())
    with pytest.raises(ValueError, match="at least one route"):
        routes(square(), "a", "d", most=0)
