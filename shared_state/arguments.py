"""How the arguments of operations are read from a message, and arrays written into one.

Each reader raises ValueError with what it takes, as the end of the sentence "the argument must be ...".
Bits travel as [count, packed bytes], complex arrays as the bytes of their complex128 elements.
"""

from __future__ import annotations

from math import inf, isqrt
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.errors import LimitExceeded
from shared_state.wire import Message

Bits: TypeAlias = NDArray[np.uint8]

MAX_PULSES: Final = 2**18
"""In one request, so that none takes long; a client divides longer trains."""
MAX_PAIRS: Final = 2**17
"""In one request, so that the others need not wait long for it to end; both ends divide more alike."""
MAX_NAME: Final = 256
MAX_STORY: Final = 2**16
MAX_QUBITS: Final = 64
MAX_TEXTS: Final = 1024
MAX_DETAILS: Final = 16
NODE_EVENTS: Final = (
    "message.sent",
    "message.delivered",
    "part.started",
    "part.played",
    "part.failed",
    "circuit.installed",
    "circuit.released",
    "pair.delivered",
    "request.ended",
    "key.made",
    "key.refused",
    "key.alarm",
)
"""What only the node itself can tell the record."""


class Despatch(NamedTuple):
    """A classical message is on its way, number ``sequence`` of its sender to ``recipient`` in ``session``.

    ``protocol``, ``kind`` and ``size`` in bytes are for the record.
    """

    recipient: str
    arrives_at: float
    session: str
    sequence: int
    protocol: str = ""
    kind: str = ""
    size: int = 0


def time(value: Message) -> float:
    """Read an emulated time: finite and not negative."""
    if type(value) in (float, int) and 0 <= value < inf:  # type: ignore[operator]  # a bool is no time
        return float(value)  # type: ignore[arg-type]
    raise ValueError("a time in seconds, finite and not negative")


def time_or_none(value: Message) -> float | None:
    """Read an emulated time that may be absent."""
    return None if value is None else time(value)


def name(value: Message) -> str:
    """Read the name of a run, a link, a gate or a tap."""
    if isinstance(value, str) and len(value) <= MAX_NAME:
        return value
    raise ValueError(f"a string of at most {MAX_NAME} characters")


def story(value: Message) -> str:
    """Read a text that may be long."""
    if isinstance(value, str) and len(value) <= MAX_STORY:
        return value
    raise ValueError(f"a string of at most {MAX_STORY} characters")


def alpha_or_none(value: Message) -> float | None:
    """Read the bright-state population of the emitters of a single-click source, or nothing."""
    if value is None or (isinstance(value, float) and 0 < value < 1):
        return value
    raise ValueError("a number between 0 and 1, both excluded, or nil for the link's own")


def texts(value: Message) -> list[str]:
    """Read some short strings."""
    if isinstance(value, list) and len(value) <= MAX_TEXTS:
        return [name(item) for item in value]
    raise ValueError(f"a list of at most {MAX_TEXTS} strings")


def despatches(value: Message) -> list[Despatch]:
    """Read which messages are on their way, each with the fields of ``Despatch``."""
    if isinstance(value, list):
        return [_despatch(item) for item in value]
    raise ValueError("a list of [recipient, time, session, sequence, protocol, kind, bytes]")


def _despatch(value: Message) -> Despatch:
    match value:
        case [recipient, at, session, int(sequence), protocol, kind, int(size)] if min(sequence, size) >= 0:
            return Despatch(
                name(recipient), time(at), name(session), sequence, name(protocol), name(kind), size
            )
    raise ValueError("lists of [recipient, time, session, sequence, protocol, kind, bytes]")


def node_event(value: Message) -> str:
    """Read the name of an event that a node tells of itself."""
    if isinstance(value, str) and value in NODE_EVENTS:
        return value
    raise ValueError(f"one of the events {', '.join(NODE_EVENTS)}")


def details(value: Message) -> dict[str, Message]:
    """Read the details of an event: texts and numbers by name."""
    if isinstance(value, dict) and len(value) <= MAX_DETAILS:
        plain = (str, int, float, bool, type(None))
        if all(isinstance(item, plain) for item in value.values()):
            return {name(key): item for key, item in value.items()}
    raise ValueError(f"at most {MAX_DETAILS} texts and numbers by name")


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


def directions(value: Message) -> list[float]:
    """Read the angles in radians from +z towards +x of directions to measure along; none for the bases Z, X and Y."""
    if isinstance(value, list) and len(value) <= MAX_QUBITS:
        numbers = [float(item) for item in value if type(item) in (float, int) and abs(item) < inf]  # type: ignore[arg-type]  # a bool is no angle
        if len(numbers) == len(value):
            return numbers
    raise ValueError(f"a list of at most {MAX_QUBITS} finite angles in radians")


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


def codes(value: Message) -> Bits:
    """Read one basis code per byte: 0 is Z, 1 is X, 2 is Y."""
    if isinstance(value, bytes) and (not value or max(value) <= 2):
        return np.frombuffer(value, dtype=np.uint8)
    raise ValueError("bytes of the basis codes 0, 1 and 2")


def indices(value: Message) -> NDArray[np.uint32]:
    """Read places in a train, four bytes each, the lowest first."""
    if isinstance(value, bytes) and len(value) % 4 == 0:
        if len(value) > 4 * MAX_PULSES:
            raise LimitExceeded(f"{len(value) // 4} indices exceed the limit of {MAX_PULSES} a train.")
        return np.frombuffer(value, dtype="<u4")
    raise ValueError("bytes, four for each index")


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


def codes_or_none(value: Message) -> Bits | None:
    """Read one byte per pulse or pair, or nothing."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return np.frombuffer(value, dtype=np.uint8)
    raise ValueError("bytes, one for each pulse or pair, or nil")


def pack_bits(bits: Bits) -> list[Message]:
    """Write an array of 0 and 1 as [count, packed bytes]."""
    return [len(bits), np.packbits(bits).tobytes()]
