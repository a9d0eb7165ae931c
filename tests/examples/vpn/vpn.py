"""A VPN gateway that is to be tested: it seals packets under keys got by ETSI GS QKD 014, and knows no Bellwire.

A key is good for so many packets. Without a fresh one the tunnel is closed: nothing is sent, neither in clear nor under
a key that was used up.
"""

from __future__ import annotations

import ssl
from base64 import b64decode
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from aiohttp import ClientError, ClientSession, TCPConnector
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PACKETS_PER_KEY = 16


class TunnelClosed(Exception):
    """There is no fresh key."""


class KeySource:
    """The KME of one gateway, at ``url``; ``peer`` is the gateway at the other end."""

    def __init__(self, url: str, tls: ssl.SSLContext, peer: str) -> None:
        self._api = f"{url}/api/v1/keys/{peer}"
        self._tls = tls

    async def __aenter__(self) -> Self:
        self._session = ClientSession(connector=TCPConnector(ssl=self._tls))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def fresh(self) -> tuple[UUID, bytes]:
        """Return a key that nobody has had, and its name. Raise ``TunnelClosed`` when there is none."""
        return await self._fetch("enc_keys?number=1")

    async def named(self, name: UUID) -> bytes:
        """Return the key that the other end has got under this name."""
        return (await self._fetch(f"dec_keys?key_ID={name}"))[1]

    async def _fetch(self, request: str) -> tuple[UUID, bytes]:
        try:
            async with self._session.get(f"{self._api}/{request}") as response:
                document: dict[str, Any] = await response.json()
        except ClientError as error:
            raise TunnelClosed(f"the KME does not answer: {error}") from error
        if response.status != 200:
            raise TunnelClosed(document.get("message", response.reason))
        [key] = document["keys"]
        return UUID(key["key_ID"]), b64decode(key["key"])


class Sender:
    """The end from which packets come."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys
        self._sealed = PACKETS_PER_KEY

    async def seal(self, packet: bytes) -> bytes:
        """Return what goes over the wire. Raise ``TunnelClosed``."""
        if self._sealed >= PACKETS_PER_KEY:
            self._name, key = await self._keys.fresh()
            self._cipher, self._sealed = AESGCM(key), 0
        nonce = self._sealed.to_bytes(12, "big")
        self._sealed += 1
        return self._name.bytes + nonce + self._cipher.encrypt(nonce, packet, None)


class Receiver:
    """The end to which packets go."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys
        self._name: UUID | None = None

    async def open(self, frame: bytes) -> bytes:
        """Return the packet that was sealed."""
        name, nonce, sealed = UUID(bytes=frame[:16]), frame[16:28], frame[28:]
        if name != self._name:
            self._cipher, self._name = AESGCM(await self._keys.named(name)), name
        return self._cipher.decrypt(nonce, sealed, None)
