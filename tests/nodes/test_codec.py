"""Messages survive the wire unchanged, and nothing else is taken for one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.codec import build, decode, encode, fields_of, kind_of, printable
from nodes.errors import ProtocolViolation


@dataclass(frozen=True, slots=True)
class Inner:
    number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Outer:
    number: int
    angle: float
    flag: bool
    text: str
    outcomes: tuple[int, ...]
    place: tuple[int, str]
    inner: tuple[Inner, ...]
    note: str | None = None


EXAMPLE = Outer(-3, 0.5, True, "psi", (1, 2), (7, "x"), (Inner(1, b"\x00\xff"), Inner(2, b"")))


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.lists(st.integers(0, 9)))
def test_a_message_comes_back_as_it_was(number: int, angle: float, text: str, outcomes: list[int]) -> None:
    message = replace(EXAMPLE, number=number, angle=angle, text=text, outcomes=tuple(outcomes))
    assert decode(Outer, encode(message)) == message
    assert build(Outer, fields_of(message)) == message


def test_equal_messages_have_equal_bytes() -> None:
    assert encode(replace(EXAMPLE)) == encode(EXAMPLE)
    assert encode(replace(EXAMPLE, flag=False)) != encode(EXAMPLE)


def test_an_int_stands_for_a_float() -> None:
    received = build(Outer, {**fields_of(EXAMPLE), "angle": 1})
    assert isinstance(received.angle, float)


def test_a_kind_is_the_name_of_the_class() -> None:
    assert kind_of(EXAMPLE) == "Outer"


@pytest.mark.parametrize(
    "change",
    [
        {"number": "1"},
        {"number": 1.0},
        {"angle": "1"},
        {"outcomes": "12"},
        {"outcomes": b"12"},
        {"outcomes": ["1"]},
        {"place": [7]},
        {"place": [7, "x", 1]},
        {"inner": 5},
        {"inner": [5]},
        {"inner": [{"number": 1}]},
        {"surprise": 1},
    ],
)
def test_fields_of_another_type_are_a_violation(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolViolation, match="Outer"):
        build(Outer, {**fields_of(EXAMPLE), **change})


def test_a_missing_field_is_a_violation() -> None:
    received = fields_of(EXAMPLE)
    del received["text"]
    with pytest.raises(ProtocolViolation, match="text"):
        build(Outer, received)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01",
        b"\x90",
        b"\xc1",
        b"\x91" * 5000,
        b"\x81\xa1x" + b"\x91" * 900 + b"\x01",
        b"\x81\x91\x01\x02",
        b"\xdf\xff\xff\xff\xff",
        encode(EXAMPLE) + b"\x00",
        encode(EXAMPLE)[:-1],
    ],
)
def test_bytes_that_are_no_message_are_a_violation(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode(Outer, body)


@given(st.binary(max_size=64))
def test_no_bytes_do_more_than_a_violation(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode(Outer, body)


def test_a_message_holds_plain_values_only() -> None:
    with pytest.raises(TypeError, match="int64"):
        encode(Inner(np.int64(1), b""))  # type: ignore[arg-type]  # the mistake that the check is for
    with pytest.raises(TypeError, match="dataclass"):
        encode({"number": 1})


def test_no_error_quotes_what_a_field_holds() -> None:
    with pytest.raises(TypeError) as refused:
        fields_of({"key": "hush"})
    with pytest.raises(ProtocolViolation, match="field number of a Outer cannot be a str") as violation:
        build(Outer, {**fields_of(EXAMPLE), "number": "hush"})
    assert "hush" not in str(refused.value) + str(violation.value)


def test_a_text_that_is_no_unicode_can_be_made_printable() -> None:
    name = b"caf\xe9".decode(errors="surrogateescape")
    message = replace(EXAMPLE, text=printable(name))
    assert decode(Outer, encode(message)).text == r"caf\udce9"
    assert printable("Grüße ✓") == "Grüße ✓"
