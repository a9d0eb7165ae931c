"""A configuration as one line of JSON, and back: what a process that nobody has forked is told at its start.

JSON has no tuples, paths or infinities: these are arrays, texts and the text "infinity". Reading is strict: a key that
is not known, one that is missing and a value of another type are refused, by their place and never with the value,
which may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import inf, isinf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import dacite

from shared_state.errors import DocumentInvalid

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ConfigT = TypeVar("ConfigT", bound="DataclassInstance")

_INFINITY = "infinity"


def write(config: DataclassInstance) -> str:
    """Return a configuration as one line of JSON. Whoever stores it keeps it to its user: it holds secrets."""
    return json.dumps(_plain(asdict(config)), allow_nan=False)


def read(kind: type[ConfigT], text: str) -> ConfigT:
    """Return the configuration that ``write`` has written.

    Raise ``DocumentInvalid``, or what ``kind`` itself raises for values that cannot be.
    """
    try:
        document = _tupled(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        raise DocumentInvalid(f"this is no JSON document: {error}") from None
    if not isinstance(document, Mapping):
        raise DocumentInvalid(f"a {kind.__name__} is a JSON object, which begins with '{{'")
    hooks: dict[type[Any], Callable[[Any], Any]] = {float: _number, int: _integer, Path: _path}
    try:
        return dacite.from_dict(kind, document, dacite.Config(strict=True, type_hooks=hooks))
    except (dacite.DaciteError, ValueError) as error:
        raise DocumentInvalid(f"this is no {kind.__name__}: {_complaint(error)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and isinf(value) and value > 0:
        return _INFINITY
    return str(value) if isinstance(value, Path) else value


def _tupled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tupled(each) for key, each in value.items()}
    return tuple(_tupled(each) for each in value) if isinstance(value, list) else value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON; infinity is written as the text '{_INFINITY}'")


def _number(value: Any) -> float:
    """JSON knows no difference between 1 and 1.0; true is no number."""
    if value == _INFINITY and isinstance(value, str):
        return inf
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise dacite.WrongTypeError(float, value)
    try:
        return float(value)
    except OverflowError:
        raise dacite.WrongTypeError(float, value) from None


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise dacite.WrongTypeError(int, value)
    return value


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value:
        raise dacite.WrongTypeError(Path, value)
    return Path(value)


def _complaint(error: Exception) -> str:
    match error:
        case dacite.UnexpectedDataError(keys=keys):
            return f"it has no key {', '.join(sorted(map(repr, keys)))}"
        case dacite.MissingValueError(field_path=path):
            return f"'{path}' is missing"
        case dacite.WrongTypeError(field_path=path, field_type=wanted):
            return f"'{path}' is not of type {getattr(wanted, '__name__', wanted)}"
    return str(error)
