"""What an error correction returns, whichever it is: equal keys, and what all the world has heard of them."""

from __future__ import annotations

from typing import NamedTuple

from nodes.ports import Bits


class Reconciled(NamedTuple):
    """A corrected key and the bits to charge for it against the secret key, the same number at both ends."""

    key: Bits
    leaked: int

    def __repr__(self) -> str:
        return f"<{self.key.size} bits, equal to the peer's after {self.leaked} leaked bits>"
