"""Trusted-node relay of a key, hop by hop, each hop under a one-time pad. ITU-T Y.3803 and ETSI GR QKD 007 name it.

    1. Origin  draws K; for its neighbour takes key from the pool they share:    pad, r and s
    2. Origin  -> R1   Relay: K xor pad, the names of the units, a tag by r, s   (Poly1305: Wegman and Carter 1981)
    3. R1      redeems the units, checks the tag, has K, takes key of the next pool, and forgets what it used
    4. R1      -> R2   Relay: K xor the next pad, ...                            and so on to the target
    5. Target  stores K, or holds it for an application; Relayed comes back the same way

The classical channel learns nothing: K xor pad is uniform whatever K is, and no pad serves twice. It can alter nothing
but with probability 8 ceil(L/16) / 2^106 for L bytes, as r and s serve one message. Every node on the way knows K: that
is what "trusted" means, and what no cryptography of the hops changes. Only a secret of the two ends does: see
``nodes.keys.hybrid``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

from nodes.codec import encode
from nodes.keys.errors import CargoTampered
from nodes.keys.secret import Secret
from nodes.keys.units import UNIT_BYTES, Taken, Unit, units_for

MAX_CARGO_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Cargo:
    """What becomes of the relayed bytes at the target.

    With ``block`` they are stored under this name in the pool of the origin. Without, they are keys of ``size`` bytes,
    one for each of ``key_ids``, that are held for ``slave_saes``.
    """

    block: str = ""
    key_ids: tuple[str, ...] = ()
    size: int = 0
    master_sae: str = ""
    slave_saes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relay:
    """The relayed bytes on one hop of ``route``, which begins with the origin and ends with the target.

    ``units`` of the pool of the hop are the pad and, the last of them, the one-time key of ``tag``. ``reproducible``:
    some key on the way so far was made with the lab's seed.
    """

    request: str
    route: tuple[str, ...]
    cargo: Cargo
    reproducible: bool
    units: tuple[Unit, ...]
    masked: bytes
    tag: bytes = b""


@dataclass(frozen=True, slots=True)
class HopLevel:
    """What the node ``near`` can still take from its pool shared with ``far``, in units."""

    near: str
    far: str
    units: int


@dataclass(frozen=True, slots=True)
class Relayed:
    """What became of a relay. Without ``failure`` the target has the bytes.

    With one, the hop from ``near`` to ``far`` could not serve, for a reason of the closed set ``FAILURES``. ``levels``
    are those of the hops on the way, as far as it came.
    """

    reproducible: bool = False
    failure: str = ""
    near: str = ""
    far: str = ""
    levels: tuple[HopLevel, ...] = ()


FAILURES = {
    "exhausted": "their pool holds too little",
    "unreachable": "the far node does not answer",
    "mismatch": "the far node does not have the units that the near one named",
    "tampered": "what came was altered on the way",
    "refused": "the far node does not keep it",
    "lost": "the node has lost what it was working on",
}
"""Why a hop cannot serve, as a sentence's end."""


def pad_bytes(length: int) -> int:
    """Return how many bytes of key a hop takes for ``length`` bytes: whole units for the pad, one for the tag."""
    return UNIT_BYTES * (units_for(length) + 1)


def seal(relay: Relay, content: Secret, pad: Taken) -> Relay:
    """Return the relay of the next hop: ``content`` under the pad, with its tag.

    Of ``relay`` request, route, cargo and the mark are kept. ``pad`` has ``pad_bytes(len(content))``; it is wiped.
    """
    octets = pad.secret.reveal()
    pad.secret.wipe()
    bare = replace(
        relay,
        reproducible=relay.reproducible or pad.reproducible,
        units=pad.units,
        masked=_xor(content.reveal(), octets),
        tag=b"",
    )
    return replace(bare, tag=Poly1305.generate_tag(octets[-UNIT_BYTES:], encode(bare)))


def unseal(relay: Relay, pad: Secret) -> Secret:
    """Return the content of a relay that came over a hop; wipe the pad. Raises ``CargoTampered``."""
    octets = pad.reveal()
    pad.wipe()
    try:
        Poly1305.verify_tag(octets[-UNIT_BYTES:], encode(replace(relay, tag=b"")), relay.tag)
    except InvalidSignature as altered:
        raise CargoTampered(
            f"relay {relay.request} was altered on its way from {relay.route[0]}"
        ) from altered
    return Secret(_xor(relay.masked, octets))


def split(content: Secret, size: int) -> list[Secret]:
    """Cut keys of ``size`` bytes from the relayed bytes."""
    octets = content.reveal()
    return [Secret(octets[start : start + size]) for start in range(0, len(octets), size)]


def hop_to(relay: Relay, node: str, sender: str) -> int:
    """Return the place of ``node`` on the route, when ``sender`` is the one before it; 0 otherwise."""
    route: Sequence[str] = relay.route
    place = route.index(node) if route.count(node) == 1 else 0
    return place if place and route[place - 1] == sender else 0


def _xor(content: bytes, pad: bytes) -> bytes:
    used = np.frombuffer(pad, dtype=np.uint8, count=len(content))
    return (np.frombuffer(content, dtype=np.uint8) ^ used).tobytes()
