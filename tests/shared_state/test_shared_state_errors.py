"""Every error has its place in the drawing, a code of its own, and survives the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared_state import errors
from shared_state.errors import SharedStateError, WireError, from_wire, to_wire


def family(root: type[SharedStateError]) -> Iterator[type[SharedStateError]]:
    for child in root.__subclasses__():
        yield child
        yield from family(child)


CODED = [kind for kind in family(SharedStateError) if "code" in vars(kind)]


def test_the_drawing_shows_every_class_and_its_code() -> None:
    drawing = errors.__doc__ or ""
    assert all(kind.__name__ in drawing for kind in family(SharedStateError))
    assert all(f"{kind.__name__} " in drawing and f" {kind.code}" in drawing for kind in CODED)


def test_codes_are_unique() -> None:
    assert len({kind.code for kind in CODED}) == len(CODED)


@pytest.mark.parametrize("kind", CODED)
def test_an_error_arrives_as_it_was_raised(kind: type[SharedStateError]) -> None:
    arrived = from_wire(to_wire(kind("it failed.", operation="pair", node="bob")))
    assert type(arrived) is kind
    assert (str(arrived), arrived.operation, arrived.node) == ("pair: it failed.", "pair", "bob")


@pytest.mark.parametrize("fields", [None, [], ["nonsense", "", "", ""], ["not-yours", 1, "", ""]])
def test_what_is_no_error_becomes_a_wire_error(fields: object) -> None:
    assert type(from_wire(fields)) is WireError
