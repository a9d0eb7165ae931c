"""The KME lets in who proves to be an SAE of its node, at every connection anew, and nobody else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientError
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from deploy.certificates import Authority, Credential
from nodes.runtime.kme_config import KmeTls
from tests.nodes.keys.drawn_keys import DrawnKeys
from tests.nodes.runtime.kme_lab import LAB, KmeLab, client_tls, document_of, kme_lab


@pytest.fixture
async def kme(tmp_path: Path) -> AsyncIterator[KmeLab]:
    async with kme_lab(tmp_path) as lab:
        yield lab


@pytest.mark.parametrize(("name", "home"), [("vpn-dc", "dc"), ("vpn-campus", "campus")])
async def test_an_sae_of_another_node_is_not_served_and_hears_who_does(
    kme: KmeLab, name: str, home: str
) -> None:
    async with kme.client(name) as sae, sae.get("vpn-north/status") as response:
        assert response.status == 401
        assert (await document_of(response)) == {
            "message": f"SAE '{name}' is served by the KME of node '{home}', not by that of 'north'"
        }


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["urn:bellwire:metro:sae:nobody"],
        ["urn:bellwire:other:sae:vpn-north"],
        ["urn:bellwire:metro:kme:north"],
        ["urn:bellwire:metro:sae:vpn-north", "urn:bellwire:metro:sae:backup-north"],
        ["urn:bellwire:metro:sae:vpn-north", "https://example.org"],
        ["URN:BELLWIRE:METRO:SAE:VPN-NORTH"],
        ["urn:bellwire:metro:sae:vpn-north "],
    ],
    ids=str,
)
async def test_a_certificate_that_names_no_sae_here_gets_no_key(
    kme: KmeLab, tmp_path: Path, names: list[str]
) -> None:
    """Its common name is an SAE's, and so is a name of another kind; neither counts."""
    credential = Credential(tmp_path / "forged.pem", tmp_path / "forged.key")
    general = [x509.DNSName("vpn-north"), *map(x509.UniformResourceIdentifier, names)]
    kme.authority.certify(credential, "vpn-north", general, ExtendedKeyUsageOID.CLIENT_AUTH)
    async with kme.client(credential=credential) as sae, sae.get("vpn-dc/enc_keys") as response:
        assert response.status == 401
        assert (await document_of(response)).keys() == {"message"}
    assert isinstance(kme.keys, DrawnKeys)
    assert kme.keys.asked == []


async def test_a_certificate_that_has_expired_is_not_accepted(kme: KmeLab, tmp_path: Path) -> None:
    credential = Credential(tmp_path / "old.pem", tmp_path / "old.key")
    kme.authority.valid = (datetime.now(UTC) - timedelta(days=2), datetime.now(UTC) - timedelta(days=1))
    name = x509.UniformResourceIdentifier("urn:bellwire:metro:sae:vpn-north")
    kme.authority.certify(credential, "vpn-north", [name], ExtendedKeyUsageOID.CLIENT_AUTH)
    with pytest.raises(ClientError):
        async with kme.client(credential=credential) as sae, sae.get("vpn-dc/enc_keys"):
            pass


async def test_without_a_certificate_there_is_no_connection(kme: KmeLab) -> None:
    context = client_tls(kme.certificates, None)
    with pytest.raises(ClientError):
        async with aiohttp.ClientSession() as stranger, stranger.get(f"{kme.url}/vpn-dc/status", ssl=context):
            pass
    assert kme.accesses == []


async def test_a_certificate_of_another_authority_is_not_accepted(kme: KmeLab, tmp_path: Path) -> None:
    other = Authority(LAB, datetime.now(UTC)).issue(tmp_path / "other", [], ["vpn-north"])
    with pytest.raises(ClientError):
        async with (
            kme.client(credential=other.sae("vpn-north")) as stranger,
            stranger.get("vpn-dc/status"),
        ):
            pass
    assert kme.accesses == []


async def test_the_certificate_of_a_server_is_none_of_a_client(kme: KmeLab) -> None:
    with pytest.raises(ClientError):
        async with kme.client(credential=kme.certificates.kme("dc")) as server, server.get("vpn-dc/status"):
            pass
    assert kme.accesses == []


async def test_older_tls_is_refused(kme: KmeLab) -> None:
    with pytest.raises(ClientError):
        async with kme.client(maximum=ssl.TLSVersion.TLSv1_2) as old, old.get("vpn-dc/status"):
            pass


def shake_hands(
    port: int, context: ssl.SSLContext, former: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None]:
    """Make one call that offers to resume a session; return this one, and whether the former was resumed."""
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=former) as tls,
    ):
        tls.sendall(b"GET /api/v1/keys/vpn-dc/status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert tls.recv(100).startswith(b"HTTP/1.1 200")
        return tls.session, tls.session_reused


@pytest.mark.parametrize("tls", ["classical", "post-quantum"])
async def test_every_connection_shows_its_certificate_anew(tmp_path: Path, tls: KmeTls) -> None:
    async with kme_lab(tmp_path, tls=tls) as kme:
        context = client_tls(kme.certificates, kme.certificates.sae("vpn-north"))
        session, _ = await asyncio.to_thread(shake_hands, kme.port, context, None)
        _, resumed = await asyncio.to_thread(shake_hands, kme.port, context, session)
        assert not resumed
