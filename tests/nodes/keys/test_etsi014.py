"""What a KME delivers, to whom and how often, field by field of ETSI GS QKD 014 V1.1.1, whose clauses are named."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.keys.errors import (
    KeyManagementError,
    KeysExhausted,
    NotEntitled,
    PeerUnreachable,
    RelayFailed,
    Reproducible,
    StoreCorrupted,
    UnknownSae,
)
from nodes.keys.service import Limits
from tests.nodes.keys.called_kme import ID, MASTER, NOT_FOUND, OTHER, SLAVE, Kme, by_ids, ids_of, is_an_error
from tests.nodes.keys.drawn_keys import DrawnKeys


async def test_the_status_has_every_field_of_clause_6_1_in_its_type() -> None:
    answer = await Kme(DrawnKeys(stored=25)).get("status", MASTER, SLAVE)
    document = json.loads(answer.encoded())
    assert answer.status == 200
    extension = document.pop("status_extension")
    assert document == {
        "source_KME_ID": "north",
        "target_KME_ID": "dc",
        "master_SAE_ID": MASTER,
        "slave_SAE_ID": SLAVE,
        "key_size": 256,
        "stored_key_count": 25,
        "max_key_count": 1_000_000,
        "max_key_per_request": 128,
        "max_key_size": 4096,
        "min_key_size": 64,
        "max_SAE_ID_count": 8,
    }
    assert all(type(document[name]) is int for name in document if not name.endswith("_ID"))
    assert extension == {"bellwire_reproducible": False, "bellwire_reproducible_key_count": 0}


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", {"number": None, "size": None}])
async def test_without_parameters_one_key_of_the_default_size_is_delivered(body: Any) -> None:
    answer = await Kme(DrawnKeys(limits=Limits(key_size=352))).enc_keys(body)
    [key] = answer.document["keys"]
    assert (answer.status, answer.keys, key.keys()) == (200, 1, {"key_ID", "key"})
    assert len(b64decode(key["key"], validate=True)) == 44
    assert str(UUID(key["key_ID"])) == key["key_ID"]


async def test_a_get_takes_number_and_size_from_the_query() -> None:
    answer = await Kme().get("enc_keys", MASTER, SLAVE, ("number", "3"), ("size", "1024"))
    assert [len(b64decode(key["key"])) for key in answer.document["keys"]] == [128] * 3
    assert len(set(ids_of(answer))) == 3
    assert (await Kme().get("enc_keys", MASTER, SLAVE)).keys == 1


@settings(max_examples=25)
@given(number=st.integers(1, 128), size=st.integers(8, 512))
async def test_any_number_and_size_within_the_limits_is_delivered(number: int, size: int) -> None:
    answer = await Kme().enc_keys({"number": number, "size": 8 * size})
    assert [len(b64decode(key["key"])) for key in answer.document["keys"]] == [size] * number


async def test_the_slave_gets_the_same_keys_in_the_order_it_asks_for() -> None:
    kme = Kme()
    made = (await kme.enc_keys({"number": 3, "size": 512})).document["keys"]
    answer = await kme.dec_keys(by_ids(*(key["key_ID"] for key in reversed(made))))
    assert (answer.status, answer.keys) == (200, 3)
    assert answer.document["keys"] == list(reversed(made))


async def test_a_get_fetches_one_key_by_its_id() -> None:
    kme = Kme()
    [made] = (await kme.enc_keys()).document["keys"]
    fetched = await kme.get("dec_keys", SLAVE, MASTER, ("key_ID", made["key_ID"].upper()))
    assert fetched.document["keys"] == [made]


async def test_a_key_is_delivered_to_a_slave_once() -> None:
    """The post-condition of clause 5.4: what was delivered is removed."""
    kme = Kme()
    ids = ids_of(await kme.enc_keys({"number": 2}))
    assert (await kme.dec_keys(by_ids(ids[0]))).status == 200
    assert is_an_error(await kme.dec_keys(by_ids(ids[0])), 400, NOT_FOUND)
    assert is_an_error(await kme.dec_keys(by_ids(*ids)), 400, NOT_FOUND)
    assert (await kme.dec_keys(by_ids(ids[1]))).status == 200, "what could not be had in full was not touched"


async def test_further_slaves_get_the_same_key_and_nobody_else_does() -> None:
    kme = Kme()
    answer = await kme.enc_keys({"additional_slave_SAE_IDs": [OTHER]})
    [made] = answer.document["keys"]
    stranger = await kme.dec_keys(by_ids(made["key_ID"]), slave="backup-north")
    assert is_an_error(stranger, 401)
    for slave in (SLAVE, OTHER):
        assert (await kme.dec_keys(by_ids(made["key_ID"]), slave=slave)).document["keys"] == [made]
        assert (await kme.dec_keys(by_ids(made["key_ID"]), slave=slave)).status != 200


@pytest.mark.parametrize("key_id", [ID, "00000000-0000-0000-0000-000000000000"])
async def test_an_unknown_id_is_refused_in_the_words_of_clause_6_4(key_id: str) -> None:
    kme = Kme()
    assert is_an_error(await kme.dec_keys(by_ids(key_id)), 400, NOT_FOUND)
    assert is_an_error(await kme.get("dec_keys", SLAVE, MASTER, ("key_ID", key_id)), 400, NOT_FOUND)


async def test_a_key_of_another_master_is_not_found() -> None:
    kme = Kme()
    ids = ids_of(await kme.enc_keys())
    assert is_an_error(await kme.dec_keys(by_ids(*ids), master="backup-north"), 400, NOT_FOUND)
    assert (await kme.dec_keys(by_ids(*ids))).keys == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeysExhausted("dc", 2, 1), 503),
        (Reproducible("dc"), 503),
        (PeerUnreachable("dc"), 503),
        (RelayFailed("dc", "no route"), 503),
        (NotEntitled("not here"), 401),
        (UnknownSae("x"), 400),
    ],
)
async def test_an_error_of_key_management_has_its_code_and_its_sentence(
    error: KeyManagementError, status: int
) -> None:
    keys = DrawnKeys()
    keys.error = error
    for answer in (await Kme(keys).enc_keys(), await Kme(keys).dec_keys(by_ids(ID))):
        assert is_an_error(answer, status, str(error))
        assert answer.reason == str(error)
    assert is_an_error(await Kme(keys).get("status", MASTER, SLAVE), status)


async def test_what_is_wrong_with_the_store_is_told_to_its_keeper_only() -> None:
    keys = DrawnKeys()
    keys.error = StoreCorrupted("/secret/place is damaged")
    answer = await Kme(keys).enc_keys()
    assert is_an_error(answer, 503)
    assert "/secret/place" not in answer.encoded().decode()
    assert answer.reason == "/secret/place is damaged"


async def test_an_empty_store_is_unavailable_not_a_mistake() -> None:
    kme = Kme(DrawnKeys(stored=2))
    assert is_an_error(await kme.enc_keys({"number": 3}), 503)
    assert (await kme.enc_keys({"number": 2})).keys == 2
    assert is_an_error(await kme.enc_keys(), 503)


async def test_a_key_from_seeded_dice_says_so() -> None:
    keys = DrawnKeys()
    keys.reproducible = True
    kme = Kme(keys, reproducible=True)
    [made] = (await kme.enc_keys()).document["keys"]
    assert made["key_extension"] == {"bellwire_reproducible": True}
    status = (await kme.get("status", MASTER, SLAVE)).document
    assert status["stored_key_count"] == keys.stored == 999
    extension = {"bellwire_reproducible": True, "bellwire_reproducible_key_count": 999}
    assert status["status_extension"] == extension


async def test_keys_that_are_not_delivered_are_not_counted() -> None:
    keys = DrawnKeys()
    keys.reproducible = True
    status = (await Kme(keys).get("status", MASTER, SLAVE)).document
    assert status["stored_key_count"] == 0
    extension = {"bellwire_reproducible": False, "bellwire_reproducible_key_count": 1000}
    assert status["status_extension"] == extension


async def test_a_store_counts_as_full_at_most() -> None:
    status = await Kme(DrawnKeys(stored=20, limits=Limits(max_key_count=10))).get("status", MASTER, SLAVE)
    assert status.document["stored_key_count"] == status.document["max_key_count"] == 10


async def test_no_text_of_an_answer_shows_a_key() -> None:
    answer = await Kme().enc_keys()
    assert answer.document["keys"][0]["key"] not in f"{answer!r} {answer} {[answer]}"
