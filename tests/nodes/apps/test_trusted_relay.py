"""The program ``relay``: what is altered between two rooms is not taken for a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nodes.apps import trusted_relay
from nodes.apps.agreed_key import UnderKey
from nodes.apps.trusted_relay import KEY_BYTES, Carried
from nodes.errors import AuthenticationFailed, KeyRefused
from nodes.keys.store import KeyStore
from nodes.ports import Clock, Coin, Peer
from nodes.qkd.key import Key
from nodes.runtime.stored_keys import StoredKeys

HOP = Key(np.random.default_rng(1).integers(0, 2, 256, dtype=np.uint8))


@pytest.fixture
def arrived(
    connect: Callable[..., tuple[Peer, Peer]],
    both: Callable[..., Awaitable[tuple[Any, Any]]],
    make_coin: Callable[..., Coin],
    clock: Clock,
) -> Callable[[bytes], Awaitable[Any]]:
    """Return what lets so many bytes arrive at Bob, sealed under the hop's key or not; his result, or his error."""

    async def received(sealed: bytes) -> Any:
        ends = [StoredKeys(KeyStore(None, b"k" * 32), name, reproducible=True) for name in ("bob", "charlie")]
        for end in ends:
            await end.put("block", HOP)
        to_bob, to_charlie = connect()

        async def charlie() -> None:
            await to_bob.send(UnderKey((await ends[0].take(256)).ticket))
            await to_bob.send(Carried(sealed))

        bob = trusted_relay.bob(to_charlie, None, None, ends[1], make_coin(1), clock)
        return (await both(charlie(), bob))[1]

    return received


async def test_bob_opens_what_was_sealed_under_the_key_of_the_hop_and_nothing_else(
    arrived: Callable[[bytes], Awaitable[Any]],
) -> None:
    key = bytes(range(KEY_BYTES))
    sealed = AESGCM(HOP.aes256("hop")).encrypt(bytes(12), key, None)
    assert await arrived(sealed) == trusted_relay._fingerprint(key)
    altered = bytes([sealed[0] ^ 1]) + sealed[1:]
    for other in (altered, sealed[:-1], b"short"):
        assert isinstance(await arrived(other), AuthenticationFailed)
    assert isinstance(await arrived(b""), KeyRefused)
