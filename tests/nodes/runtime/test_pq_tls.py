"""With post-quantum TLS the session keys come from X25519MLKEM768, and the KME above notices no difference."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError
from OpenSSL import SSL

from deploy.certificates import Algorithm, Authority, Certificates
from nodes.runtime import pq_tls
from tests.nodes.keys.drawn_keys import DrawnKeys
from tests.nodes.runtime.kme_lab import KmeLab, kme_lab


def call(certificates: Certificates, sae: str, port: int, request: bytes) -> tuple[str | None, bytes]:
    """Make one call by pyOpenSSL; return the group that was agreed on, and all that comes until the end."""
    own = certificates.sae(sae)
    context = pq_tls.client_context(own.certificate, own.key, certificates.authority)
    tls = SSL.Connection(context, socket.create_connection(("127.0.0.1", port)))
    tls.setblocking(True)
    tls.set_connect_state()
    tls.do_handshake()
    tls.sendall(request)
    received = b""
    try:
        while more := tls.recv(65536):
            received += more
    except SSL.ZeroReturnError:
        return tls.get_group_name(), received
    finally:
        tls.close()
    raise AssertionError("the server went without saying goodbye")


def get(path: str) -> bytes:
    return f"GET /api/v1/keys/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


async def calling(kme: KmeLab, request: bytes, sae: str = "vpn-north") -> tuple[str | None, bytes, Any]:
    """Return the group, the response's first line and its document."""
    group, response = await asyncio.to_thread(call, kme.certificates, sae, kme.port, request)
    head, _, body = response.partition(b"\r\n\r\n")
    return group, head.split(b"\r\n")[0], json.loads(body)


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ml-dsa-65"])
async def test_a_client_that_knows_it_agrees_on_the_hybrid_group(
    tmp_path: Path, algorithm: Algorithm
) -> None:
    async with kme_lab(tmp_path, tls="post-quantum", algorithm=algorithm) as kme:
        group, first, document = await calling(kme, get("vpn-dc/status"))
        assert (group, first) == ("X25519MLKEM768", b"HTTP/1.1 200 OK")
        assert document["master_SAE_ID"] == "vpn-north"
        group, first, _ = await calling(kme, get("vpn-north/status"), sae="vpn-dc")
        assert (group, first) == ("X25519MLKEM768", b"HTTP/1.1 401 Unauthorized")


async def test_a_client_that_does_not_know_it_is_served_all_the_same(tmp_path: Path) -> None:
    """Python's own TLS, which is here on an OpenSSL before 3.5; on a later one it agrees on the hybrid group."""
    keys = DrawnKeys({"vpn-north": "north", "backup-north": "north"})
    async with kme_lab(tmp_path, keys, tls="post-quantum") as kme, kme.client() as master:
        async with master.post("backup-north/enc_keys", json={"number": 128, "size": 4096}) as response:
            made = (await response.json())["keys"]
        assert len(made) == 128
        async with kme.client("backup-north") as slave:
            body = {"key_IDs": [{"key_ID": key["key_ID"], "x": "y" * 300} for key in made]}
            async with slave.post("vpn-north/dec_keys", json=body) as response:
                assert (await response.json())["keys"] == made


async def test_several_calls_go_over_one_connection_and_several_connections_side_by_side(
    tmp_path: Path,
) -> None:
    async with (
        kme_lab(tmp_path, tls="post-quantum") as kme,
        kme.client() as sae,
        asyncio.TaskGroup() as group,
    ):

        async def often() -> None:
            for _ in range(5):
                async with sae.get("vpn-dc/enc_keys?number=100&size=4096") as response:
                    assert len((await response.json())["keys"]) == 100

        assert isinstance(kme.keys, DrawnKeys)
        kme.keys.stored = 10_000
        for _ in range(5):
            group.create_task(often())


async def test_who_has_no_certificate_or_a_foreign_one_is_not_let_in(tmp_path: Path) -> None:
    other = Authority("metro", datetime.now(UTC)).issue(tmp_path / "other", [], ["vpn-north"])
    async with kme_lab(tmp_path, tls="post-quantum") as kme:
        for credential in (other.sae("vpn-north"), kme.certificates.kme("north")):
            with pytest.raises(ClientError):
                async with kme.client(credential=credential) as stranger, stranger.get("vpn-dc/enc_keys"):
                    pass
        assert kme.accesses == []


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(1000)])
async def test_what_is_no_handshake_ends_the_connection_and_nothing_else(
    tmp_path: Path, noise: bytes
) -> None:
    async with asyncio.timeout(5), kme_lab(tmp_path, tls="post-quantum") as kme:
        reader, writer = await asyncio.open_connection("127.0.0.1", kme.port)
        writer.write(noise)
        assert len(await reader.read()) < 100
        writer.close()
        assert (await calling(kme, get("vpn-dc/status")))[1] == b"HTTP/1.1 200 OK"


async def test_a_handshake_that_is_never_ended_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pq_tls, "_HANDSHAKE_WITHIN", 0.05)
    async with asyncio.timeout(5), kme_lab(tmp_path, tls="post-quantum") as kme:
        reader, writer = await asyncio.open_connection("127.0.0.1", kme.port)
        writer.write(b"\x16\x03\x01")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
