"""The program ``tunnel``: traffic under keys that change every few seconds, and none without a fresh key.

::

    Alice                                            Bob
      |--- Rekey: where the next key lies ------------>|  takes it out of his store, too
      |--- Frame: sealed under the newest key -------->|  opens it, unless its key has had its time
      |    ... until the key's time is over; without another one frames are held back ...
      |--- Closed ------------------------------------>|

It fails closed: when the stores are empty, since somebody listens on the fibre, say, nothing is sent in clear or under
a key whose time is over. As soon as there are keys again, the traffic goes on. A VPN that takes its keys by ETSI GS QKD
014 should do the same, and can be tested against the same lab.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nodes.errors import ProgramInvalid
from nodes.keys.errors import KeysExhausted
from nodes.ports import Clock, Coin, Peer
from nodes.qkd.key import Key
from nodes.shared_keys import KeyTicket, SharedKeys

KEY_BITS = 256
PAYLOAD_BYTES = 1000
_GRACE = 1.0
"""So many lifetimes after its own a key is still good for opening what was sealed in time."""


@dataclass(frozen=True, slots=True)
class Rekey:
    """Everything from here on is sealed under another key, for ``lifetime`` emulated seconds at most."""

    ticket: KeyTicket
    lifetime: float


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet; ``number`` counts the packets under one key and is its nonce. None comes a second time."""

    number: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """There is no more traffic."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What travels through the tunnel: one of the three."""

    content: Rekey | Frame | Closed


@dataclass(frozen=True, slots=True)
class TunnelReport:
    """What has gone through. ``held_back``: packets that had to wait for a key, and were dropped.

    ``closed_for``: emulated seconds without a key. ``refused``: packets that could not be opened, or came too late or
    again.
    """

    frames: int
    keys: int
    held_back: int = 0
    closed_for: float = 0.0
    refused: int = 0


async def alice(
    bob: Peer,
    bob_keys: SharedKeys,
    clock: Clock,
    coin: Coin,
    seconds: float = 10.0,
    rekey: float = 1.0,
    rate: float = 20.0,
) -> TunnelReport:
    """Send ``rate`` packets a second for ``seconds``, each under a key no older than ``rekey`` seconds."""
    if min(seconds, rekey, rate) <= 0:
        raise ProgramInvalid("a tunnel needs seconds, rekey and rate above 0")
    start = clock.now()
    cipher, expires = None, start
    frames = keys = held_back = number = 0
    for packet in range(round(seconds * rate)):
        await clock.sleep(max(0.0, start + packet / rate - clock.now()))
        if clock.now() >= expires:
            cipher = await _next_key(bob, bob_keys, rekey)
            expires = clock.now() + rekey if cipher else clock.now()
            keys, number = keys + (cipher is not None), 0
        if cipher is None:
            held_back += 1
            continue
        payload = coin.unique(PAYLOAD_BYTES)
        await bob.send(Packet(Frame(number, cipher.encrypt(_nonce(number), payload, None))))
        frames, number = frames + 1, number + 1
    await bob.send(Packet(Closed()))
    return TunnelReport(frames, keys, held_back, held_back / rate)


async def bob(alice: Peer, alice_keys: SharedKeys, clock: Clock) -> TunnelReport:
    """Open what comes, until there is no more."""
    cipher, expires = None, clock.now()
    frames = keys = refused = due = 0
    while not isinstance(packet := (await alice.receive(Packet)).content, Closed):
        if isinstance(packet, Rekey):
            cipher = _cipher(await alice_keys.redeem(packet.ticket, KEY_BITS))
            expires, keys, due = clock.now() + (1 + _GRACE) * packet.lifetime, keys + 1, 0
        elif cipher is not None and clock.now() < expires and packet.number >= due and _opens(cipher, packet):
            frames, due = frames + 1, packet.number + 1
        else:
            refused += 1
    return TunnelReport(frames, keys, refused=refused)


async def _next_key(bob: Peer, keys: SharedKeys, lifetime: float) -> AESGCM | None:
    """Take a key and tell Bob; None when there is none in store."""
    try:
        taken = await keys.take(KEY_BITS)
    except KeysExhausted:
        return None
    await bob.send(Packet(Rekey(taken.ticket, lifetime)))
    return _cipher(taken.key)


def _cipher(key: Key) -> AESGCM:
    return AESGCM(key.aes256("tunnel"))


def _opens(cipher: AESGCM, frame: Frame) -> bool:
    try:
        cipher.decrypt(_nonce(frame.number), frame.sealed, None)
    except (InvalidTag, OverflowError):  # the latter for a number that is no nonce
        return False
    return True


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
