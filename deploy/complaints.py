"""Pydantic's errors in the words of the lab file: what is wrong, then what to write instead."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from deploy.errors import ValueInvalid
from deploy.labfile import LabFile
from deploy.source import KeyPath
from deploy.wording import escaped, flow, quoted, unknown

_KEY: Final = "[key]"
"""What pydantic appends to the path when a key of a table is wrong rather than its value."""


class Complaint(NamedTuple):
    """A problem before it has a line. ``of_key``: with the key at the end of ``path``, not with its value."""

    path: KeyPath
    message: str
    of_key: bool = False


def complaint(error: ErrorDetails) -> Complaint:
    """Put one of pydantic's errors in words."""
    path: KeyPath = error["loc"]
    if path[-1:] == (_KEY,):
        return Complaint(path[:-1], _what(error), of_key=True)
    if error["type"] == "missing" and isinstance(path[-1], int):
        path = path[:-1]
    parent = _inside(LabFile, path[:-1])
    fields: Mapping[str, FieldInfo] = getattr(parent, "model_fields", {})
    last = str(path[-1]) if path and isinstance(path[-1], str) else ""
    key = f"{escaped(last)}: " if last else ""
    match error["type"], error.get("ctx", {}).get("error"):
        case "extra_forbidden", _:
            return Complaint(path, unknown("key", last, fields), of_key=True)
        case _, ValueInvalid() as cause:
            return Complaint(path, f"{key}{cause.what}; write {key}{cause.instead}")
    return Complaint(path, f"{key}{_what(error)}; write {key}{_example(path, fields.get(last))}")


def _example(path: KeyPath, field: FieldInfo | None) -> str:
    """Show what could be written at ``path``: the example of the key, or the keys that go there."""
    if field is not None and field.examples:
        return flow(field.examples[0])
    kind = _inside(LabFile, path)
    return f"one of the keys {', '.join(kind.model_fields)}" if hasattr(kind, "model_fields") else "one word"


def _inside(kind: Any, path: KeyPath) -> Any:
    """Return the type of what is written at ``path`` below something of type ``kind``."""
    for step in path:
        present = _present(kind)
        match get_origin(present):
            case builtins.dict:
                kind = get_args(present)[1]
            case builtins.tuple:
                kind = get_args(present)[0]
            case _:
                kind = present.model_fields[step].annotation
    return _present(kind)


def _present(kind: Any) -> Any:
    """Return T for the type ``T | None``."""
    if get_origin(kind) in (Union, UnionType):
        return next(each for each in get_args(kind) if each is not NoneType)
    return kind


def _what(error: ErrorDetails) -> str:
    """Say what is wrong with a value."""
    context, value = error.get("ctx", {}), error["input"]
    shown = quoted(value) if isinstance(value, str) else "this"
    match error["type"]:
        case "model_type" | "dict_type":
            return "not a mapping"
        case "tuple_type":
            return "not a list"
        case "string_type":
            return "not a word"
        case "missing":
            return "too few elements" if isinstance(error["loc"][-1], int) else "missing"
        case "too_short":
            return "empty"
        case "too_long":
            return f"{context['actual_length']} elements are too many"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"{shown} is not {context['expected']}"
        case "int_parsing" | "int_parsing_size" | "int_from_float" | "int_type":
            return f"{shown} is not a whole number"
        case "float_parsing" | "finite_number" | "float_type":
            return f"{shown} is not a number"
        case "bool_parsing" | "bool_type":
            return f"{shown} is neither true nor false"
    # What is left are the limits of a number, which pydantic words well enough.
    return error["msg"].replace("Input", shown, 1)
