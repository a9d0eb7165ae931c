"""Key managers of two and more nodes: the same key for master and slaves, once, whatever becomes of messages."""

from __future__ import annotations

from uuid import UUID

import pytest

from nodes.keys.errors import (
    KeyRequestInvalid,
    KeysExhausted,
    KeysUnavailable,
    NotEntitled,
    PeerUnreachable,
    RelayFailed,
    Reproducible,
    UnknownKeyIds,
    UnknownSae,
)
from nodes.keys.messages import AskLevel, Declined, Level, RefusedKey, Reserve, Reserved
from nodes.keys.plane import Faults
from nodes.keys.service import Limits
from nodes.keys.units import Refusal, ReservedKey, Unit
from tests.nodes.keys.key_lab import LINK_ENDS, STAR, KeyLab, MakeLab, key_of_units


@pytest.fixture
def lab(make_lab: MakeLab) -> KeyLab:
    made = make_lab()
    made.share("alice", "bob", 64)
    return made


@pytest.mark.parametrize("size", [64, 256, 352, 4096])
async def test_master_and_slave_get_the_same_keys_in_both_directions(lab: KeyLab, size: int) -> None:
    for master, slave in (("alice", "bob"), ("bob", "alice")):
        keys = await lab.get(master, slave, number=2, size=size)
        assert [8 * len(key.secret) for key in keys] == [size, size]
        assert all(str(UUID(key.key_id)) == key.key_id for key in keys)
        assert await lab.collect(slave, master, keys) == [key.secret for key in keys]
        assert keys[0].secret != keys[1].secret
    left, right = lab.levels("alice", "bob")
    assert left == right == 64 - 4 * -(-size // 256)


async def test_a_key_is_collected_once(lab: KeyLab) -> None:
    keys = await lab.get("alice", "bob")
    await lab.collect("bob", "alice", keys)
    with pytest.raises(UnknownKeyIds):
        await lab.collect("bob", "alice", keys)


async def test_only_the_slave_named_collects_a_key(make_lab: MakeLab) -> None:
    lab = make_lab(STAR)
    lab.share("hub", "alice", 8)
    keys = await lab.get("hub", "alice")
    manager = lab.managers["alice"]
    for slave, master in (("bob-app", "hub-app"), ("nobody", "hub-app"), ("alice-app", "bob-app")):
        with pytest.raises(NotEntitled):
            await manager.get_key_with_ids(slave, master, [keys[0].key_id])
    with pytest.raises(UnknownKeyIds):
        await lab.managers["bob"].get_key_with_ids("bob-app", "hub-app", [keys[0].key_id])
    assert await lab.collect("alice", "hub", keys) == [keys[0].secret]


@pytest.mark.parametrize(
    ("master", "slaves", "number", "size", "error", "says"),
    [
        ("bob-app", ["alice-app"], 1, 256, NotEntitled, "does not serve application 'bob-app'"),
        ("nobody", ["bob-app"], 1, 256, NotEntitled, "does not serve"),
        ("alice-app", ["nobody"], 1, 256, UnknownSae, "no application 'nobody'"),
        ("alice-app", [], 1, 256, KeyRequestInvalid, "1 to 9 slaves, not 0"),
        ("alice-app", ["alice-app"], 1, 256, KeyRequestInvalid, "different applications"),
        ("alice-app", ["bob-app", "bob-app"], 1, 256, KeyRequestInvalid, "each named once"),
        ("alice-app", ["bob-app"], 0, 256, KeyRequestInvalid, "1 to 16 keys"),
        ("alice-app", ["bob-app"], 17, 256, KeyRequestInvalid, "1 to 16 keys"),
        ("alice-app", ["bob-app"], 1, 100, KeyRequestInvalid, "size shall be a multiple of 8"),
        ("alice-app", ["bob-app"], 1, 56, KeyRequestInvalid, "64 to 4096 bits, not 56"),
        ("alice-app", ["bob-app"], 1, 4104, KeyRequestInvalid, "64 to 4096 bits, not 4104"),
    ],
)
async def test_what_is_never_delivered_is_refused_and_costs_nothing(
    lab: KeyLab, master: str, slaves: list[str], number: int, size: int, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await lab.managers["alice"].get_key(master, slaves, number, size)
    assert lab.levels("alice", "bob") == (64, 64)


async def test_too_little_is_told_and_what_there_is_stays(lab: KeyLab) -> None:
    with pytest.raises(KeysExhausted, match=r"128 units .* 64 are stored"):
        await lab.get("alice", "bob", number=8, size=4096)
    assert lab.levels("alice", "bob") == (64, 64)


async def test_applications_of_one_node_share_a_key_that_no_link_knows(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.managers["alice"]._site.network.saes["second-app"] = "alice"  # type: ignore[index]
    manager = lab.managers["alice"]
    (key,) = await manager.get_key("alice-app", ["second-app"], 1, 512)
    (collected,) = await manager.get_key_with_ids("second-app", "alice-app", [key.key_id])
    assert collected.secret == key.secret
    assert len(key.secret) == 64
    assert lab.network.overheard == []


async def test_one_key_for_slaves_at_several_nodes_and_here(make_lab: MakeLab) -> None:
    lab = make_lab(STAR)
    lab.managers["hub"]._site.network.saes["second-app"] = "hub"  # type: ignore[index]
    for leaf in ("alice", "bob", "charlie"):
        lab.share("hub", leaf, 8)
    slaves = ["alice-app", "bob-app", "charlie-app", "second-app"]
    keys = await lab.managers["hub"].get_key("hub-app", slaves, 2, 256)
    for leaf in ("alice", "bob", "charlie"):
        assert await lab.collect(leaf, "hub", keys) == [key.secret for key in keys]
        assert lab.levels("hub", leaf) == (5, 5)  # two units of pad, one for the tag
    local = await lab.managers["hub"].get_key_with_ids("second-app", "hub-app", [key.key_id for key in keys])
    assert [key.secret for key in local] == [key.secret for key in keys]
    assert not [
        message for message in lab.network.overheard for key in keys if key.secret.reveal() in message
    ]


async def test_a_key_for_several_is_held_nowhere_when_one_cannot_have_it(make_lab: MakeLab) -> None:
    lab = make_lab(STAR)
    lab.share("hub", "alice", 8)
    lab.share("hub", "bob", 1)
    with pytest.raises(RelayFailed, match="no key can be relayed to node 'bob'"):
        await lab.get("hub", "alice", "bob")
    assert ("alice", {"peer": "hub", "keys": 1}) in lab.events_named("keys-withdrawn")


async def test_a_peer_that_is_down_drains_no_pool(lab: KeyLab) -> None:
    lab.network.dead.add("bob")
    for _ in range(100):
        with pytest.raises(PeerUnreachable, match="node 'bob'"):
            await lab.get("alice", "bob", number=3)
    assert lab.levels("alice", "bob") == (64, 64)
    lab.network.dead.clear()
    keys = await lab.get("alice", "bob", number=3)
    assert await lab.collect("bob", "alice", keys) == [key.secret for key in keys]


async def test_units_whose_reservation_was_not_answered_serve_no_second_key(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.share("alice", "bob", 3)
    lab.network.faults = Faults(answer_lost=1.0)
    with pytest.raises(PeerUnreachable):
        await lab.get("alice", "bob")
    lab.network.faults = Faults()
    assert lab.levels("alice", "bob") == (3, 2)
    (key,) = await lab.get("alice", "bob")
    assert lab.events_named("units-dropped") == [
        ("alice", {"peer": "bob", "units": 1, "why": "spent"}),
    ]
    assert lab.levels("alice", "bob") == (1, 1)
    (redeemed,) = await lab.collect("bob", "alice", [key])
    assert redeemed == key.secret
    assert key.secret.reveal() == key_of_units(3, "alicebobblock")[32:64]


async def test_a_reservation_that_arrives_twice_holds_one_key(lab: KeyLab) -> None:
    request = Reserve("alice-app", ("bob-app",), 32, (ReservedKey("id", (Unit("block", 5),)),))
    answers = [await lab.managers["bob"].answer("alice", request) for _ in range(3)]
    assert answers == [Reserved(())] * 3
    assert lab.levels("alice", "bob")[1] == 63


async def test_a_reservation_in_the_name_of_others_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab(STAR)
    lab.share("alice", "bob", 4)
    for sender, master, slave in (
        ("charlie", "alice-app", "bob-app"),
        ("alice", "alice-app", "charlie-app"),
        ("alice", "nobody", "bob-app"),
    ):
        request = Reserve(master, (slave,), 32, (ReservedKey("id", (Unit("block", 0),)),))
        answer = await lab.managers["bob"].answer(sender, request)
        assert answer == Reserved((RefusedKey("id", Refusal.NOT_SERVED),))
    assert lab.levels("alice", "bob") == (4, 4)


async def test_a_block_that_the_peer_does_not_have_is_dropped_here(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.stores["alice"].deposit("bob", "only here", key_of_units(5), "qkd", False)
    lab.share("alice", "bob", 2)
    keys = await lab.get("alice", "bob", number=2)
    assert await lab.collect("bob", "alice", keys) == [key.secret for key in keys]
    assert ("alice", {"peer": "bob", "block": "only here", "units": 3}) in lab.events_named("block-dropped")
    assert lab.levels("alice", "bob") == (0, 0)


async def test_a_full_waiting_room_is_told_and_costs_no_key(make_lab: MakeLab) -> None:
    lab = make_lab(limits=Limits(max_held=2))
    lab.share("alice", "bob", 8)
    await lab.get("alice", "bob", number=2)
    with pytest.raises(KeysUnavailable, match="too many keys wait at node 'bob'"):
        await lab.get("alice", "bob")
    assert lab.levels("alice", "bob") == (6, 6)


async def test_keys_that_nobody_collects_expire(make_lab: MakeLab) -> None:
    lab = make_lab(limits=Limits(hold_seconds=60.0))
    lab.share("alice", "bob", 8)
    old = await lab.get("alice", "bob")
    lab.clock.time = 30.0
    new = await lab.get("alice", "bob")
    lab.clock.time = 61.0
    await lab.managers["bob"].refill()
    with pytest.raises(UnknownKeyIds):
        await lab.collect("bob", "alice", old)
    assert await lab.collect("bob", "alice", new) == [new[0].secret]


async def test_key_made_with_the_seed_is_marked_or_refused(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.share("alice", "bob", 4, reproducible=True)
    (key,) = await lab.get("alice", "bob")
    assert key.reproducible
    strict = make_lab(reproducible_too=False, seeded=True)
    strict.share("alice", "bob", 4, reproducible=True)
    with pytest.raises(Reproducible):
        await strict.get("alice", "bob")
    strict.managers["alice"]._site.network.saes["second-app"] = "alice"  # type: ignore[index]
    with pytest.raises(Reproducible):
        await strict.managers["alice"].get_key("alice-app", ["second-app"])


async def test_status_tells_what_is_stored(make_lab: MakeLab) -> None:
    lab = make_lab(limits=Limits(key_size=352, max_key_count=40))
    lab.share("alice", "bob", 9, reproducible=True)
    manager = lab.managers["alice"]
    status = manager.status("alice-app", "bob-app")
    assert (status.source_kme, status.target_kme) == ("alice", "bob")
    assert (status.key_size, status.stored_key_count, status.reproducible_key_count) == (352, 4, 4)
    assert manager.room("bob") == (2 * 40 - 9) * 32
    here = manager.status("alice-app", "alice-app")
    assert (here.stored_key_count, here.reproducible_key_count) == (40, 0)
    with pytest.raises(UnknownSae):
        manager.status("alice-app", "nobody")
    with pytest.raises(NotEntitled):
        manager.status("bob-app", "alice-app")


async def test_keys_that_a_seeded_node_draws_for_its_own_applications_count_as_reproducible(
    make_lab: MakeLab,
) -> None:
    status = make_lab(seeded=True, limits=Limits(max_key_count=40)).managers["alice"].status
    assert status("alice-app", "alice-app").reproducible_key_count == 40


async def test_a_block_is_used_when_both_ends_have_it(make_lab: MakeLab) -> None:
    lab = make_lab()
    key = key_of_units(4) + b"left over"
    assert await lab.managers["alice"].deposit("bob", "b1", key) == 4
    with pytest.raises(KeysExhausted):
        await lab.get("alice", "bob")
    assert await lab.managers["bob"].deposit("alice", "b1", key) == 4
    assert lab.levels("alice", "bob") == (4, 4)


async def test_a_block_is_confirmed_later_when_the_announcement_was_lost(make_lab: MakeLab) -> None:
    lab = make_lab(faults=Faults(lost=1.0))
    for own, peer in (("alice", "bob"), ("bob", "alice")):
        await lab.managers[own].deposit(peer, "b1", key_of_units(4))
    assert lab.levels("alice", "bob") == (0, 0)
    lab.network.faults = Faults()
    await lab.managers["bob"].refill()
    assert lab.levels("alice", "bob") == (4, 4)


async def test_blocks_of_different_length_are_dropped_at_both_ends(make_lab: MakeLab) -> None:
    lab = make_lab()
    await lab.managers["alice"].deposit("bob", "b1", key_of_units(4))
    await lab.managers["bob"].deposit("alice", "b1", key_of_units(3))
    for own, peer in LINK_ENDS:
        assert lab.stores[own].unconfirmed() == []
        assert lab.stores[own].level(peer).units == 0


async def test_a_request_of_no_known_kind_is_declined(lab: KeyLab) -> None:
    assert await lab.managers["bob"].answer("alice", AskLevel()) == Level(64)
    assert isinstance(await lab.managers["bob"].answer("alice", Level(1)), Declined)
