"""Looking around in a lab file never fails, whatever is written in it."""

from __future__ import annotations

import pytest

from deploy.lookup import at, elements, quantity, table
from deploy.units import LENGTH


@pytest.mark.parametrize("value", [None, "word", ["a"], {"a": None}, {"a": "word"}, {"a": ["b"]}])
def test_what_is_not_there_is_none(value: object) -> None:
    assert at(value, "a", "b") is None  # type: ignore[arg-type]  # anything may have been written


def test_what_is_there_is_found() -> None:
    assert at({"a": {"b": "c"}}, "a", "b") == "c"


def test_a_mapping_and_a_list_are_empty_where_there_is_something_else() -> None:
    assert (table("word"), table({"a": "b"})) == ({}, {"a": "b"})
    assert (elements("word"), elements(["a"])) == ([], ["a"])


@pytest.mark.parametrize(("text", "metres"), [("2 km", 2000.0), ("2", None), ("2 ms", None), (None, None)])
def test_a_quantity_is_read_where_it_is_one(text: str | None, metres: float | None) -> None:
    assert quantity(LENGTH, text) == metres
