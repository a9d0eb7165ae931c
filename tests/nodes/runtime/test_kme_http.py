"""The KME's HTTPS server lets in the SAEs of its node and nobody else, and answers whatever comes with JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from nodes.runtime.kme_config import KmeTls
from nodes.runtime.kme_http import PortUnavailable, serve_kme
from tests.nodes.keys.drawn_keys import DrawnKeys
from tests.nodes.runtime.kme_lab import ODD_SAE, KmeLab, config_of, document_of, kme_lab


@pytest.fixture
async def kme(tmp_path: Path) -> AsyncIterator[KmeLab]:
    async with kme_lab(tmp_path) as lab:
        yield lab


async def test_keys_travel_from_master_to_slave(tmp_path: Path) -> None:
    """Both verbs of both methods, over one connection each."""
    keys = DrawnKeys({"vpn-north": "north", "backup-north": "north"})
    async with kme_lab(tmp_path, keys) as kme, kme.client() as master, kme.client("backup-north") as slave:
        async with master.get("backup-north/enc_keys?number=1&size=512") as response:
            [first] = (await document_of(response))["keys"]
        async with master.post("backup-north/enc_keys", json={"number": 2}) as response:
            others = (await document_of(response))["keys"]
        async with slave.get(f"vpn-north/dec_keys?key_ID={first['key_ID']}") as response:
            assert (await document_of(response))["keys"] == [first]
        body = {"key_IDs": [{"key_ID": key["key_ID"]} for key in others]}
        async with slave.post("vpn-north/dec_keys", json=body) as response:
            assert (await document_of(response))["keys"] == others


async def test_a_post_without_a_body_asks_for_one_key(kme: KmeLab) -> None:
    async with kme.client() as sae:
        for headers in ({}, {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}):
            async with sae.post("vpn-dc/enc_keys", headers=headers) as response:
                assert len((await document_of(response))["keys"]) == 1


async def test_the_master_is_who_the_certificate_says(kme: KmeLab) -> None:
    for name in ("vpn-north", "backup-north"):
        async with kme.client(name) as sae, sae.get("vpn-dc/status") as response:
            assert (await document_of(response))["master_SAE_ID"] == name


async def test_an_id_of_any_characters_is_decoded(kme: KmeLab) -> None:
    async with kme.client() as sae:
        path = URL(f"{kme.url}/{quote(ODD_SAE, safe='')}/status", encoded=True)
        async with sae.get(path) as response:
            assert (await document_of(response))["slave_SAE_ID"] == ODD_SAE
        for encoded in ("%FF%FE", "%20", "%00", "..%2F..", quote("nobody")):
            async with sae.get(URL(f"{kme.url}/{encoded}/status", encoded=True)) as response:
                assert response.status == 400
                assert isinstance((await document_of(response))["message"], str)


@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("HEAD", "vpn-dc/enc_keys", "GET, POST"),
        ("PUT", "vpn-dc/enc_keys", "GET, POST"),
        ("DELETE", "vpn-dc/dec_keys", "GET, POST"),
        ("OPTIONS", "vpn-dc/status", "GET"),
        ("POST", "vpn-dc/status", "GET"),
        ("HEAD", "vpn-dc/status", "GET"),
    ],
)
async def test_another_verb_is_told_which_ones_there_are(
    kme: KmeLab, verb: str, path: str, allow: str
) -> None:
    async with kme.client() as sae, sae.request(verb, path) as response:
        assert (response.status, response.headers["Allow"]) == (405, allow)
    assert isinstance(kme.keys, DrawnKeys)
    assert kme.keys.asked == [], "not even HEAD takes a key"


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/keys/vpn-dc", "/api/v1/keys/a/b/status", "/api/v2/keys/vpn-dc/status"]
)
async def test_another_path_is_not_found(kme: KmeLab, path: str) -> None:
    async with kme.client() as sae, sae.get(URL(kme.url).with_path(path)) as response:
        assert response.status == 404
        assert isinstance((await document_of(response))["message"], str)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/plain"}, b"{}"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b'{"number": 1}'),
        ({"Content-Type": "application/json; charset=utf-16"}, '{"number": 1}'.encode("utf-16")),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"\x1f\x8b\x08"),
    ],
)
async def test_a_body_that_is_declared_as_something_else_is_not_read(
    kme: KmeLab, headers: dict[str, str], body: bytes
) -> None:
    async with kme.client() as sae, sae.post("vpn-dc/enc_keys", headers=headers, data=body) as response:
        assert response.status == 415
        assert isinstance((await document_of(response))["message"], str)


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "Application/JSON"])
async def test_json_may_be_declared_in_several_ways(kme: KmeLab, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    async with kme.client() as sae, sae.post("vpn-dc/enc_keys", headers=headers, data=b"{}") as response:
        assert response.status == 200


async def test_a_body_that_is_too_long_is_refused_and_the_kme_lives_on(kme: KmeLab) -> None:
    long = b'{"abc_padding": "' + b"x" * 200_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    async with kme.client() as sae:
        async with sae.post("vpn-dc/enc_keys", headers=headers, data=long) as response:
            assert response.status == 413
            assert isinstance((await document_of(response))["message"], str)
        async with sae.post("vpn-dc/enc_keys", headers=headers, data=b"{}") as response:
            assert response.status == 200


async def test_as_many_ids_as_there_may_be_fit_into_a_body(kme: KmeLab) -> None:
    async with kme.client() as sae:
        async with sae.post("backup-north/enc_keys", json={"number": 128}) as response:
            made = (await document_of(response))["keys"]
        async with kme.client("backup-north") as slave:
            body = {
                "key_IDs": [{"key_ID": key["key_ID"], "key_ID_extension": {"x": "y" * 200}} for key in made]
            }
            async with slave.post("vpn-north/dec_keys", json=body) as response:
                assert (await document_of(response))["keys"] == made


async def test_every_call_is_noted_without_a_bit_of_a_key(
    kme: KmeLab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with kme.client() as sae:
        async with sae.get("vpn-dc/enc_keys?number=2") as response:
            made = (await document_of(response))["keys"]
        async with sae.get("vpn-dc/enc_keys?size=7") as response:
            assert response.status == 400
    async with kme.client("vpn-dc") as stranger, stranger.get("vpn-north/status"):
        pass
    told = [(a.sae, a.verb, a.path, a.status, a.keys) for a in kme.accesses]
    assert told == [
        ("vpn-north", "GET", "/api/v1/keys/vpn-dc/enc_keys", 200, 2),
        ("vpn-north", "GET", "/api/v1/keys/vpn-dc/enc_keys", 400, 0),
        ("", "GET", "/api/v1/keys/vpn-north/status", 401, 0),
    ]
    assert [bool(a.reason) for a in kme.accesses] == [False, True, True]
    for key in made:
        assert key["key"] not in f"{kme.accesses} {caplog.text}"


class SlowKeys(DrawnKeys):
    """Keys that come when they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_for, self.go = asyncio.Event(), asyncio.Event()

    async def get_key(self, *request: Any) -> Any:
        self.asked_for.set()
        await self.go.wait()
        return await super().get_key(*request)


async def test_a_call_under_way_is_answered_before_the_kme_ends(tmp_path: Path) -> None:
    keys = SlowKeys()
    async with asyncio.TaskGroup() as group, asyncio.timeout(5), kme_lab(tmp_path, keys) as kme:
        port = kme.port

        async def call() -> int:
            async with kme.client() as sae, sae.get("vpn-dc/enc_keys") as response:
                return len((await document_of(response))["keys"])

        calling = group.create_task(call())
        await keys.asked_for.wait()
        asyncio.get_running_loop().call_soon(keys.go.set)
    assert calling.result() == 1
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("tls", ["classical", "post-quantum"])
async def test_a_port_that_is_taken_is_told_with_the_key_of_the_lab_file(kme: KmeLab, tls: KmeTls) -> None:
    taken = replace(config_of(kme.certificates, "north", tls), port=kme.port)
    with pytest.raises(PortUnavailable, match="or none to take a free one") as refused:
        async with serve_kme(taken, kme.keys):
            pass
    told = str(refused.value)
    assert f"node 'north' cannot listen on 127.0.0.1:{kme.port}: address already in use" in told
    assert "services.etsi014" in told
