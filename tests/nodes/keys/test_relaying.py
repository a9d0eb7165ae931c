"""Relay at a network's nodes: failures are gone around, relays keep nothing, and know what they relay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from nodes.keys.errors import KeysExhausted, KeysUnavailable, RelayFailed
from nodes.keys.plane import Faults
from nodes.keys.relay import Cargo, Relay, Relayed, pad_bytes, seal
from nodes.keys.routes import hops
from nodes.keys.secret import Secret
from nodes.keys.site import Pair
from nodes.keys.store import KeyStore
from tests.nodes.keys.key_lab import KeyLab, MakeLab

Links = Mapping[str, Collection[str]]
CHAIN: Links = {"a": ["b"], "b": ["c"], "c": ["d"]}
RING: Links = {"a": ["b", "e"], "b": ["c"], "c": ["d"], "d": ["e"]}
TWO_WAYS: Links = {"a": ["b", "e"], "b": ["d"], "e": ["d"]}


@pytest.fixture
def make_lab(make_lab: MakeLab) -> MakeLab:
    """Return a maker of labs whose links have made keys."""

    def make(links: Links, units: int = 32, **options: Any) -> KeyLab:
        lab = make_lab(links, **options)
        for near, fars in links.items():
            for far in fars:
                lab.share(near, far, units)
        return lab

    return make


def way_taken(lab: KeyLab) -> list[str]:
    """List the nodes that forwarded, in the order in which they heard of success: the last one first."""
    return [node for node, _ in lab.events_named("relay-forwarded")]


BARE = Relay("request", ("a", "b", "c"), Cargo(block="new"), False, (), b"")


def flipped(octets: bytes, place: int) -> bytes:
    changed = bytearray(octets)
    changed[place % len(changed)] ^= 1 << (place % 8)
    return bytes(changed)


async def test_ends_without_a_link_share_keys_over_trusted_nodes(make_lab: MakeLab) -> None:
    lab = make_lab(CHAIN)
    keys = await lab.get("a", "d", number=3)
    assert await lab.collect("d", "a", keys) == [key.secret for key in keys]
    for near, far in hops(("a", "b", "c", "d")):
        assert lab.levels(near, far) == (28, 28)  # three units of pad and one for the tag, at both ends
    heard = b"".join(lab.network.overheard)
    assert not [key for key in keys if key.secret.reveal() in heard]


async def test_relays_keep_nothing(make_lab: MakeLab) -> None:
    lab = make_lab(CHAIN)
    (key,) = await lab.get("a", "d")
    for relay in ("b", "c"):
        dump = b"\n".join(
            repr(row).encode() for table in ("units", "held") for row in rows_of(lab.stores[relay], table)
        )
        assert repr(key.secret.reveal())[2:-1].encode() not in dump
        assert rows_of(lab.stores[relay], "held") == []
        assert sum(level.units for level in lab.stores[relay].levels()) == 60  # what the hops used is gone
    assert await lab.collect("d", "a", [key]) == [key.secret]


def rows_of(store: KeyStore, table: str) -> list[Any]:
    with store._database.reading() as cursor:
        return cursor.execute(f"SELECT * FROM {table}").fetchall()


async def test_a_relay_that_was_broken_into_knows_every_key_it_relays_and_no_other(make_lab: MakeLab) -> None:
    lab = make_lab(TWO_WAYS, thieves=["b"])
    lab.network.dead.add("e")
    (relayed,) = await lab.get("a", "d")
    lab.network.dead = {"b"}
    (around,) = await lab.get("a", "d")
    assert lab.stolen == [relayed.secret.reveal()]
    assert await lab.collect("d", "a", [relayed, around]) == [relayed.secret, around.secret]


@pytest.mark.parametrize("dead", ["b", "e"])
async def test_a_dead_node_is_gone_around(make_lab: MakeLab, dead: str) -> None:
    lab = make_lab(TWO_WAYS)
    lab.network.dead.add(dead)
    keys = await lab.get("a", "d", number=2)
    assert await lab.collect("d", "a", keys) == [key.secret for key in keys]
    assert way_taken(lab) == [({"b", "e"} - {dead}).pop(), "a"]


async def test_a_dead_node_costs_its_neighbour_no_key_the_second_time(make_lab: MakeLab) -> None:
    lab = make_lab(CHAIN)
    lab.network.dead.add("b")
    for _ in range(5):
        with pytest.raises(RelayFailed, match="'a' to 'b': the far node does not answer"):
            await lab.get("a", "d")
    assert lab.levels("a", "b") == (30, 32)
    lab.network.dead.clear()
    lab.share("a", "b", 4, "fresh")
    (key,) = await lab.get("a", "d")
    assert await lab.collect("d", "a", [key]) == [key.secret]


@pytest.mark.parametrize("empty", hops(("a", "b", "d")))
async def test_an_empty_pool_is_gone_around_and_said_to_be_empty(
    make_lab: MakeLab, empty: tuple[str, str]
) -> None:
    lab = make_lab(TWO_WAYS)
    near, far = empty
    for own, peer in (empty, empty[::-1]):
        lab.stores[own].discard(peer, "block")
    keys = await lab.get("a", "d")
    assert await lab.collect("d", "a", keys) == [key.secret for key in keys]
    assert way_taken(lab) == ["e", "a"]
    failed = lab.events_named("relay-failed")
    known = near == "a"  # the origin knows the levels of its own pools before
    assert failed == ([] if known else [("a", {"target": "d", "near": near, "far": far, "why": "exhausted"})])
    await lab.get("a", "d")
    assert lab.events_named("relay-failed") == failed  # it has learnt


async def test_nothing_is_left_to_try(make_lab: MakeLab) -> None:
    lab = make_lab(TWO_WAYS, units=1)
    with pytest.raises(RelayFailed, match=r"no key can be relayed to node 'd': .* holds too little"):
        await lab.get("a", "d")
    alone = make_lab({"a": ["b"], "c": ["d"]})
    with pytest.raises(KeysExhausted):
        await alone.get("a", "d")


async def test_a_tampered_relay_is_found_out_and_sent_another_way(make_lab: MakeLab) -> None:
    lab = make_lab(TWO_WAYS)

    def tamper(sender: str, recipient: str, message: object) -> object:
        if isinstance(message, Relay) and (sender, recipient) == ("b", "d"):
            return replace(message, masked=flipped(message.masked, 9))
        return message

    lab.network.tamper = tamper
    keys = await lab.get("a", "d")
    assert await lab.collect("d", "a", keys) == [key.secret for key in keys]
    assert [(node, fields["peer"]) for node, fields in lab.events_named("relay-tampered")] == [("d", "b")]
    assert way_taken(lab)[-2:] == ["e", "a"]


async def test_a_relay_that_arrives_again_has_the_same_answer(make_lab: MakeLab) -> None:
    lab = make_lab(CHAIN)
    (pad,) = lab.stores["a"].take("b", pad_bytes(32))
    cargo = Cargo("", ("id",), 32, "a-app", ("d-app",))
    sealed = seal(replace(BARE, route=("a", "b", "c", "d"), cargo=cargo), Secret(b"k" * 32), pad)
    answers = [await lab.managers["b"].answer("a", sealed) for _ in range(3)]
    assert len({repr(answer) for answer in answers}) == 1
    assert isinstance(answers[0], Relayed)
    assert answers[0].failure == ""
    assert lab.levels("b", "c") == (30, 30)


async def test_a_relay_from_who_is_not_before_on_the_route_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab(CHAIN)
    answer = await lab.managers["c"].answer("a", replace(BARE, route=("a", "b", "c"), masked=b"x"))
    assert answer == Relayed(failure="refused", near="a", far="c")


@pytest.mark.parametrize("low_water", [10, 300])
async def test_pools_are_filled_in_advance_up_to_their_low_water_mark(
    make_lab: MakeLab, low_water: int
) -> None:
    lab = make_lab(CHAIN, units=400, pairs={("a", "d"): Pair(low_water=low_water, batch=100)})
    await lab.managers["d"].refill()
    assert lab.levels("a", "d") == (0, 0)  # the other end does it
    await lab.managers["a"].refill()
    assert lab.levels("a", "d") == (low_water, low_water)
    before = lab.levels("b", "c")
    for master, slave in (("a", "d"), ("d", "a")):
        keys = await lab.get(master, slave, number=4)
        assert await lab.collect(slave, master, keys) == [key.secret for key in keys]
    assert lab.levels("b", "c") == before  # which is what they were filled for
    assert lab.levels("a", "d") == (low_water - 8, low_water - 8)


async def test_reproducible_hops_make_a_reproducible_key(make_lab: MakeLab) -> None:
    lab = make_lab(CHAIN, pairs={("a", "d"): Pair(low_water=4)})
    for own, peer in (("b", "c"), ("c", "b")):
        lab.stores[own].discard(peer, "block")
    lab.share("b", "c", 32, "seeded", reproducible=True)
    (key,) = await lab.get("a", "d")
    assert key.reproducible
    await lab.managers["a"].refill()
    assert lab.stores["d"].level("a").reproducible == 4


@pytest.mark.parametrize("seed", range(4))
async def test_refills_and_requests_over_a_faulty_network_never_disagree(
    make_lab: MakeLab, seed: int
) -> None:
    faults = Faults(lost=0.05, answer_lost=0.1, repeated=0.3, delay=4)
    lab = make_lab(RING, units=400, faults=faults, seed=seed, pairs={("a", "c"): Pair(low_water=16, batch=8)})
    seen: list[bytes] = []
    for _ in range(12):
        await lab.managers["a"].refill()
        await lab.managers["c"].refill()
        for master, slave in (("a", "c"), ("c", "a"), ("b", "e")):
            try:
                keys = await lab.get(master, slave)
            except KeysUnavailable:
                continue
            assert await lab.collect(slave, master, keys) == [key.secret for key in keys]
            seen += [key.secret.reveal() for key in keys]
    assert len(set(seen)) == len(seen) >= 12
    lab.network.faults = Faults()
    for node in ("a", "c", "a"):
        await lab.managers[node].refill()
    assert lab.stores["a"].unconfirmed() == lab.stores["c"].unconfirmed() == []
    assert min(lab.levels("a", "c")) >= 16


async def test_status_counts_the_keys_that_can_be_sent_off_over_trusted_nodes(make_lab: MakeLab) -> None:
    """Of 32 units two carry a key of 256 bits: one is its pad, one is for the tag."""
    lab = make_lab(CHAIN)
    status = lab.managers["a"].status
    assert (status("a-app", "d-app").stored_key_count, status("a-app", "b-app").stored_key_count) == (16, 32)
    for left in range(15, -1, -1):
        await lab.managers["a"].get_key("a-app", ["d-app"])
        assert status("a-app", "d-app").stored_key_count == left
    with pytest.raises(RelayFailed):
        await lab.managers["a"].get_key("a-app", ["d-app"])
    lab.share("a", "d", 5)
    assert status("a-app", "d-app").stored_key_count == 5


@pytest.mark.parametrize("source", ["pqc", "hybrid"])
async def test_status_counts_no_relay_for_a_pair_that_no_trusted_node_may_know(
    make_lab: MakeLab, source: Any
) -> None:
    lab = make_lab(CHAIN, pairs={("a", "d"): Pair(source)})
    assert lab.managers["a"].status("a-app", "d-app").stored_key_count == 0


async def test_relayed_keys_of_a_seeded_lab_count_as_reproducible(make_lab: MakeLab) -> None:
    status = make_lab(CHAIN, seeded=True).managers["a"].status("a-app", "d-app")
    assert status.reproducible_key_count == status.stored_key_count == 16
