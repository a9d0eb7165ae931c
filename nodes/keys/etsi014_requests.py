"""What an SAE may ask for in ETSI GS QKD 014 V1.1.1 (2019-02): key requests (clause 6.2) and key IDs (clause 6.4).

Strict where a misunderstanding would hand out the wrong keys: types, limits, ids that are there twice, JSON that two
readers could read differently. Lenient where the standard leaves room: fields that it does not know are passed over, an
optional field that is null counts as absent, a POST may have no body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from nodes.keys.service import Limits

SIZE_NOT_BYTES: Final = "size shall be a multiple of 8"
EXTENSION_UNSUPPORTED: Final = "not all extension_mandatory parameters are supported"
EXTENSION_UNMET: Final = "not all extension_mandatory request options could be met"

REPRODUCIBLE: Final = "bellwire_reproducible"
"""The one extension parameter: whether keys may come from seeded dice. False, made mandatory, refuses such keys."""

Query = Sequence[tuple[str, str]]

_UUID: Final = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_ONLY_IN_A_BODY: Final = ("additional_slave_SAE_IDs", "extension_mandatory", "extension_optional", "key_IDs")


class CallRefused(Exception):
    """A request is answered with an Error (clause 6.5): the ``status`` of HTTP, a message, and details if any."""

    def __init__(self, status: int, message: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = tuple(details)


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What a master SAE asks for: ``number`` keys of ``size`` bits for the slave, and for the SAEs in ``additional``.

    ``mandatory``: the extension parameters that have to be obeyed.
    """

    number: int
    size: int
    additional: tuple[str, ...] = ()
    mandatory: Mapping[str, Any] = field(default_factory=dict)


def key_request_of_query(query: Query, limits: Limits) -> KeyRequest:
    """Read the query of a GET: ``number`` and ``size`` only. Raise ``CallRefused``."""
    given = _once(query)
    return _key_request(given.get("number"), given.get("size"), limits, whole=_written_number)


def key_request_of_body(body: bytes, limits: Limits) -> KeyRequest:
    """Read the body of a POST, which may be empty. Raise ``CallRefused``."""
    given = _object_of(body) if body.strip() else {}
    request = _key_request(given.get("number"), given.get("size"), limits, whole=_json_number)
    _parameters(given, "extension_optional")  # looked at for its form, and passed over
    mandatory = _parameters(given, "extension_mandatory")
    unsupported = [name for name in mandatory if name != REPRODUCIBLE]
    if unsupported:
        details = [
            {"extension_mandatory_unsupported": f"{name[:100]} is not supported"} for name in unsupported[:20]
        ]
        raise CallRefused(400, EXTENSION_UNSUPPORTED, details)
    return KeyRequest(request.number, request.size, _additional(given, limits), mandatory)


def key_ids_of_query(query: Query) -> list[str]:
    """Read the query of a GET: one ``key_ID``. Raise ``CallRefused``."""
    given = _once(query)
    if "key_ID" not in given:
        _refuse("key_ID is missing")
    return [_key_id(given["key_ID"])]


def key_ids_of_body(body: bytes, limits: Limits) -> list[str]:
    """Read the body of a POST: key IDs, in small letters, in their order. Raise ``CallRefused``."""
    given = _object_of(body)
    _object_or_nothing(given, "key_IDs_extension")
    listed = given.get("key_IDs")
    if not isinstance(listed, list) or not listed:
        _refuse("key_IDs shall be an array of at least one object")
    if len(listed) > limits.max_key_per_request:
        _refuse(f"key_IDs shall be at most {limits.max_key_per_request}")
    ids = []
    for entry in listed:
        if not isinstance(entry, dict):
            _refuse("key_IDs shall be an array of objects")
        _object_or_nothing(entry, "key_ID_extension")
        ids.append(_key_id(entry.get("key_ID")))
    if len(set(ids)) < len(ids):
        _refuse("a key_ID is given more than once; a key is delivered once")
    return ids


def _key_request(number: Any, size: Any, limits: Limits, whole: Callable[[str, Any], int]) -> KeyRequest:
    count = 1 if number is None else whole("number", number)
    bits = limits.key_size if size is None else whole("size", size)
    if not 1 <= count <= limits.max_key_per_request:
        _refuse(f"number shall be from 1 to {limits.max_key_per_request}")
    if bits % 8:
        _refuse(SIZE_NOT_BYTES)
    if not limits.min_key_size <= bits <= limits.max_key_size:
        _refuse(f"size shall be from {limits.min_key_size} to {limits.max_key_size} bits")
    return KeyRequest(count, bits)


def _written_number(name: str, text: str) -> int:
    # No key request is longer than nine digits, and Python reads long numbers slowly.
    if re.fullmatch("-?[0-9]{1,9}", text, re.ASCII) is None:
        _refuse(f"{name} shall be an integer")
    return int(text)


def _json_number(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse(f"{name} shall be an integer")
    return value


def _additional(given: Mapping[str, Any], limits: Limits) -> tuple[str, ...]:
    listed = given.get("additional_slave_SAE_IDs")
    if listed is None:
        return ()
    if not isinstance(listed, list) or not listed or not all(isinstance(sae, str) for sae in listed):
        _refuse("additional_slave_SAE_IDs shall be an array of at least one string")
    if len(listed) > limits.max_sae_ids:
        _refuse(f"additional_slave_SAE_IDs shall be at most {limits.max_sae_ids}")
    if len(set(listed)) < len(listed):
        _refuse("an ID is in additional_slave_SAE_IDs more than once")
    return tuple(listed)


def _parameters(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the name/value pairs of an array of objects."""
    listed = given.get(name)
    if listed is None:
        return {}
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        _refuse(f"{name} shall be an array of objects")
    parameters = {parameter: value for each in listed for parameter, value in each.items()}
    if len(parameters) < sum(map(len, listed)):
        _refuse(f"a parameter is in {name} more than once")
    return parameters


def _object_or_nothing(given: Mapping[str, Any], name: str) -> None:
    if given.get(name) is not None and not isinstance(given[name], dict):
        _refuse(f"{name} shall be an object")


def _key_id(value: Any) -> str:
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        _refuse("key_ID shall be a UUID")
    return value.lower()


def _once(query: Query) -> dict[str, str]:
    names = [name for name, _ in query]
    if len(set(names)) < len(names):
        _refuse("a parameter is in the query more than once; POST takes several")
    if any(name in _ONLY_IN_A_BODY for name in names):
        _refuse(f"{', '.join(_ONLY_IN_A_BODY)}: only in the body of a POST")
    return dict(query)


def _object_of(body: bytes) -> dict[str, Any]:
    """Read a JSON object: RFC 8259, in UTF-8, without NaN, no name twice. Raise ``CallRefused``."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_without_repetition, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise CallRefused(400, "the body is not JSON (RFC 8259) in UTF-8") from None
    if not isinstance(value, dict):
        _refuse("the body shall be a JSON object")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        _refuse("a name is twice in a JSON object")
    return dict(pairs)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def _refuse(message: str) -> NoReturn:
    raise CallRefused(400, message)
