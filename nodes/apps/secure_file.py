"""The program ``send``: a file from one node to another, under a key from their stores.

::

    Alice                                                     Bob
      |--- 1 UnderKey: where the key lies, or that there is none -->|
      |=== 2 where there is none: they make one by QKD =============|  over the link between them
      |=== 3 the file, sealed under the key ========================|  nodes.apps.file_transfer

From the key's 256 bits follow, by HKDF, one key under which the file is encrypted with AES-256-GCM and one that
authenticates the dialogue. A ticket that somebody alters leads Bob to another key or to none, and nothing arrives. When
the key is refused, no file is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodes.apps import file_transfer
from nodes.errors import ProgramInvalid
from nodes.keys.errors import KeysExhausted
from nodes.ports import Clock, Coin, Peer, QuantumLink, SharedSecret
from nodes.qkd import pipeline
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.key import Key
from nodes.qkd.report import QkdReport
from nodes.shared_keys import KeyTicket, SharedKeys, TakenKey

KEY_BITS = 256


@dataclass(frozen=True, slots=True)
class UnderKey:
    """The key for what comes: its ticket, or None when there is none and one must be made."""

    ticket: KeyTicket | None


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
    """Send Bob the file at the path ``source``; make a key with him first when there is none in store.

    ``fresh``: make one in any case.
    """
    taken, report = None if fresh else await _taken(bob_keys), None
    await bob.send(UnderKey(taken.ticket if taken else None))
    if taken is None:
        link, secret = _able(bob.name, bob_link, bob_secret)
        peer = AuthenticatedPeer(bob, secret, role="alice", peer_role="bob")
        report, key = await pipeline.make_key_as_alice(peer, link, coin, clock, link.agreement, pulses)
        if key is None:
            return SecureFileReport(report, None)
        await bob_keys.put(secret.session, key)
        taken = await bob_keys.take(KEY_BITS)
        await bob.send(UnderKey(taken.ticket))
    sealing, peer = _divided(taken.key, bob, "alice", "bob")
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
    fresh: bool = False,
) -> SecureFileReport:
    """Write Alice's file to the path ``destination``; make a key with her first when she has none in store."""
    under, report = await alice.receive(UnderKey), None
    if under.ticket is None:
        link, secret = _able(alice.name, alice_link, alice_secret)
        peer = AuthenticatedPeer(alice, secret, role="bob", peer_role="alice")
        report, key = await pipeline.make_key_as_bob(peer, link, coin, clock, link.agreement, pulses)
        if key is None:
            return SecureFileReport(report, None)
        await alice_keys.put(secret.session, key)
        under = await alice.receive(UnderKey)
    if under.ticket is None:
        raise ProgramInvalid("the key that was made is not in store at the sender")
    sealing, peer = _divided(await alice_keys.redeem(under.ticket, KEY_BITS), alice, "bob", "alice")
    return SecureFileReport(report, await file_transfer.receive_file(Path(destination), sealing, peer))


async def _taken(keys: SharedKeys) -> TakenKey | None:
    try:
        return await keys.take(KEY_BITS)
    except KeysExhausted:
        return None


def _able(
    peer: str, link: QuantumLink | None, secret: SharedSecret | None
) -> tuple[QuantumLink, SharedSecret]:
    if link is None or secret is None:
        raise ProgramInvalid(
            f"there is no key in store with '{peer}', and no link to make one over; wait until keys have been relayed "
            "('bellwire keys ls'), or send to a neighbour"
        )
    return link, secret


def _divided(key: Key, peer: Peer, role: str, peer_role: str) -> tuple[bytes, AuthenticatedPeer]:
    """Return the key under which the file travels, and the peer whose messages another one authenticates."""
    secret = SharedSecret(key.aes256("authentication"), "send")
    return key.aes256("file transfer"), AuthenticatedPeer(peer, secret, role, peer_role)
