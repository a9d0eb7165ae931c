"""KMEs for tests: certificates of a lab of their own, servers on free ports, clients with any certificate."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import ClientResponse

from deploy.certificates import LIFETIME, Algorithm, Authority, Certificates, Credential
from nodes.keys.batching import Keys
from nodes.keys.manager import KeyManager
from nodes.keys.plane import InMemoryNetwork
from nodes.keys.site import KeyNetwork
from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES
from nodes.runtime.coin import make_coin
from nodes.runtime.kme_config import KmeConfig, KmeTls
from nodes.runtime.kme_http import Access, serve_kme
from tests.nodes.keys.drawn_keys import SAES, DrawnKeys
from tests.nodes.keys.key_lab import HandClock

LAB = "metro"
ODD_SAE = "sae/1 %2F ü?#"
"""An ID that must be URL-encoded; it has no certificate."""


@dataclass
class KmeLab:
    """The KME of the node ``north``, which takes calls at ``port``."""

    authority: Authority
    certificates: Certificates
    keys: Keys
    port: int = 0
    accesses: list[Access] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/api/v1/keys"

    @asynccontextmanager
    async def client(
        self, sae: str = "vpn-north", credential: Credential | None = None, **tls: Any
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Give the block a client with the certificate of ``sae``, or with another one."""
        context = client_tls(self.certificates, credential or self.certificates.sae(sae), **tls)
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(f"{self.url}/", connector=connector) as session:
            yield session


def client_tls(
    certificates: Certificates,
    credential: Credential | None,
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> ssl.SSLContext:
    """Return the TLS of a client that checks as strictly as Python 3.13 does by default."""
    context = ssl.create_default_context(cafile=certificates.authority)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.maximum_version = maximum
    if credential is not None:
        context.load_cert_chain(credential.certificate, credential.key)
    return context


@asynccontextmanager
async def kme_lab(
    directory: Path,
    keys: Keys | None = None,
    tls: KmeTls = "classical",
    algorithm: Algorithm = "ecdsa-p256",
) -> AsyncIterator[KmeLab]:
    """Issue certificates for the SAEs of ``SAES``, and serve ``keys`` at the node ``north`` inside the block."""
    authority = Authority(LAB, datetime.now(UTC), LIFETIME, algorithm)
    certificates = authority.issue(directory, dict.fromkeys(SAES.values()), SAES)
    lab = KmeLab(authority, certificates, keys or DrawnKeys({**SAES, ODD_SAE: "dc"}))
    async with serve_kme(config_of(certificates, "north", tls), lab.keys, lab.accesses.append) as running:
        lab.port = running.port
        yield lab


@asynccontextmanager
async def two_kmes(
    directory: Path, tls: KmeTls = "classical", units: int = 400
) -> AsyncIterator[dict[str, KmeLab]]:
    """Serve the nodes ``north`` and ``dc`` by key managers that share so many units of key, in stores on the disk."""
    authority = Authority(LAB, datetime.now(UTC), LIFETIME, "ecdsa-p256")
    certificates = authority.issue(directory, ("north", "dc"), SAES)
    network = InMemoryNetwork(make_coin(None))
    known = KeyNetwork(SAES, {"north": ["dc"], "dc": ["north"]})
    block = secrets.token_bytes(UNIT_BYTES * units)
    async with AsyncExitStack() as stack:
        labs = {}
        for node, peer in (("north", "dc"), ("dc", "north")):
            store = stack.enter_context(
                closing(KeyStore(directory / f"{node}.keys", secrets.token_bytes(32)))
            )
            store.deposit(peer, "block", block, "qkd", reproducible=False)
            plane, coin = network.plane(node), make_coin(None)
            manager = KeyManager(node, store, plane, known, clock=HandClock(), coin=coin)
            network.attach(node, manager)
            lab = labs[node] = KmeLab(authority, certificates, manager)
            config = config_of(certificates, node, tls)
            running = await stack.enter_async_context(serve_kme(config, manager, lab.accesses.append))
            lab.port = running.port
        yield labs


def config_of(certificates: Certificates, node: str, tls: KmeTls) -> KmeConfig:
    """Configure the KME of a node."""
    own = certificates.kme(node)
    return KmeConfig(LAB, node, SAES, certificates.authority, own.certificate, own.key, tls=tls)


async def document_of(response: ClientResponse) -> Any:
    """Return the JSON document of a response that declares one, and that nobody may keep."""
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    return json.loads(await response.read())
