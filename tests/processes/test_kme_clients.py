"""Programs of others fetch keys: curl, etsi-qkd-014-client, qkdsec; and OpenSSL talks by what they have fetched."""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from etsi_qkd_014_client import QKD014Client
from qkdsec.client import ETSI014Client
from qkdsec.doctor import run_all

from nodes.runtime.kme_config import KmeTls
from tests.nodes.runtime.kme_lab import KmeLab, two_kmes

MASTER, SLAVE = "vpn-north", "vpn-dc"
KEYS_NOT_FOUND = "one or more keys specified are not found on KME"

Kmes = tuple[KmeLab, KmeLab]
"""The master's and the slave's, with key managers behind them that share key."""

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs the curl program")
pytestmark = pytest.mark.processes


@pytest.fixture(params=["classical", "post-quantum"])
def tls(request: pytest.FixtureRequest) -> KmeTls:
    which: KmeTls = request.param
    return which


@pytest.fixture
async def kmes(tmp_path: Path, tls: KmeTls) -> AsyncIterator[Kmes]:
    async with two_kmes(tmp_path, tls) as labs:
        yield labs["north"], labs["dc"]


async def run(*command: object, stdin: bytes = b"") -> str:
    """Run a program to its end; return what it says, and fail when it fails."""
    words = [str(word) for word in command]
    program = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(30):
        out, err = await program.communicate(stdin)
    assert program.returncode == 0, err.decode()
    return out.decode()


async def curl(kme: KmeLab, sae: str, path: str, *options: str) -> tuple[int, Any]:
    """Call the KME by curl; return the status and the document."""
    own = kme.certificates.sae(sae)
    files = ("--cacert", kme.certificates.authority, "--cert", own.certificate, "--key", own.key)
    answer = await run("curl", "-sS", "-w", "\n%{http_code}", *files, *options, f"{kme.url}/{path}")
    body, _, status = answer.rpartition("\n")
    return int(status), json.loads(body)


@needs_curl
async def test_curl_fetches_keys_by_both_verbs(kmes: Kmes) -> None:
    north, dc = kmes
    json_body = ("-H", "Content-Type: application/json")
    status, told = await curl(north, MASTER, f"{SLAVE}/status")
    assert (status, told["master_SAE_ID"], told["slave_SAE_ID"]) == (200, MASTER, SLAVE)
    status, made = await curl(
        north, MASTER, f"{SLAVE}/enc_keys", *json_body, "-d", '{"number": 3, "size": 512}'
    )
    assert (status, len(made["keys"])) == (200, 3)
    first, *others = made["keys"]
    assert await curl(dc, SLAVE, f"{MASTER}/dec_keys?key_ID={first['key_ID']}") == (200, {"keys": [first]})
    body = json.dumps({"key_IDs": [{"key_ID": key["key_ID"]} for key in others]})
    assert await curl(dc, SLAVE, f"{MASTER}/dec_keys", *json_body, "-d", body) == (200, {"keys": others})
    assert await curl(dc, SLAVE, f"{MASTER}/dec_keys", *json_body, "-d", body) == (
        400,
        {"message": KEYS_NOT_FOUND},
    )


async def test_the_client_etsi_qkd_014_client_goes_through_the_whole_flow(kmes: Kmes) -> None:
    def flow() -> None:
        master, slave = (
            QKD014Client(
                f"localhost:{kme.port}",
                str(kme.certificates.sae(sae).certificate),
                str(kme.certificates.sae(sae).key),
                str(kme.certificates.authority),
            )
            for sae, kme in zip((MASTER, SLAVE), kmes, strict=True)
        )
        code, status = master.get_status(SLAVE)
        assert (code, status.key_size, status.source_kme_id) == (200, 256, "north")
        code, container = master.get_key(SLAVE, number=2, size=128)
        assert (code, len(container.keys)) == (200, 2)
        code, collected = slave.get_key_with_key_IDs(MASTER, [key.key_id for key in container.keys])
        assert code == 200
        assert [key.key for key in collected.keys] == [key.key for key in container.keys]
        code, error = slave.get_key_with_key_IDs(MASTER, [container.keys[0].key_id])
        assert (code, error.message) == (400, KEYS_NOT_FOUND)
        code, error = master.get_key(SLAVE, size=129)
        assert (code, error.message) == (400, "size shall be a multiple of 8")
        code, error = master.get_key(SLAVE, extension_mandatory=[{"abc_route": 1}])
        assert (code, error.message) == (400, "not all extension_mandatory parameters are supported")
        assert error.details == [{"extension_mandatory_unsupported": "abc_route is not supported"}]
        code, container = master.get_key(SLAVE)
        assert (code, len(b64decode(container.keys[0].key))) == (200, 32)

    await asyncio.to_thread(flow)


