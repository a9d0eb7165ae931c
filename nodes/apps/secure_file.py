"""The program ``send``: a file from one node to another, under a key from their stores.

::

    Alice                                              Bob
      |=== a key from the stores, or made by QKD ========|  nodes.apps.agreed_key
      |=== the file, sealed under the key ===============|  nodes.apps.file_transfer

From the key's 256 bits follow, by HKDF, one key under which the file is encrypted with AES-256-GCM and one that
authenticates the dialogue. When the key is refused, no file is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodes.apps import file_transfer
from nodes.apps.agreed_key import Line, agree_as_alice, agree_as_bob
from nodes.ports import Clock, Coin, Peer, QuantumLink, SharedSecret
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.key import Key
from nodes.qkd.report import QkdReport
from nodes.shared_keys import SharedKeys


@dataclass(frozen=True, slots=True)
class SecureFileReport:
    """How the key was made, None when it was in store; and the file that arrived under it, None without a key."""

    qkd: QkdReport | None
    transfer: file_transfer.TransferReport | None


async def alice(
    bob: Peer,
    bob_link: QuantumLink | None,
    bob_secret: SharedSecret | None,
    bob_keys: SharedKeys,
    coin: Coin,
    clock: Clock,
    source: str = "",
    pulses: int = 0,
    fresh: bool = False,
) -> SecureFileReport:
    """Send Bob the file at the path ``source``; ``fresh``: under a new key, even when there is one in store."""
    line = Line(bob_keys, bob_link, bob_secret, coin, clock, pulses)
    key, report = await agree_as_alice(bob, line, fresh=fresh)
    if key is None:
        return SecureFileReport(report, None)
    sealing, peer = _divided(key, bob, "alice", "bob")
    return SecureFileReport(report, await file_transfer.send_file(Path(source), sealing, peer, coin))


async def bob(
    alice: Peer,
    alice_link: QuantumLink | None,
    alice_secret: SharedSecret | None,
    alice_keys: SharedKeys,
    coin: Coin,
    clock: Clock,
    destination: str = "",
    pulses: int = 0,
) -> SecureFileReport:
    """Write Alice's file to the path ``destination``."""
    line = Line(alice_keys, alice_link, alice_secret, coin, clock, pulses)
    key, report = await agree_as_bob(alice, line)
    if key is None:
        return SecureFileReport(report, None)
    sealing, peer = _divided(key, alice, "bob", "alice")
    return SecureFileReport(report, await file_transfer.receive_file(Path(destination), sealing, peer))


def _divided(key: Key, peer: Peer, role: str, peer_role: str) -> tuple[bytes, AuthenticatedPeer]:
    """Return the key under which the file travels, and the peer whose messages another one authenticates."""
    secret = SharedSecret(key.aes256("authentication"), "send")
    return key.aes256("file transfer"), AuthenticatedPeer(peer, secret, role, peer_role)
