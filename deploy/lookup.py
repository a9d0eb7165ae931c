"""Looking around in a lab file as it was written, valid or not."""

from __future__ import annotations

from deploy.errors import ValueInvalid
from deploy.source import Value
from deploy.units import Dimension


def at(value: Value, *path: str) -> Value:
    """Return what is written at ``path`` below ``value``, None if nothing is."""
    for step in path:
        value = table(value).get(step)
    return value


def table(value: Value) -> dict[str, Value]:
    """Return a mapping, empty where there is none."""
    return value if isinstance(value, dict) else {}


def elements(value: Value) -> list[Value]:
    """Return a list, empty where there is none."""
    return value if isinstance(value, list) else []


def quantity(dimension: Dimension, text: Value) -> float | None:
    """Return a quantity in its base unit, None where it is malformed."""
    try:
        return dimension.parse(text) if isinstance(text, str) else None
    except ValueInvalid:
        return None
