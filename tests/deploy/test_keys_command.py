"""``bellwire keys`` on a lab that is up: its control plane and its KMEs are real, its keys are drawn for the test."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import tempfile
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from deploy.certificates import Authority
from deploy.cli.app import app
from deploy.cli.key_tables import remarks, tables
from deploy.control import ControlPlane
from deploy.key_access import KeyAccess, KmeAddress, write_addresses
from deploy.key_pools import KeyPool
from deploy.laboratory import Laboratory
from deploy.registry import LabDirectory, Registry
from nodes.runtime.kme_config import KmeConfig
from nodes.runtime.kme_http import serve_kme
from tests.nodes.keys.drawn_keys import DrawnKeys

SAES = {"vpn-north": "north", "vpn-dc": "dc"}
POOLS = [
    KeyPool(
        "north", "dc", ["qkd", "relay"], 40, 10240, 0, 3, ["vpn-north"], "https://127.0.0.1:1", 0.0312, 1500.0
    ),
    KeyPool("dc", "north", ["qkd"], 41, 10496, 41, 2, ["vpn-dc"], "https://127.0.0.1:2", trouble="link-down"),
]


class FakeLab:
    """A lab whose stores hold what the test says; each look finds ``north`` one unit poorer."""

    def __init__(self) -> None:
        self.keys_of_all = DrawnKeys(SAES, stored=5)
        self.looks = 0

    async def keys(self) -> list[KeyPool]:
        """Tell what is in store."""
        self.looks += 1
        return [replace(POOLS[0], stored_units=POOLS[0].stored_units - self.looks), POOLS[1]]


class UpLab:
    """The lab ``metro``, up in a thread of its own for as long as the block."""

    def __init__(self, directory: LabDirectory) -> None:
        self.directory = directory
        self.lab = FakeLab()
        self._up = threading.Event()
        self._stopping: Callable[[], object]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> UpLab:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping()
        self._thread.join()

    async def _serve(self) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._stopping = lambda: loop.call_soon_threadsafe(stop.set)
        path = self.directory.path
        certificates = Authority("metro", datetime.now(UTC)).issue(path / "certificates", SAES.values(), SAES)
        addresses = {}
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                ControlPlane(cast(Laboratory, self.lab)).serving(self.directory.socket)
            )
            for sae, node in SAES.items():
                own = certificates.kme(node)
                files = (certificates.authority, own.certificate, own.key)
                config = KmeConfig("metro", node, SAES, *files)
                running = await stack.enter_async_context(serve_kme(config, self.lab.keys_of_all))
                addresses[node] = KmeAddress(running.port, node, (sae,))
            write_addresses(path, addresses)
            self._up.set()
            await stop.wait()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="bw-") as home:
        monkeypatch.setenv("BELLWIRE_HOME", home)
        yield Path(home)


@pytest.fixture
def metro(home: Path) -> Iterator[UpLab]:
    with Registry().claim("metro") as directory, UpLab(directory) as up:
        yield up


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, words)])


def document(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert isinstance(told, dict)
    return told


def test_the_levels_of_all_pools_are_listed(metro: UpLab) -> None:
    told = document("ls", "-l", "metro")
    assert (told["schema"], told["lab"]) == ("bellwire.keys/1", "metro")
    assert told["pools"] == json.loads(
        json.dumps([asdict(replace(POOLS[0], stored_units=39)), asdict(POOLS[1])])
    )
    listed = run("ls")
    head, *rows = (line.split("\t") for line in listed.stdout.splitlines())
    assert [dict(zip(head, row, strict=True)) for row in rows[:2]] == [
        {
            "node": "north",
            "shared with": "dc",
            "from": "qkd, relay",
            "stored": "10.24 kbit",
            "units": "38",
            "reproducible": "0",
            "QBER": "3.12 %",
            "key rate": "1.5 kbit/s",
            "trouble": "-",
        },
        {
            "node": "dc",
            "shared with": "north",
            "from": "qkd",
            "stored": "10.5 kbit",
            "units": "41",
            "reproducible": "41",
            "QBER": "-",
            "key rate": "-",
            "trouble": "link-down",
        },
    ]
    assert rows[2:] == [
        ["node", "SAE", "KME", "delivered"],
        ["north", "vpn-north", "https://127.0.0.1:1", "3"],
        ["dc", "vpn-dc", "https://127.0.0.1:2", "2"],
    ]
    assert "can be computed from the lab's seed" in listed.stderr


def test_what_is_to_be_known_of_the_levels_is_said() -> None:
    north = replace(POOLS[0], stored_units=0, stored_bits=0, qber=None, secret_rate_bps=None)
    [nothing] = remarks([north])
    assert "no link makes keys by itself: 'bellwire qkd A B'" in nothing
    assert list(remarks([replace(north, trouble="no block yet")])) == []
    assert list(remarks(POOLS[:1])) == []
    [read] = remarks([replace(north, node="exchange", stored_units=1, read_bytes=2080)])
    assert read == "Node exchange is compromised: 2.08 kB of the keys that it has relayed were read there."


def test_a_terminal_shows_stores_and_kmes() -> None:
    console = Console(width=120, record=True, file=StringIO())
    console.print(tables(POOLS))
    shown = console.export_text()
    assert "Keys in store" in shown
    assert "https://127.0.0.1:2" in shown


def test_a_key_is_fetched_at_both_ends(metro: UpLab) -> None:
    made = document("get", "vpn-north", "vpn-dc", "-n", 2, "--size", 512, "--show")["keys"]
    assert [key["size_bits"] for key in made] == [512, 512]
    ids = [word for key in made for word in ("--id", key["key_id"])]
    assert document("get", "vpn-dc", "vpn-north", *ids, "--show")["keys"] == made
    again = run("get", "vpn-dc", "vpn-north", *ids)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "one or more keys specified are not found on KME (a key waits for the SAE" in again.stderr


def test_a_key_is_not_shown_without_being_asked_for(metro: UpLab) -> None:
    told = document("get", "vpn-north", "vpn-dc")["keys"]
    assert [key.keys() for key in told] == [{"key_id", "size_bits", "reproducible"}]
    plain = run("get", "vpn-north", "vpn-dc")
    assert len(plain.stdout.strip()) == 36
    assert "not shown" in plain.stderr
    assert "The same for vpn-dc: bellwire keys get vpn-dc vpn-north --id ID -l metro" in plain.stderr


@pytest.mark.parametrize("form", ["base64", "hex", "raw"])
def test_a_file_of_keys_is_for_its_owner_alone(metro: UpLab, tmp_path: Path, form: str) -> None:
    file = tmp_path / "keys"
    result = run("get", "vpn-north", "vpn-dc", "-n", 2, "--out", file, "--format", form)
    assert result.exit_code == 0, result.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ids = [word for key_id in result.stdout.split() for word in ("--id", key_id)]
    keys = [b64decode(key["key"]) for key in document("get", "vpn-dc", "vpn-north", *ids, "--show")["keys"]]
    expected = {
        "raw": b"".join(keys),
        "hex": b"".join(key.hex().encode() + b"\n" for key in keys),
        "base64": b"".join(b64encode(key) + b"\n" for key in keys),
    }
    assert file.read_bytes() == expected[form]


def test_a_file_that_is_there_is_kept_and_no_key_is_spent_on_it(metro: UpLab, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("precious")
    assert run("get", "vpn-north", "vpn-dc", "--out", file).exit_code == 2
    assert run("get", "vpn-north", "vpn-dc", "--out", tmp_path / "no" / "folder").exit_code == 2
    assert file.read_text() == "precious"
    assert metro.lab.keys_of_all.asked == []


def test_an_empty_store_leaves_no_file_behind(metro: UpLab, tmp_path: Path) -> None:
    result = run("get", "vpn-north", "vpn-dc", "-n", 6, "--out", tmp_path / "keys")
    assert result.exit_code == 9
    assert "the KME says: 6 units of key shared with node 'dc' are needed and 5 are stored" in result.stderr
    assert "'bellwire keys ls' shows what is in store" in result.stderr
    assert list(tmp_path.glob("keys*")) == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["get", "vpn-nroth", "vpn-dc"], 4, "unknown SAE 'vpn-nroth'; did you mean 'vpn-north'?"),
        (["get", "vpn-north", "nobody"], 4, "unknown SAE 'nobody'; write one of vpn-dc, vpn-north"),
        (["get", "north", "vpn-dc"], 4, "'north' is a node and no SAE; it serves vpn-north"),
        (["get", "vpn-north", "dc"], 4, "'dc' is a node and no SAE; it serves vpn-dc"),
        (["get", "vpn-dc", "vpn-dc"], 2, "shares keys with another one than itself; write vpn-north"),
        (["get", "vpn-north", "vpn-dc", "--size", 257], 2, "size shall be a multiple of 8"),
        (["get", "vpn-north", "vpn-dc", "--id", "x", "-n", 2], 2, "leave --number and --size out"),
        (["get", "vpn-north", "vpn-dc", "--format", "raw"], 2, "raw bytes are for a file"),
        (["curl", "vpn-north", "nobody"], 4, "unknown SAE 'nobody'; write one of vpn-dc, vpn-north"),
        (["curl", "vpn-dc", "vpn-dc"], 2, "shares keys with another one than itself; write vpn-north"),
        (["curl", "nobody"], 4, "unknown SAE 'nobody'"),
        (["ls", "-l", "nowhere"], 4, "no lab 'nowhere' is up"),
    ],
)
def test_a_mistake_is_told(metro: UpLab, words: list[object], code: int, message: str) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_a_lab_without_key_delivery_says_what_to_write(home: Path) -> None:
    with Registry().claim("bare"):
        result = run("curl", "vpn-north")
    assert result.exit_code == 4
    assert "services: {etsi014: {sae: [NAME]}}" in result.stderr


def test_a_kme_that_does_not_answer_is_told(home: Path) -> None:
    with Registry().claim("metro") as directory:
        Authority("metro", datetime.now(UTC)).issue(directory.path / "certificates", ["north"], ["vpn-north"])
        addresses = {"north": KmeAddress(1, "north", ("vpn-north",)), "dc": KmeAddress(2, "dc", ("vpn-dc",))}
        write_addresses(directory.path, addresses)
        result = run("get", "vpn-north", "vpn-dc")
    assert result.exit_code == 8
    assert "the KME at https://127.0.0.1:1 does not answer" in result.stderr
    assert "'bellwire ps metro' shows how node 'north' is" in result.stderr


def test_only_the_owner_may_read_where_the_kmes_are(home: Path) -> None:
    with Registry().claim("metro") as directory:
        addresses = {"north": KmeAddress(1, "kme-1", ("a", "b")), "dc": KmeAddress(2, "kme-2", ())}
        write_addresses(directory.path, addresses)
        file = directory.path / "keys" / "kme.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["north"] == {"port": 1, "kme_id": "kme-1", "saes": ["a", "b"]}
        assert KeyAccess(directory.path, "metro").addresses == addresses


@pytest.mark.processes
def test_the_printed_calls_work_in_a_shell(metro: UpLab) -> None:
    status, enc_keys, dec_keys = run("curl", "vpn-north").stdout.splitlines()
    assert dec_keys.endswith("dec_keys?key_ID=UUID'")

    def called(line: str) -> dict[str, Any]:
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=20, check=True)
        told = json.loads(done.stdout)
        assert isinstance(told, dict)
        return told

    assert called(status)["slave_SAE_ID"] == "vpn-dc"
    [made] = called(enc_keys)["keys"]
    collect = run("curl", "vpn-dc", "vpn-north").stdout.splitlines()[2]
    assert called(collect.replace("UUID", made["key_ID"]))["keys"] == [made]


def test_watching_prints_what_changes(metro: UpLab) -> None:
    lines = run("watch", "--every", 0.05, "-n", 3).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    assert [(row[0], row[4]) for row in rows if len(row) > 4] == [
        ("north", "39"),
        ("dc", "41"),
        ("north", "38"),
        ("north", "37"),
    ]
    assert [row for row in rows if len(row) == 4] == [
        ["north", "vpn-north", "https://127.0.0.1:1", "3"],
        ["dc", "vpn-dc", "https://127.0.0.1:2", "2"],
    ]


def test_watching_as_json_is_a_document_a_line(metro: UpLab) -> None:
    lines = run("watch", "--json", "--every", 0.05, "-n", 2).stdout.splitlines()
    documents = [json.loads(line) for line in lines]
    assert [each["schema"] for each in documents] == ["bellwire.keys/1"] * 2
    assert [each["pools"][0]["stored_units"] for each in documents] == [39, 38]
