"""Bit arrays as they travel: eight to the byte, first bit most significant, last byte padded with 0."""

from __future__ import annotations

import numpy as np

from nodes.errors import ProtocolViolation
from nodes.ports import Bits


def packed(bits: Bits) -> bytes:
    """Return the bits eight to the byte."""
    return np.packbits(bits).tobytes()


def unpacked(received: bytes, count: int) -> Bits:
    """Return ``count`` bits from what ``packed`` made of them.

    Raises ``ProtocolViolation`` when the peer sent another number of bytes than ``count`` bits take.
    """
    if len(received) != (count + 7) // 8:
        raise ProtocolViolation(f"the peer sent {len(received)} bytes where {count} bits were due")
    return np.unpackbits(np.frombuffer(received, dtype=np.uint8), count=count)
