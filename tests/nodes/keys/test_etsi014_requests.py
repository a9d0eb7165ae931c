"""What a KME refuses and what it passes over, in the very words of ETSI GS QKD 014 V1.1.1 where it has any."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.keys.etsi014 import Method
from nodes.keys.service import Limits
from tests.nodes.keys.called_kme import ID, MASTER, OTHER, SLAVE, Kme, by_ids, ids_of, is_an_error
from tests.nodes.keys.drawn_keys import DrawnKeys


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


@pytest.mark.parametrize("other", ["", " ", "nobody", MASTER])
@pytest.mark.parametrize("method", ["status", "enc_keys", "dec_keys"])
async def test_a_url_without_another_sae_is_refused(method: Method, other: str) -> None:
    kme = Kme()
    assert is_an_error(await kme.get(method, MASTER, other, ("key_ID", ID)), 400)
    if method != "status":
        assert is_an_error(await kme.post(method, MASTER, other, by_ids(ID)), 400)
