"""Every field, code and fixed message of ETSI GS QKD 014 V1.1.1, without HTTP. Clauses are of that document."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any
from uuid import UUID, uuid4

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
from nodes.keys.etsi014 import Answer, Call, Etsi014, Method
from nodes.keys.service import Limits
from tests.nodes.keys.drawn_keys import DrawnKeys

MASTER, SLAVE, OTHER = "vpn-north", "vpn-dc", "vpn-campus"
NOT_FOUND = "one or more keys specified are not found on KME"


class Kme:
    """The API in front of drawn keys, called by verbs."""

    def __init__(self, keys: DrawnKeys | None = None, *, reproducible: bool = False) -> None:
        self.keys = keys or DrawnKeys()
        self._api = Etsi014(self.keys, reproducible=reproducible)

    async def get(self, method: Method, caller: str, other: str, *query: tuple[str, str]) -> Answer:
        return await self._api.answer(Call(method, caller, other, query))

    async def post(self, method: Method, caller: str, other: str, body: Any = b"") -> Answer:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self._api.answer(Call(method, caller, other, (), encoded))

    async def enc_keys(self, body: Any = b"") -> Answer:
        return await self.post("enc_keys", MASTER, SLAVE, body)

    async def dec_keys(self, body: Any, slave: str = SLAVE, master: str = MASTER) -> Answer:
        return await self.post("dec_keys", slave, master, body)


def by_ids(*key_ids: str) -> dict[str, Any]:
    return {"key_IDs": [{"key_ID": key_id} for key_id in key_ids]}


def ids_of(answer: Answer) -> list[str]:
    return [key["key_ID"] for key in answer.document["keys"]]


def is_an_error(answer: Answer, status: int, message: str | None = None) -> bool:
    """Tell whether an answer is the Error of clause 6.5 with this status, and with this very message."""
    document = json.loads(answer.encoded())
    return (
        answer.status == status
        and answer.keys == 0
        and isinstance(document["message"], str)
        and document["message"] == (message or document["message"])
        and document.keys() <= {"message", "details"}
        and all(isinstance(each, dict) for each in document.get("details", []))
    )


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


@pytest.mark.parametrize("size", [1, 7, 257, -7, 4097])
@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_a_size_in_odd_bits_is_refused_in_the_words_of_clause_6_2(size: int, verb: str) -> None:
    kme = Kme()
    answer = await (
        kme.get("enc_keys", MASTER, SLAVE, ("size", str(size)))
        if verb == "GET"
        else kme.enc_keys({"size": size})
    )
    assert is_an_error(answer, 400, "size shall be a multiple of 8")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("size", size) for size in (0, -8, 8, 56, 4104, 2**80)),
        *(("number", number) for number in (0, -1, 129, 2**80)),
    ],
)
async def test_numbers_beyond_the_limits_are_refused(name: str, value: int) -> None:
    kme = Kme()
    assert is_an_error(await kme.enc_keys({name: value}), 400)
    assert is_an_error(await kme.get("enc_keys", MASTER, SLAVE, (name, str(value))), 400)
    assert kme.keys.asked == []


@pytest.mark.parametrize("value", ["256", "abc01", 256.0, 1.5, True, [], {}, [8]])
@pytest.mark.parametrize("name", ["number", "size"])
async def test_what_is_no_integer_is_refused(name: str, value: Any) -> None:
    assert is_an_error(await Kme().enc_keys({name: value}), 400)


@pytest.mark.parametrize("text", ["", " ", "abc01", "1.0", "0x10", "1e2", "٣", "1" * 5000, "true", "+8"])
@pytest.mark.parametrize("name", ["number", "size"])
async def test_what_is_no_integer_in_a_query_is_refused(name: str, text: str) -> None:
    assert is_an_error(await Kme().get("enc_keys", MASTER, SLAVE, (name, text)), 400)


@pytest.mark.parametrize(
    "query",
    [
        [("number", "1"), ("number", "2")],
        [("additional_slave_SAE_IDs", OTHER)],
        [("extension_mandatory", "[]")],
    ],
)
async def test_a_query_that_could_be_understood_in_two_ways_is_refused(query: list[tuple[str, str]]) -> None:
    assert is_an_error(await Kme().get("enc_keys", MASTER, SLAVE, *query), 400)


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [" "],
        ["nobody"],
        [OTHER, OTHER],
        [SLAVE],
        [MASTER],
        [OTHER, "nobody"],
        [OTHER, 3],
        OTHER,
        {"SAE": OTHER},
        [f"sae-{number}" for number in range(9)],
    ],
)
async def test_further_slaves_that_cannot_be_meant_are_refused(listed: Any) -> None:
    kme = Kme()
    assert is_an_error(await kme.enc_keys({"additional_slave_SAE_IDs": listed}), 400)
    assert kme.keys.asked == []


async def test_a_mandatory_extension_that_is_not_known_is_refused_in_the_words_of_clause_6_2() -> None:
    kme = Kme()
    answer = await kme.enc_keys({"extension_mandatory": [{"abc_route_type": "direct"}, {"def_x": {"a": 1}}]})
    assert is_an_error(answer, 400, "not all extension_mandatory parameters are supported")
    assert list(answer.document["details"]) == [
        {"extension_mandatory_unsupported": "abc_route_type is not supported"},
        {"extension_mandatory_unsupported": "def_x is not supported"},
    ]
    assert kme.keys.asked == []


@pytest.mark.parametrize("value", [False, True])
async def test_a_mandatory_extension_that_can_be_met_is(value: bool) -> None:
    answer = await Kme().enc_keys({"extension_mandatory": [{"bellwire_reproducible": value}]})
    assert answer.keys == 1


@pytest.mark.parametrize("value", [False, "no", None, 0, {}])
async def test_a_mandatory_extension_that_cannot_be_met_is_refused_in_the_words_of_clause_6_2(
    value: Any,
) -> None:
    answer = await Kme(reproducible=True).enc_keys(
        {"extension_mandatory": [{"bellwire_reproducible": value}]}
    )
    assert is_an_error(answer, 400, "not all extension_mandatory request options could be met")


@pytest.mark.parametrize(
    "body",
    [
        {"extension_optional": [{"abc_route_type": "direct"}, {"def_x": [1, None]}]},
        {"extension_optional": [], "extension_mandatory": []},
        {"extension_mandatory": [{}]},
        {"abc_field": 3, "additional_target_sae_ids": []},
    ],
)
async def test_what_may_be_passed_over_is(body: dict[str, Any]) -> None:
    assert (await Kme().enc_keys(body)).keys == 1


@pytest.mark.parametrize("name", ["extension_mandatory", "extension_optional"])
@pytest.mark.parametrize("value", [3, "x", {"a": 1}, ["a"], [3], [{"a": 1}, {"a": 2}]])
async def test_extensions_of_another_form_are_refused(name: str, value: Any) -> None:
    assert is_an_error(await Kme().enc_keys({name: value}), 400)


BAD_JSON = [
    b"{",
    b"null",
    b"[]",
    b"3",
    b'"x"',
    b"{'number': 1}",
    b'{"number": 1,}',
    b'{"number": NaN}',
    b'{"number": 1} 2',
    b'{"number": 1, "number": 2}',
    b'{"number": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    '{"number": 1}'.encode("utf-16"),
    b'\xef\xbb\xbf{"number": 1}',
    b'{"x": "\xff"}',
]


@pytest.mark.parametrize("body", BAD_JSON, ids=lambda body: body[:20])
async def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    kme = Kme()
    assert is_an_error(await kme.enc_keys(body), 400)
    assert is_an_error(await kme.dec_keys(body), 400)
    assert kme.keys.asked == []


@given(st.binary(max_size=200))
async def test_no_body_brings_the_kme_down(body: bytes) -> None:
    kme = Kme()
    assert (await kme.enc_keys(body)).status in (200, 400)
    assert is_an_error(await kme.dec_keys(body), 400)


NAMES = st.sampled_from(
    ["number", "size", "additional_slave_SAE_IDs", "extension_mandatory", "key_IDs", "key_ID", "vpn-dc", ""]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.dictionaries(NAMES, VALUES))
async def test_no_document_brings_the_kme_down(document: dict[str, Any]) -> None:
    kme = Kme()
    assert (await kme.enc_keys(document)).status in (200, 400)
    assert is_an_error(await kme.dec_keys(document), 400)


ID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        {},
        {"key_IDs": None},
        {"key_IDs": []},
        {"key_IDs": ID},
        {"key_IDs": [ID]},
        {"key_IDs": [{}]},
        {"key_IDs": [{"key_ID": None}]},
        {"key_IDs": [{"key_ID": 3}]},
        {"key_IDs": [{"key_ID": "non-uuid"}]},
        {"key_IDs": [{"key_ID": ID.replace("-", "")}]},
        {"key_IDs": [{"key_ID": ID + "\n"}]},
        {"key_IDs": [{"key_ID": ID, "key_ID_extension": 3}]},
        {"key_IDs": [{"key_ID": ID}], "key_IDs_extension": []},
    ],
)
async def test_key_ids_of_another_form_are_refused(body: Any) -> None:
    assert is_an_error(await Kme().dec_keys(body), 400)


async def test_the_extensions_of_key_ids_are_passed_over() -> None:
    kme = Kme()
    [made] = (await kme.enc_keys()).document["keys"]
    entry = {"key_ID": made["key_ID"], "key_ID_extension": {"abc_x": 1}, "key": "of no interest"}
    answer = await kme.dec_keys({"key_IDs": [entry], "key_IDs_extension": {"abc_y": 2}})
    assert answer.document["keys"] == [made]


async def test_an_id_that_is_there_twice_is_refused_and_the_key_is_still_there() -> None:
    kme = Kme()
    [key_id] = ids_of(await kme.enc_keys())
    assert is_an_error(await kme.dec_keys(by_ids(key_id, key_id)), 400)
    assert is_an_error(await kme.dec_keys(by_ids(key_id, key_id.upper())), 400)
    assert (await kme.dec_keys(by_ids(key_id))).keys == 1


async def test_more_ids_than_keys_in_a_request_are_refused() -> None:
    kme = Kme(DrawnKeys(limits=Limits(max_key_per_request=3)))
    ids = ids_of(await kme.enc_keys({"number": 3}))
    assert is_an_error(await kme.dec_keys(by_ids(*ids, str(uuid4()))), 400)
    assert (await kme.dec_keys(by_ids(*ids))).keys == 3


@pytest.mark.parametrize(
    "query", [[], [("key_ID", "")], [("key_ID", "non-uuid")], [("key_ID", ID), ("key_ID", ID)], [("id", ID)]]
)
async def test_a_get_without_exactly_one_id_is_refused(query: list[tuple[str, str]]) -> None:
    assert is_an_error(await Kme().get("dec_keys", SLAVE, MASTER, *query), 400)


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


@pytest.mark.parametrize("other", ["", " ", "nobody", MASTER])
@pytest.mark.parametrize("method", ["status", "enc_keys", "dec_keys"])
async def test_a_url_without_another_sae_is_refused(method: Method, other: str) -> None:
    kme = Kme()
    assert is_an_error(await kme.get(method, MASTER, other, ("key_ID", ID)), 400)
    if method != "status":
        assert is_an_error(await kme.post(method, MASTER, other, by_ids(ID)), 400)


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
