"""Pools filled by ML-KEM, alone and combined with QKD: both ends alike, whatever is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.keys.errors import KeysExhausted, RelayFailed
from nodes.keys.exchange import KemAnswer, KemOffer
from nodes.keys.hybrid import hybrid_block
from nodes.keys.messages import Announced, Declined
from nodes.keys.plane import Faults
from nodes.keys.secret import Secret
from nodes.keys.site import Pair
from tests.nodes.keys.key_lab import KeyLab, MakeLab, key_of_units

CHAIN = {"a": ["b"], "b": ["c"]}
PQC = {("alice", "bob"): Pair("pqc", low_water=20, batch=8)}
HYBRID = {("alice", "bob"): Pair("hybrid", parameters="ML-KEM-1024")}


async def share_one(lab: KeyLab, master: str, slave: str) -> bytes:
    keys = await lab.managers[master].get_key(f"{master}-app", [f"{slave}-app"])
    assert await lab.collect(slave, master, keys) == [key.secret for key in keys]
    return keys[0].secret.reveal()


async def deposit_at_both(lab: KeyLab, block: str, units: int) -> bytes:
    key = key_of_units(units, block)
    await lab.managers["alice"].deposit("bob", block, key, reproducible=True)
    await lab.managers["bob"].deposit("alice", block, key, reproducible=True)
    return key


async def test_a_pool_is_filled_by_ml_kem_up_to_its_low_water_mark(make_lab: MakeLab) -> None:
    lab = make_lab(pairs=PQC)
    await lab.managers["bob"].refill()
    assert lab.levels("alice", "bob") == (0, 0)
    await lab.managers["alice"].refill()
    assert lab.levels("alice", "bob") == (20, 20)
    assert lab.stores["bob"].level("alice").origins == ("pqc",)
    assert {await share_one(lab, *ends) for ends in (("alice", "bob"), ("bob", "alice"))}
    await lab.managers["alice"].refill()
    assert lab.levels("alice", "bob") == (20, 20)


async def test_a_hybrid_pool_gives_nothing_before_the_exchange_and_no_qkd_key_after(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(pairs=HYBRID)
    raw = await deposit_at_both(lab, "b1", 6)
    assert lab.levels("alice", "bob") == (0, 0)
    with pytest.raises(KeysExhausted):
        await share_one(lab, "alice", "bob")
    assert lab.managers["alice"].stirred.is_set()  # bob has announced it
    await lab.managers["alice"].refill()
    assert not lab.managers["alice"].stirred.is_set()
    level = lab.stores["alice"].level("bob")
    assert (level.units, level.reproducible, level.unconfirmed, level.origins) == (6, 0, 0, ("hybrid",))
    assert lab.levels("alice", "bob") == (6, 6)
    keys = [await share_one(lab, *ends) for ends in (("alice", "bob"), ("bob", "alice")) for _ in range(3)]
    assert len(set(keys)) == 6
    assert not [key for key in keys if key in raw]


async def test_the_deposit_of_the_first_in_the_alphabet_asks_at_once(make_lab: MakeLab) -> None:
    lab = make_lab(pairs=HYBRID)
    key = key_of_units(4)
    await lab.managers["bob"].deposit("alice", "b1", key)
    await lab.managers["alice"].deposit("bob", "b1", key)
    assert lab.levels("alice", "bob") == (4, 4)


async def test_key_of_trusted_nodes_becomes_hybrid_so_that_a_broken_relay_knows_none(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(CHAIN, pairs={("a", "c"): Pair("hybrid", low_water=8)}, thieves=["b"])
    lab.share("a", "b", 40)
    lab.share("b", "c", 40)
    await lab.managers["a"].refill()
    assert lab.levels("a", "c") == (8, 8)
    keys = [await share_one(lab, "a", "c") for _ in range(4)]
    (stolen,) = lab.stolen
    assert len(stolen) == 8 * 32
    assert not [key for key in keys if key in stolen]
    ours = hybrid_block(
        stolen, Secret(bytes(32)), bytes(32)
    )  # what the thief makes of it without the exchange
    assert not [key for key in keys if key in ours]


async def test_no_trusted_node_gets_a_key_that_is_to_be_hybrid(make_lab: MakeLab) -> None:
    links = {"a": ["b", "c"], "b": ["c", "d"]}
    pairs = {("a", "c"): Pair("hybrid"), ("a", "d"): Pair("hybrid")}
    lab = make_lab(links, pairs=pairs, thieves=["b"])
    for near, far in (("a", "b"), ("b", "c"), ("b", "d")):
        lab.share(near, far, 40)
    with pytest.raises(KeysExhausted):
        await share_one(lab, "a", "c")
    with pytest.raises(RelayFailed, match="the pool shared with it holds too little"):
        await lab.managers["a"].get_key("a-app", ["c-app", "d-app"])
    assert lab.stolen == []
    assert await share_one(lab, "c", "d") == lab.stolen[0]  # of this pair it may know them


async def test_an_offer_that_arrives_again_has_the_same_answer(make_lab: MakeLab) -> None:
    lab = make_lab(pairs=PQC)
    offers: list[object] = []

    def keep(sender: str, recipient: str, message: object) -> object:
        if isinstance(message, KemOffer):
            offers.append(message)
        return message

    lab.network.tamper = keep
    await lab.managers["alice"].refill()
    before = lab.stores["bob"].levels()
    for offer in offers:
        answers = [await lab.managers["bob"].answer("alice", offer) for _ in range(2)]
        assert isinstance(answers[0], KemAnswer)
        assert answers[0] == answers[1]
    assert lab.stores["bob"].levels() == before


async def test_an_answer_that_is_lost_is_asked_for_again(make_lab: MakeLab) -> None:
    lab = make_lab(pairs=HYBRID, faults=Faults(answer_lost=1.0))
    await deposit_at_both(lab, "b1", 4)
    await lab.managers["alice"].refill()
    await lab.managers["bob"].refill()  # bob has made his block, and may not drop it
    assert lab.levels("alice", "bob") == (0, 0)
    lab.network.faults = Faults()
    await lab.managers["bob"].refill()
    await lab.managers["alice"].refill()
    assert lab.levels("alice", "bob") == (4, 4)
    await share_one(lab, "bob", "alice")


async def test_an_exchange_that_was_altered_gives_no_key(make_lab: MakeLab) -> None:
    lab = make_lab(pairs=PQC)

    def tamper(sender: str, recipient: str, message: object) -> object:
        return replace(message, public_key=bytes(1184)) if isinstance(message, KemOffer) else message

    lab.network.tamper = tamper
    await lab.managers["alice"].refill()
    assert lab.levels("alice", "bob") == (0, 0)
    ((_, fields),) = lab.events_named("refill-failed")
    assert "what claims to be signed by 'alice' is not" in str(fields["why"])


async def test_offers_that_do_not_fit_are_declined(make_lab: MakeLab) -> None:
    lab = make_lab(pairs=HYBRID)
    bob = lab.managers["bob"]
    lab.stores["bob"].deposit("alice", "short", key_of_units(2), "qkd", False, ready=False)
    offer = KemOffer("x", "alice", "bob", "ML-KEM-1024", "never", 4, b"", b"")
    assert await bob.answer("alice", offer) == Announced("unknown")
    assert await bob.answer("alice", replace(offer, block="short")) == Announced("different")
    for wrong in (
        replace(offer, parameters="ML-KEM-768"),
        replace(offer, block=""),
        replace(offer, units=0),
        replace(offer, initiator="charlie"),
        replace(offer, responder="charlie"),
        replace(offer, block="short", units=2),  # and with no signature
    ):
        assert isinstance(await bob.answer("alice", wrong), Declined)
    lab.stores["bob"].discard("alice", "short")
    assert await bob.answer("alice", replace(offer, block="short", units=2)) == Announced("spent")


async def test_a_block_that_only_one_end_still_has_is_dropped(make_lab: MakeLab) -> None:
    lab = make_lab(pairs=HYBRID)
    await deposit_at_both(lab, "b1", 4)
    lab.stores["bob"].discard("alice", "b1")
    await lab.managers["alice"].refill()
    assert lab.stores["alice"].unconfirmed() == []
    assert ("alice", {"peer": "bob", "block": "b1", "units": 4, "why": "spent"}) in lab.events_named(
        "block-dropped"
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pairs", [PQC, HYBRID], ids=["pqc", "hybrid"])
async def test_a_faulty_network_makes_both_ends_no_different(
    make_lab: MakeLab, pairs: dict[tuple[str, str], Pair], seed: int
) -> None:
    lab = make_lab(pairs=pairs, faults=Faults(lost=0.2, answer_lost=0.3, repeated=0.3, delay=4), seed=seed)
    if pairs is HYBRID:
        for number in range(4):
            await deposit_at_both(lab, f"b{number}", 6)
    for _ in range(10):
        await lab.managers["alice"].refill()
        await lab.managers["bob"].refill()
    lab.network.faults = Faults()
    for node in ("alice", "bob", "alice", "bob"):
        await lab.managers[node].refill()
    here, there = lab.levels("alice", "bob")
    assert here == there >= 20
    assert lab.stores["alice"].unconfirmed() == lab.stores["bob"].unconfirmed() == []
    for _ in range(10):
        await share_one(lab, "alice", "bob")
        await share_one(lab, "bob", "alice")
