"""Messages as data: a frozen dataclass to MessagePack types and bytes, and back with every type checked.

A message has fields of int, float, bool, str, bytes, None, tuples of these and nested dataclasses. Bit arrays
travel packed, as bytes. The encoding is canonical: fields in their declared order, tuples as arrays, shortest
integers, so equal messages have equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import msgpack
from dacite import Config, DaciteError, WrongTypeError, from_dict

from nodes.errors import ProtocolViolation

MessageT = TypeVar("MessageT")


def kind_of(message: object) -> str:
    """Return the name under which the message travels: the name of its class."""
    return type(message).__name__


def fields_of(message: object) -> dict[str, Any]:
    """Return the message's fields as MessagePack types; tuples become lists, nested dataclasses dicts.

    Raises ``TypeError`` when ``message`` is no dataclass or a field holds something else.
    """
    if not is_dataclass(message) or isinstance(message, type):
        raise TypeError(
            f"a message is an instance of a dataclass, such as '@dataclass(frozen=True) class Note: text: str', "
            f"not a {type(message).__name__}"
        )
    return {field.name: _plain(getattr(message, field.name)) for field in fields(message)}


def build(kind: type[MessageT], received: Mapping[str, Any]) -> MessageT:
    """Make a message of ``kind`` from its fields; the inverse of ``fields_of``.

    Raises ``ProtocolViolation`` when a field is missing, unknown or of another type.
    """
    try:
        return from_dict(kind, _as_tuples(dict(received)), _STRICT)
    except WrongTypeError as error:  # its own words would quote the value
        raise ProtocolViolation(
            f"field {error.field_path} of a {kind.__name__} cannot be a {type(error.value).__name__}"
        ) from error
    except (DaciteError, TypeError, ValueError, RecursionError) as error:
        raise ProtocolViolation(f"the fields received are not those of a {kind.__name__}: {error}") from error


def encode(message: object) -> bytes:
    """Return the canonical bytes of the message's fields."""
    packed: bytes = msgpack.packb(fields_of(message))
    return packed


def decode(kind: type[MessageT], body: bytes) -> MessageT:
    """Make a message of ``kind`` from its bytes; the inverse of ``encode``.

    Raises ``ProtocolViolation`` when the bytes are not the encoding of such a message.
    """
    try:
        received = msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolViolation(f"what came as a {kind.__name__} is not MessagePack: {error}") from error
    if not isinstance(received, dict):
        raise ProtocolViolation(f"what came as a {kind.__name__} is not a map of fields")
    return build(kind, received)


def printable(text: str) -> str:
    """Return the text as a message can hold it: what is no Unicode, as in a file's name, shown as an escape."""
    return text.encode(errors="backslashreplace").decode()


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    if is_dataclass(value):
        return fields_of(value)
    raise TypeError(
        f"a message cannot hold a {type(value).__name__}; it holds int, float, bool, str, bytes, None, tuples and "
        "dataclasses of these: convert a numpy number with int() or float(), bits with np.packbits(...).tobytes()"
    )


def _as_tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_as_tuples(element) for element in value)
    if isinstance(value, dict):
        return {key: _as_tuples(element) for key, element in value.items()}
    return value


def _as_float(value: Any) -> Any:
    """Let an int stand for a float, as Python's type system does; leave the rest for the type check."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


_STRICT = Config(strict=True, type_hooks={float: _as_float})


def joined(*parts: bytes) -> bytes:
    """Join parts such that different parts never give the same bytes: each goes behind its length."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
