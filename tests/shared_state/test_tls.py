"""Under TLS the server knows parties by their certificates, and says in its log whom it has refused and why."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy.certificates import Authority
from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.errors import BadCredential, ServerLost
from shared_state.oracle import OracleClient
from shared_state.server import Server, serve
from shared_state.tls import TlsIdentity

NOW = datetime.now(UTC)
HOSTS = ["state", "127.0.0.1"]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("lab", NOW)


@pytest.fixture
async def server(config: ServerConfig, authority: Authority) -> AsyncIterator[Server]:
    async with await serve(replace(config, tls=authority.identify("state", HOSTS))) as running:
        yield running


async def join(server: Server, name: str, tls: TlsIdentity | None) -> NodeClient:
    return await NodeClient.connect(
        "127.0.0.1", server.port, lab="lab", name=name, token=f"{name}'s token", tls=tls
    )


async def test_parties_with_certificates_work_as_without(
    server: Server, config: ServerConfig, authority: Authority
) -> None:
    oracle = await OracleClient.connect(
        "127.0.0.1",
        server.port,
        lab="lab",
        name="control",
        token=config.oracle_token,
        tls=authority.identify("control"),
    )
    async with await join(server, "alice", authority.identify("alice")) as alice, oracle:
        await alice.qubit(0.0, "run")
        assert (await oracle.census()).held["alice"] == 1


async def test_who_claims_another_name_than_its_certificate_has_is_refused_and_named(
    server: Server, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BadCredential, match="'bob' comes with the certificate of 'alice'"):
        await join(server, "bob", authority.identify("alice"))
    assert "refused a party: 'bob' comes with the certificate of 'alice'" in caplog.text


async def test_who_is_not_of_the_lab_or_no_longer_is_refused_and_logged(
    server: Server, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = replace(
        Authority("lab", NOW).identify("alice"), authority=authority.identify("alice").authority
    )
    with pytest.raises(ServerLost):
        await join(server, "alice", foreign)
    assert "refused a connection from 127.0.0.1: its certificate is not one of this lab" in caplog.text
    late = Authority("lab", NOW - timedelta(days=9), timedelta(days=8))
    caplog.clear()
    expired = late.identify("state", HOSTS)
    config = ServerConfig(
        "lab", server._service.config.world, {"alice": "alice's token"}, "secret", tls=expired
    )
    async with await serve(config) as other:
        with pytest.raises(ServerLost, match="expired"):
            await join(other, "alice", late.identify("alice"))


async def test_an_expired_certificate_is_refused_by_its_server(
    config: ServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """The server's own certificate is valid, and made with the same key of the authority as one that has expired."""
    authority = Authority("lab", NOW)
    own = authority.identify("state", HOSTS)
    authority.valid = (NOW - timedelta(days=9), NOW - timedelta(days=1))
    expired = authority.identify("alice")
    async with await serve(replace(config, tls=own)) as server:
        with pytest.raises(ServerLost):
            await join(server, "alice", expired)
        assert "(certificate has expired)" in caplog.text


async def test_who_shows_no_certificate_or_speaks_no_tls_gets_no_answer(
    server: Server, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ServerLost):
        await join(server, "alice", None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.identify("alice").authority)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    with suppress(ssl.SSLError):  # the alert may come before the end, or be lost with the connection
        assert await reader.read() == b""
    writer.close()
    with suppress(ssl.SSLError):
        await writer.wait_closed()
    assert "it shows no certificate" in caplog.text
    async with await join(server, "alice", authority.identify("alice")):
        pass  # the others are served as before


async def test_a_server_of_another_lab_or_at_another_name_is_not_trusted(
    config: ServerConfig, authority: Authority
) -> None:
    for tls in (authority.identify("state", ["state"]), Authority("lab", NOW).identify("state", HOSTS)):
        async with await serve(replace(config, tls=tls)) as server:
            with pytest.raises(ServerLost, match="certificate verify failed"):
                await join(server, "alice", authority.identify("alice"))


def test_a_key_is_not_in_the_text_of_an_identity(authority: Authority) -> None:
    assert "PRIVATE KEY" not in repr(authority.identify("alice"))
