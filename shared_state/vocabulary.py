"""All that can be said to the quantum world: the closed set of operations, what each takes, who may say it.

Times are emulated seconds, qubits are ids, a run is any short string. A posted operation has no answer.
Bits travel as [count, packed bytes], complex arrays as the bytes of their complex128 elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isqrt
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.errors import BadRequest, LimitExceeded
from shared_state.wire import Message

Role: TypeAlias = Literal["node", "oracle", "anyone"]
Bits: TypeAlias = NDArray[np.uint8]

MAX_PULSES: Final = 10_000_000
MAX_NAME: Final = 256
MAX_QUBITS: Final = 64


def time(value: Message) -> float:
    """Read an emulated time: finite and not negative."""
    if type(value) in (float, int) and 0 <= value < inf:  # type: ignore[operator]  # a bool is no time
        return float(value)  # type: ignore[arg-type]
    raise ValueError("a time in seconds, finite and not negative")


def name(value: Message) -> str:
    """Read the name of a run, a link, a gate or a tap."""
    if isinstance(value, str) and len(value) <= MAX_NAME:
        return value
    raise ValueError(f"a string of at most {MAX_NAME} characters")


def qubit(value: Message) -> int:
    """Read a qubit id or the id of a request."""
    if type(value) is int:
        return value
    raise ValueError("an integer")


def qubit_or_none(value: Message) -> int | None:
    """Read a qubit id that may be absent."""
    return None if value is None else qubit(value)


def qubits(value: Message) -> list[int]:
    """Read a list of qubit ids."""
    if isinstance(value, list) and 1 <= len(value) <= MAX_QUBITS:
        return [qubit(item) for item in value]
    raise ValueError(f"a list of 1 to {MAX_QUBITS} qubits")


def angles(value: Message) -> list[float]:
    """Read a list of numbers."""
    if isinstance(value, list) and len(value) <= MAX_QUBITS:
        numbers = [float(item) for item in value if isinstance(item, int | float)]
        if len(numbers) == len(value):
            return numbers
    raise ValueError("a list of angles in radians")


def basis(value: Message) -> str:
    """Read a measurement basis."""
    if isinstance(value, str) and value in ("X", "Y", "Z"):
        return value
    raise ValueError("one of the bases 'X', 'Y' and 'Z'")


def flag(value: Message) -> bool:
    """Read a truth value."""
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def vector(value: Message) -> NDArray[np.complex128]:
    """Read a vector of complex128 elements."""
    if isinstance(value, bytes) and len(value) % 16 == 0:
        return np.frombuffer(value, dtype=np.complex128)
    raise ValueError("the bytes of complex128 elements")


def matrix(value: Message) -> NDArray[np.complex128]:
    """Read a square matrix of complex128 elements, row by row."""
    elements = vector(value)
    rows = isqrt(len(elements))
    if rows * rows != len(elements):
        raise ValueError("the complex128 elements of a square matrix")
    return elements.reshape(rows, rows)


def unpack_bits(value: Message) -> Bits:
    """Read an array of 0 and 1 from [count, packed bytes]."""
    match value:
        case [int(count), bytes(packed)] if count >= 0 and len(packed) == (count + 7) // 8:
            if count > MAX_PULSES:
                raise LimitExceeded(
                    f"{count} pulses exceed the limit of {MAX_PULSES}: send them in several trains."
                )
            return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=count)
    raise ValueError("[count, packed bits]")


def pack_bits(bits: Bits) -> list[Message]:
    """Write an array of 0 and 1 as [count, packed bytes]."""
    return [len(bits), np.packbits(bits).tobytes()]


@dataclass(frozen=True, slots=True)
class Operation:
    """One word of the vocabulary. ``takes`` names the arguments and says how each is read."""

    takes: Mapping[str, Callable[[Message], Any]]
    role: Role = "node"
    answered: bool = True

    def read(self, arguments: Sequence[Message]) -> dict[str, Any]:
        """Read the arguments, by name.

        Raises:
            BadRequest: too few, too many, or one that is not what the operation takes.
        """
        if len(arguments) != len(self.takes):
            raise BadRequest(
                f"it takes {', '.join(self.takes) or 'nothing'}; {len(arguments)} arguments were given."
            )
        values = {}
        for (argument, read), value in zip(self.takes.items(), arguments, strict=True):
            try:
                values[argument] = read(value)
            except ValueError as error:
                raise BadRequest(f"the argument {argument!r} must be {error}.") from error
        return values


_AT_RUN: Final = {"at": time, "run": name}
_ON_LINK: Final = {"at": time, "run": name, "link": name}

OPERATIONS: Final[Mapping[str, Operation]] = {
    # qubits in hand
    "qubit": Operation(_AT_RUN),
    "gate": Operation({"at": time, "name": name, "qubits": qubits, "angles": angles}, answered=False),
    "unitary": Operation({"at": time, "matrix": matrix, "qubits": qubits}, answered=False),
    "measure": Operation({"at": time, "qubit": qubit, "basis": basis}),
    "bell_measure": Operation({"at": time, "first": qubit, "second": qubit}),
    "discard": Operation({"at": time, "qubit": qubit}),
    "hand_over": Operation({"at": time, "qubits": qubits}),
    # links; the other end must do its part
    "pair": Operation(_ON_LINK),
    "transmit": Operation({**_ON_LINK, "qubit": qubit}),
    "receive": Operation(_ON_LINK),
    "emit_pulses": Operation({**_ON_LINK, "bits": unpack_bits, "bases": unpack_bits}),
    "measure_pulses": Operation({**_ON_LINK, "bases": unpack_bits}),
    # the session
    "close_run": Operation({"run": name}),
    "cancel": Operation({"request": qubit, "delivered": qubit_or_none}, answered=False),
    "sync": Operation({}, role="anyone"),
    "mark": Operation({}, role="anyone"),
    "bye": Operation({}, role="anyone"),
    # the view from outside
    "density_matrix": Operation({"qubits": qubits}, role="oracle"),
    "fidelity": Operation({"qubits": qubits, "target": vector}, role="oracle"),
    "discard_handed_over": Operation({"qubits": qubits}, role="oracle"),
    "discard_run": Operation({"run": name}, role="oracle"),
    "set_tap": Operation({"name": name, "enabled": flag}, role="oracle"),
    "census": Operation({}, role="oracle"),
    "now": Operation({}, role="oracle"),
}


def look_up(word: str, role: Role) -> Operation:
    """Return the operation.

    Raises:
        BadRequest: there is none of this name, or it is not for this role.
    """
    operation = OPERATIONS.get(word)
    if operation is None:
        raise BadRequest(f"there is no operation {word!r}.")
    if operation.role not in (role, "anyone"):
        raise BadRequest(f"the operation {word!r} is for the role {operation.role!r}, and this is {role!r}.")
    return operation
