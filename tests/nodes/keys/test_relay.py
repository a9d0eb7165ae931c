"""The hop of a relay is one-time padded and authentic; its way has the fewest hops and the fullest pools."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.keys.errors import CargoTampered
from nodes.keys.relay import Cargo, Relay, hop_to, pad_bytes, seal, split, unseal
from nodes.keys.routes import find_route, hops
from nodes.keys.secret import Secret
from nodes.keys.units import UNIT_BYTES, Taken, Unit
from tests.nodes.keys.key_lab import key_of_units

Links = Mapping[str, Collection[str]]
RING: Links = {"a": ["b", "e"], "b": ["c"], "c": ["d"], "d": ["e"]}


def pad_of(content: bytes, name: str = "pad") -> tuple[Taken, Secret]:
    """Draw the pad of a hop, at both ends."""
    octets = key_of_units(pad_bytes(len(content)) // UNIT_BYTES, name)
    units = tuple(Unit("block", index) for index in range(len(octets) // UNIT_BYTES))
    return Taken(units, Secret(octets), False), Secret(octets)


BARE = Relay("request", ("a", "b", "c"), Cargo(block="new"), False, (), b"")


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_the_next_node_gets_what_was_sealed(content: bytes) -> None:
    near, far = pad_of(content)
    sealed = seal(BARE, Secret(content), near)
    assert (sealed.request, sealed.route, sealed.cargo, len(sealed.units)) == (
        BARE.request,
        BARE.route,
        BARE.cargo,
        -(-len(content) // UNIT_BYTES) + 1,
    )
    assert unseal(sealed, far).reveal() == content
    assert set(near.secret.reveal()) == set(far.reveal()) == {0}  # nothing of the pad is left


def flipped(octets: bytes, place: int) -> bytes:
    changed = bytearray(octets)
    changed[place % len(changed)] ^= 1 << (place % 8)
    return bytes(changed)


@pytest.mark.parametrize(
    "alter",
    [
        lambda relay: replace(relay, masked=flipped(relay.masked, 5)),
        lambda relay: replace(relay, masked=relay.masked[:-1]),
        lambda relay: replace(relay, masked=relay.masked + b"\0"),
        lambda relay: replace(relay, tag=flipped(relay.tag, 3)),
        lambda relay: replace(relay, tag=b""),
        lambda relay: replace(relay, request="another"),
        lambda relay: replace(relay, route=("a", "b", "eve")),
        lambda relay: replace(relay, cargo=Cargo(block="another")),
        lambda relay: replace(relay, reproducible=True),
        lambda relay: replace(relay, units=relay.units[::-1]),
    ],
)
def test_an_altered_relay_does_not_open(alter: Callable[[Relay], Relay]) -> None:
    near, far = pad_of(b"k" * 40)
    with pytest.raises(CargoTampered):
        unseal(alter(seal(BARE, Secret(b"k" * 40), near)), far)


def test_what_crosses_a_hop_is_uniform_whatever_the_key_is() -> None:
    """Mutual information of key bit and masked bit over 2^19 bits, for a key of zeros and a biased one.

    For independent bits 2 N ln(2) I follows chi^2 with one degree of freedom: above 24 with probability 1e-6.
    """
    rng = np.random.default_rng(3)
    size = 2**16
    for key in (bytes(size), np.packbits(rng.random(8 * size) < 0.9).tobytes()):
        pad = Taken((), Secret(rng.bytes(pad_bytes(size))), False)
        masked = np.unpackbits(np.frombuffer(seal(BARE, Secret(key), pad).masked, dtype=np.uint8))
        assert abs(float(masked.mean()) - 0.5) < 4.9 * 0.5 / np.sqrt(masked.size)  # 1e-6, two-sided
        bits = np.unpackbits(np.frombuffer(key, dtype=np.uint8))
        assert 2 * masked.size * np.log(2) * mutual_information(bits, masked) < 24.0


def mutual_information(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Return I(left; right) of two bit strings in bits, from their counts."""
    joint = np.bincount(2 * left.astype(int) + right, minlength=4).reshape(2, 2) / left.size
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log2(joint[seen] / product[seen])).sum())


def test_the_place_on_the_route_is_that_after_the_sender() -> None:
    relay = replace(BARE, route=("a", "b", "c", "d"))
    assert [hop_to(relay, node, sender) for node, sender in (("b", "a"), ("c", "b"), ("d", "c"))] == [1, 2, 3]
    assert [hop_to(relay, node, sender) for node, sender in (("c", "a"), ("a", "d"), ("x", "a"))] == [0, 0, 0]
    assert hop_to(replace(BARE, route=("a", "b", "a", "b")), "b", "a") == 0


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 9))
def test_the_relayed_bytes_are_cut_into_keys_of_one_size(size: int, number: int) -> None:
    content = key_of_units(2 * number, "content")[: size * number]
    keys = split(Secret(content), size)
    assert b"".join(key.reveal() for key in keys) == content
    assert {len(key) for key in keys} <= {size, len(content) % size}


@settings(deadline=None)
@given(st.integers(2, 9), st.integers(0, 2**32), st.data())
def test_a_route_has_the_fewest_hops_and_among_those_the_fullest_pools(
    nodes: int, seed: int, data: st.DataObject
) -> None:
    graph = nx.gnp_random_graph(nodes, 0.5, seed=seed)
    links = {f"n{near}": [f"n{far}" for far in graph[near]] for near in graph}
    levels = {(near, far): data.draw(st.integers(0, 5)) for near in links for far in links[near]}
    way = find_route(links, "n0", f"n{nodes - 1}", levels)
    if not nx.has_path(graph, 0, nodes - 1):
        assert way is None
        return
    assert way is not None
    ways = [tuple(f"n{n}" for n in path) for path in nx.all_shortest_paths(graph, 0, nodes - 1)]
    assert way in ways
    assert min(levels[hop] for hop in hops(way)) == max(
        min(levels[hop] for hop in hops(other)) for other in ways[:64]
    )


def test_a_barred_hop_is_not_used_in_either_direction() -> None:
    assert find_route(RING, "a", "d", {}) == ("a", "e", "d")
    assert find_route(RING, "a", "d", {}, {("d", "e")}) == ("a", "b", "c", "d")
    assert find_route(RING, "a", "d", {}, {("d", "e"), ("c", "b")}) is None
    assert find_route(RING, "a", "nowhere", {}) is None
    assert find_route(RING, "a", "a", {}) is None
