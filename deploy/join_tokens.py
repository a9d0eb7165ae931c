"""The tokens that a lab has shown for its external nodes: each is good for one node, once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from enum import Enum

from nodes.runtime.join_token import SECRET_BYTES


class Verdict(Enum):
    """What becomes of who shows a secret; the value is said to them, and is written in the log."""

    WELCOME = "welcome"
    WRONG = "the token is none of this lab's"
    USED = "the token has been used already"
    OF_ANOTHER = "the token is for another node"


class JoinTokens:
    """Issues secrets and takes each back once. It keeps their hashes only, and compares in constant time."""

    def __init__(self) -> None:
        self._nodes: dict[bytes, str] = {}
        self._used: set[bytes] = set()

    def issue(self, node: str) -> bytes:
        """Make a secret for ``node``. Those made before stay good until they are used."""
        secret = secrets.token_bytes(SECRET_BYTES)
        self._nodes[_hashed(secret)] = node
        return secret

    def redeem(self, node: str, secret: bytes) -> Verdict:
        """Take a secret back, if it is good for ``node``."""
        shown = _hashed(secret)
        # all are compared, whichever agrees, so that the time tells nothing
        found = [known for known in self._nodes if hmac.compare_digest(known, shown)]
        if not found:
            return Verdict.WRONG
        if found[0] in self._used:
            return Verdict.USED
        if self._nodes[found[0]] != node:
            return Verdict.OF_ANOTHER
        self._used.add(found[0])
        return Verdict.WELCOME


def _hashed(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
