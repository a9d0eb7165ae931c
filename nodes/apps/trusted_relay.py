"""The program ``relay``: a key from Alice to Bob over a node that both trust, and what that node then knows.

::

    Alice                      Charlie                      Bob
      |=== hop key =============|=== hop key ===============|  from the stores, or made by QKD
      |--- Carried: K, sealed ->|                           |  AES-256-GCM under the hop key
      |                         |--- Carried: K, sealed --->|
      K                        K as well                    K

Key distribution spans countries like this today, over nodes in guarded rooms (M. Elliott, New J. Phys. 4 (2002) 46; M.
Peev et al., New J. Phys. 11 (2009) 075001). Who listens to the messages learns nothing of K. Who breaks into Charlie's
room learns all of it, and nothing that Alice and Bob could see tells them: ``relay_knows`` is the share of rounds in
which Charlie held the key that Bob got, and it is 1. The key managers of a lab relay with one-time pads, over any
number of nodes (``nodes.keys.relay``); what they combine with a post-quantum key the relay does not know.

The keys of this program are thrown away, so their fingerprints may be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nodes.apps.agreed_key import Agreed, Line, agree_as_alice, agree_as_bob
from nodes.errors import AuthenticationFailed, KeyRefused
from nodes.ports import Clock, Coin, Peer, QuantumLink, Referee, SharedSecret
from nodes.qkd.key import Key
from nodes.shared_keys import SharedKeys

KEY_BYTES = 32
_NONCE = bytes(12)
"""A hop key seals one message."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The relayed key, sealed under the key of this hop; empty when there is no hop key, and so no way."""

    sealed: bytes


async def alice(
    charlie: Peer,
    charlie_link: QuantumLink | None,
    charlie_secret: SharedSecret | None,
    charlie_keys: SharedKeys,
    coin: Coin,
    clock: Clock,
) -> str:
    """Draw a key and send it to Bob over Charlie; return its fingerprint."""
    hop = await agree_as_alice(charlie, Line(charlie_keys, charlie_link, charlie_secret, coin, clock))
    key = coin.secret(KEY_BYTES)
    await charlie.send(_sealed(hop, key))
    return _fingerprint(key)


async def charlie(
    alice: Peer,
    alice_link: QuantumLink | None,
    alice_secret: SharedSecret | None,
    alice_keys: SharedKeys,
    bob: Peer,
    bob_link: QuantumLink | None,
    bob_secret: SharedSecret | None,
    bob_keys: SharedKeys,
    coin: Coin,
    clock: Clock,
) -> str:
    """Open what comes from Alice and seal it for Bob; return the fingerprint of what was in hand meanwhile."""
    first = await agree_as_bob(alice, Line(alice_keys, alice_link, alice_secret, coin, clock))
    second = await agree_as_alice(bob, Line(bob_keys, bob_link, bob_secret, coin, clock))
    carried = await alice.receive(Carried)
    key = _opened(first, carried) if carried.sealed else b""
    await bob.send(_sealed(second, key) if key else Carried(b""))
    return _fingerprint(key)


async def bob(
    charlie: Peer,
    charlie_link: QuantumLink | None,
    charlie_secret: SharedSecret | None,
    charlie_keys: SharedKeys,
    coin: Coin,
    clock: Clock,
) -> str:
    """Take the key that Alice sends over Charlie; return its fingerprint."""
    hop = await agree_as_bob(charlie, Line(charlie_keys, charlie_link, charlie_secret, coin, clock))
    carried = await charlie.receive(Carried)
    if not carried.sealed:
        raise KeyRefused("a hop's key was refused, so nothing was relayed; look for an eavesdropper")
    return _fingerprint(_opened(hop, carried))


async def referee(oracle: Referee, alice: str, charlie: str, bob: str) -> dict[str, float]:
    """Compare what the three hold; the oracle is not asked."""
    return {"keys_equal": float(alice == bob), "relay_knows": float(charlie == bob)}


def _sealed(hop: Agreed, key: bytes) -> Carried:
    return Carried(b"") if hop.key is None else Carried(_cipher(hop.key).encrypt(_NONCE, key, None))


def _opened(hop: Agreed, carried: Carried) -> bytes:
    if hop.key is None:
        raise KeyRefused("a hop's key was refused, so nothing can be opened")
    try:
        return _cipher(hop.key).decrypt(_NONCE, carried.sealed, None)
    except InvalidTag as altered:
        raise AuthenticationFailed(
            "the relayed key is not what was sealed under the key of this hop: it was altered on the way, or the two "
            "ends of the hop hold different keys"
        ) from altered


def _cipher(key: Key) -> AESGCM:
    return AESGCM(key.aes256("hop"))


def _fingerprint(key: bytes) -> str:
    return sha256(b"bellwire relay demonstration" + key).hexdigest()