async def test_the_probe_of_qkdsec_finds_what_the_standard_says(kmes: Kmes) -> None:
    """Two of its probes ask for what the standard does not say, and are told so: it calls dec_keys as the master, and
    expects 404 for an unknown key."""
    north, _ = kmes
    own = north.certificates.sae(MASTER)
    client = ETSI014Client(
        f"https://localhost:{north.port}",
        client_cert=(str(own.certificate), str(own.key)),
        verify=str(north.certificates.authority),
    )
    report = await asyncio.to_thread(run_all, client, SLAVE)
    found = {probe.name: probe.status.value for probe in report.results}
    wrong = {"dec_keys_roundtrip": "fail", "error_contract_404": "warn"}
    assert found.keys() > wrong.keys()
    assert found == dict.fromkeys(found, "pass") | wrong
    assert len(found) == 10


async def fetched(kmes: Kmes) -> tuple[str, bytes, bytes]:
    """Return a key's ID, and the key as master and slave have it."""
    north, dc = kmes
    async with north.client(MASTER) as master, master.get(f"{SLAVE}/enc_keys?size=256") as response:
        [made] = (await response.json())["keys"]
    path = f"{MASTER}/dec_keys?key_ID={made['key_ID']}"
    async with dc.client(SLAVE) as slave, slave.get(path) as response:
        [collected] = (await response.json())["keys"]
    return made["key_ID"], b64decode(made["key"]), b64decode(collected["key"])


async def talk(key_id: str, servers: bytes, clients: bytes) -> str:
    """Open a TLS 1.3 session by an external pre-shared key, and say something; return what the server answers.

    The key is on the command line, where every user of the machine can read it: the openssl program takes it from
    nowhere else. In earnest use the callbacks of the library.
    """
    common = ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-psk_identity", key_id)
    server = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", "127.0.0.1:0", "-nocert", "-rev", "-naccept", "1"),
        *(*common, "-psk", servers.hex()),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    assert server.stdout is not None
    try:
        async with asyncio.timeout(20):
            while not (line := await server.stdout.readline()).startswith(b"ACCEPT"):
                assert line, "the server has ended"
            address = line.decode().split()[1]
            client = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-connect", address, "-quiet"),
                *(*common, "-psk", clients.hex()),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
            )
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(b"quantum\n")
            answer = await client.stdout.readline()
            with suppress(ProcessLookupError):  # who was refused has ended
                client.kill()
            await client.wait()
            return answer.decode().strip()
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


@needs_openssl
async def test_openssl_opens_a_tls_session_with_keys_of_both_ends(kmes: Kmes) -> None:
    key_id, masters, slaves = await fetched(kmes)
    assert await talk(key_id, masters, slaves) == "mutnauq"
    other = (await fetched(kmes))[1]
    assert await talk(key_id, masters, other) == "", "another key opens nothing"


@needs_openssl
async def test_openssl_accepts_the_certificates_strictly(kmes: Kmes) -> None:
    north, _ = kmes
    own = north.certificates.sae(MASTER)
    files = ("-CAfile", north.certificates.authority, "-cert", own.certificate, "-key", own.key)
    strict = ("-verify_return_error", "-x509_strict", "-verify_ip", "127.0.0.1", "-tls1_3")
    await run("openssl", "s_client", "-connect", f"127.0.0.1:{north.port}", "-brief", *files, *strict)
