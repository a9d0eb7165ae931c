"""What a role returns, as JSON for the referee: numbers and texts as they are, dataclasses by field, qubits by id.

A qubit that a role returns is handed over to the referee; nobody else can act on it from then on.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes import codec
from nodes.errors import ProgramInvalid
from nodes.runtime.qubits import HeldQubit, Register

_QUBIT = "__qubit__"
_BYTES = "__bytes__"
_LONGEST = 900_000


class JudgedQubit:
    """A qubit in the referee's hands: a name for it, with nothing to act on it."""

    def __init__(self, identifier: int) -> None:
        self.identifier = identifier


async def pack(returned: object, unknown: Mapping[str, NDArray[np.complex128]], register: Register) -> str:
    """Hand returned qubits over and write the rest, with the states of ``Unknown`` qubits, as one JSON document."""
    qubits: list[HeldQubit] = []
    document = {
        "returned": _plain(returned, qubits),
        "unknown": {name: [[a.real, a.imag] for a in state.tolist()] for name, state in unknown.items()},
    }
    text = json.dumps(document, separators=(",", ":"))
    if len(text) > _LONGEST:
        raise ProgramInvalid(
            f"a role returned {len(text)} characters in one round; at most {_LONGEST} reach the referee"
        )
    await register.hand_over(qubits)
    return text


def unpack(text: str) -> tuple[Any, dict[str, NDArray[np.complex128]]]:
    """Read what ``pack`` wrote: what the role returned, and the states it was given."""
    document = json.loads(text)
    unknown = {
        name: np.array([complex(re, im) for re, im in state]) for name, state in document["unknown"].items()
    }
    return _lively(document["returned"]), unknown


def qubits_in(returned: object) -> list[JudgedQubit]:
    """List the qubits in what ``unpack`` gave."""
    if isinstance(returned, JudgedQubit):
        return [returned]
    if isinstance(returned, dict):
        return [qubit for value in returned.values() for qubit in qubits_in(value)]
    if isinstance(returned, list):
        return [qubit for value in returned for qubit in qubits_in(value)]
    return []


def as_annotated(returned: object, hint: object) -> object:
    """Make the dataclass that the referee's parameter is annotated with, where it is one."""
    if isinstance(hint, type) and is_dataclass(hint) and isinstance(returned, dict):
        return codec.build(hint, returned)
    return returned


def _plain(value: object, qubits: list[HeldQubit]) -> Any:
    match value:
        case HeldQubit():
            qubits.append(value)
            return {_QUBIT: value.identifier}
        case bytes():
            return {_BYTES: base64.b64encode(value).decode()}
        case None | bool() | int() | float() | str():
            return value
        case np.generic():
            return value.item()
        case np.ndarray():
            return value.tolist()
        case list() | tuple():
            return [_plain(element, qubits) for element in value]
        case dict():
            return {str(key): _plain(element, qubits) for key, element in value.items()}
        case _ if is_dataclass(value):
            return {field.name: _plain(getattr(value, field.name), qubits) for field in fields(value)}
    raise ProgramInvalid(
        f"a role returned a {type(value).__name__}; return numbers, texts, bytes, lists, dicts, dataclasses or qubits"
    )


def _lively(value: Any) -> Any:
    match value:
        case {"__qubit__": int(identifier)}:
            return JudgedQubit(identifier)
        case {"__bytes__": str(text)}:
            return base64.b64decode(text)
        case dict():
            return {key: _lively(element) for key, element in value.items()}
        case list():
            return [_lively(element) for element in value]
    return value
