from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.announcement import Announcement, decode_announcement, encode_announcement
from broker.envelope import MAX_LENGTH, VERSION, Envelope, decode, encode
from broker.errors import EnvelopeError, ForgedEnvelope
from broker.topics import AnnouncementTopic, EnvelopeTopic

TOPIC = EnvelopeTopic("lab", "alice", "bob", "teleport")
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    sequence=st.integers(0, 2**63),
    sent_at=st.floats(allow_nan=False, allow_infinity=False),
    body=st.dictionaries(st.text(), values),
    session=st.text(max_size=128),
)
def test_what_was_encoded_is_decoded(
    sequence: int, sent_at: float, body: dict[str, Any], session: str
) -> None:
    envelope = Envelope(
        "lab", "alice", "bob", "teleport", session, sequence, sent_at, sent_at, "Correction", body
    )
    assert decode(encode(envelope), TOPIC) == envelope


@given(payload=st.binary(max_size=200) | values.map(msgpack.packb))
def test_garbage_is_an_envelope_error_and_nothing_else(payload: bytes) -> None:
    with pytest.raises(EnvelopeError):
        decode(payload, TOPIC)


def test_another_version_is_refused(new_envelope: Callable[..., Envelope]) -> None:
    payload = msgpack.packb({"version": VERSION + 1} | asdict(new_envelope()))
    with pytest.raises(EnvelopeError, match=f"version {VERSION + 1}"):
        decode(payload, TOPIC)


@pytest.mark.parametrize("name", list(Envelope.__dataclass_fields__))
def test_a_missing_field_is_named(new_envelope: Callable[..., Envelope], name: str) -> None:
    record = {"version": VERSION} | asdict(new_envelope())
    del record[name]
    with pytest.raises(EnvelopeError, match=name):
        decode(msgpack.packb(record), TOPIC)


def test_a_field_too_many_is_named(new_envelope: Callable[..., Envelope]) -> None:
    record = {"version": VERSION, "priority": 1} | asdict(new_envelope())
    with pytest.raises(EnvelopeError, match="priority"):
        decode(msgpack.packb(record), TOPIC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lab", b"lab"),
        ("session", 1),
        ("kind", None),
        ("sequence", -1),
        ("sequence", True),
        ("sequence", 1.0),
        ("sent_at", "0"),
        ("sent_at", math.nan),
        ("sent_at", math.inf),
        ("body", [1]),
        ("body", {b"x": 1}),
    ],
)
def test_a_field_of_the_wrong_type_is_refused_at_both_ends(
    new_envelope: Callable[..., Envelope], name: str, value: object
) -> None:
    record = {"version": VERSION} | asdict(new_envelope()) | {name: value}
    with pytest.raises(EnvelopeError, match=name):
        decode(msgpack.packb(record), TOPIC)
    with pytest.raises(EnvelopeError, match=name):
        encode(new_envelope(**{name: value}))


@pytest.mark.parametrize(
    ("name", "longest"),
    [("lab", 64), ("sender", 64), ("recipient", 64), ("protocol", 64), ("session", 128), ("kind", 128)],
)
def test_a_text_that_is_too_long_is_refused_at_both_ends(
    new_envelope: Callable[..., Envelope], name: str, longest: int
) -> None:
    encode(new_envelope(**{name: "x" * longest}))
    with pytest.raises(EnvelopeError, match=f"{name} is text of at most {longest} characters"):
        encode(new_envelope(**{name: "x" * (longest + 1)}))
    record = {"version": VERSION} | asdict(new_envelope()) | {name: "x" * (longest + 1)}
    with pytest.raises(EnvelopeError, match=f"{name} is text of at most {longest} characters"):
        decode(msgpack.packb(record), TOPIC)


@pytest.mark.parametrize("name", ["version", "unknown" * 10_000, *Envelope.__dataclass_fields__])
@pytest.mark.parametrize("value", [b"x" * 100_000, ["x" * 1000] * 100, {1.5: "x" * 100_000}])
def test_no_peer_makes_the_text_of_an_error_long(
    new_envelope: Callable[..., Envelope], name: str, value: object
) -> None:
    record = {"version": VERSION} | asdict(new_envelope()) | {name: value}
    with pytest.raises(EnvelopeError) as refusal:
        decode(msgpack.packb(record), TOPIC)
    assert len(str(refusal.value)) < 500


def test_a_body_that_messagepack_does_not_know_is_refused(new_envelope: Callable[..., Envelope]) -> None:
    with pytest.raises(EnvelopeError, match="Correction from alice to bob"):
        encode(new_envelope(body={"x": 1j}))
    with pytest.raises(EnvelopeError, match="Correction from alice to bob"):
        encode(new_envelope(body={"x": 2**64}))


def test_a_message_over_the_limit_is_refused_at_both_ends(new_envelope: Callable[..., Envelope]) -> None:
    with pytest.raises(EnvelopeError, match="in parts"):
        encode(new_envelope(body={"data": bytes(MAX_LENGTH)}))
    with pytest.raises(EnvelopeError, match="more than"):
        decode(bytes(MAX_LENGTH + 1), TOPIC)


@pytest.mark.parametrize("name", ["lab", "sender", "recipient", "protocol"])
def test_an_envelope_that_contradicts_its_topic_is_forged(
    new_envelope: Callable[..., Envelope], name: str
) -> None:
    payload = encode(new_envelope(**{name: "eve"}))
    with pytest.raises(ForgedEnvelope, match="eve"):
        decode(payload, TOPIC)


def test_an_announcement_arrives_as_it_was_made() -> None:
    topic = AnnouncementTopic("lab", "alice", "status")
    announcement = Announcement("alice", "status", {"state": "ready", "port": 1})
    assert decode_announcement(encode_announcement(announcement), topic) == announcement


@given(payload=st.binary(max_size=100) | values.map(msgpack.packb))
def test_garbage_is_no_announcement(payload: bytes) -> None:
    with pytest.raises(EnvelopeError):
        decode_announcement(payload, AnnouncementTopic("lab", "alice", "status"))
