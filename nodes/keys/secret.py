"""Secret bytes that do not show themselves: not in a text, a comparison's timing, a hash, a copy or a pickle."""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn


class Secret:
    """Bytes that only ``reveal`` shows. Its ``repr`` tells their number.

    ``wipe`` overwrites this copy. That is the best that CPython allows: what ``reveal`` returned, and what the
    interpreter, SQLite or the kernel copied meanwhile, is out of reach until its memory is used again.
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes | bytearray | memoryview) -> None:
        self._octets = bytearray(octets)

    def __len__(self) -> int:
        """Return the number of bytes."""
        return len(self._octets)

    def __repr__(self) -> str:
        return f"<Secret of {len(self)} bytes>"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._octets, other._octets)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint of the secret

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is neither copied nor pickled; reveal() shows it")

    def reveal(self) -> bytes:
        """Return the bytes. Nothing protects this copy."""
        return bytes(self._octets)

    def wipe(self) -> None:
        """Overwrite the bytes with zeros; the length remains."""
        self._octets[:] = bytes(len(self._octets))
