"""What a key management entity delivers: calls per second over mutual TLS 1.3, each key taken from stores on the disk.

    python -m tests.benchmarks.bench_kme --seconds 3 --concurrency 8

Two key managers in one process, with a store each, share the keys; one SAE calls from another process over as many
connections as are asked for, which it keeps. ``enc_keys`` writes to both stores and ``dec_keys`` to one before they
answer, ``status`` to none. Beside them stand what these cannot beat: the same server without a key manager, and
one take from a store without a server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import secrets
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Final

import aiohttp

from deploy.certificates import Certificates
from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES
from nodes.runtime.kme_config import KmeTls
from tests.nodes.keys.drawn_keys import DrawnKeys
from tests.nodes.runtime.kme_lab import client_tls, kme_lab, two_kmes

MASTER, SLAVE = "vpn-north", "vpn-dc"
UNITS: Final = 100_000

Calls = Callable[[aiohttp.ClientSession], Awaitable[None]]


def serve(directory: Path, tls: KmeTls, ready: Connection) -> None:
    """Serve in a process of its own until the other end of ``ready`` is closed; tell the ports first."""

    async def until_told() -> None:
        async with (
            two_kmes(directory, tls, UNITS) as kmes,
            kme_lab(directory / "floor", Endless(), tls) as floor,
        ):
            ready.send((kmes["north"].port, kmes["dc"].port, floor.port))
            await asyncio.to_thread(ready.poll, None)

    asyncio.run(until_told())


class Endless(DrawnKeys):
    """A key manager that does nothing but draw random numbers."""

    def __init__(self) -> None:
        super().__init__(stored=2**31)


async def rate(
    certificates: Path, sae: str, port: int, calls: Calls, seconds: float, concurrency: int
) -> float:
    """Call over and over from so many connections; return the calls per second."""
    files = Certificates(certificates)
    context = client_tls(files, files.sae(sae))
    done = 0
    connector = aiohttp.TCPConnector(ssl=context, limit=concurrency)
    async with aiohttp.ClientSession(
        f"https://127.0.0.1:{port}/api/v1/keys/", connector=connector
    ) as session:
        await asyncio.gather(*(calls(session) for _ in range(concurrency)))  # handshakes
        end = perf_counter() + seconds

        async def worker() -> None:
            nonlocal done
            while perf_counter() < end:
                await calls(session)
                done += 1

        began = perf_counter()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return done / (perf_counter() - began)


async def ask_status(session: aiohttp.ClientSession) -> None:
    async with session.get(f"{SLAVE}/status") as response:
        assert response.status == 200, await response.text()
        await response.read()


class Keys:
    """Calls for keys, whose IDs are remembered."""

    def __init__(self, number: int = 1) -> None:
        self._number = number
        self._ids: list[str] = []

    async def encrypt(self, session: aiohttp.ClientSession) -> None:
        """Get keys as the master."""
        async with session.get(f"{SLAVE}/enc_keys?number={self._number}") as response:
            assert response.status == 200, await response.text()
            self._ids += [key["key_ID"] for key in (await response.json())["keys"]]

    async def decrypt(self, session: aiohttp.ClientSession) -> None:
        """Get one of them as the slave."""
        async with session.get(f"{MASTER}/dec_keys?key_ID={self._ids.pop()}") as response:
            assert response.status == 200, await response.text()
            await response.read()


def takes(directory: Path, seconds: float) -> float:
    """Take units one by one from a store on the disk; return how many in a second."""
    with closing(KeyStore(directory / "bare.keys", secrets.token_bytes(32))) as store:
        store.deposit("dc", "block", secrets.token_bytes(UNIT_BYTES * UNITS), "qkd", reproducible=False)
        done, began = 0, perf_counter()
        while perf_counter() < began + seconds:
            store.take("dc", 32)
            done += 1
        return done / (perf_counter() - began)


async def measure(
    directory: Path, ports: tuple[int, int, int], seconds: float, concurrency: int
) -> dict[str, float]:
    """Measure all calls."""
    north, dc, floor = ports
    single, tens = Keys(), Keys(10)

    async def of(
        sae: str, port: int, calls: Calls, duration: float = seconds, home: Path = directory
    ) -> float:
        return await rate(home, sae, port, calls, duration, concurrency)

    rates = {
        "status_hz": await of(MASTER, north, ask_status),
        "bare_status_hz": await of(MASTER, floor, ask_status, home=directory / "floor"),
        "enc_keys_hz": await of(MASTER, north, single.encrypt),
        "bare_enc_keys_hz": await of(MASTER, floor, Keys().encrypt, home=directory / "floor"),
    }
    rates["enc_keys_in_tens_hz"] = 10 * await of(MASTER, north, tens.encrypt)
    rates["dec_keys_hz"] = await of(SLAVE, dc, tens.decrypt)
    return rates


def bench(tls: KmeTls, seconds: float, concurrency: int) -> dict[str, float]:
    """Start a server, measure, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        server = context.Process(target=serve, args=(directory, tls, there))
        server.start()
        try:
            there.close()
            rates = asyncio.run(measure(directory, here.recv(), seconds, concurrency))
        finally:
            here.close()
            server.join()
        return rates | {"takes_hz": takes(directory, seconds)}


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--tls", choices=["classical", "post-quantum"], default="classical")
    arguments = parser.parse_args()
    rates = bench(arguments.tls, arguments.seconds, arguments.concurrency)
    ratios = {
        "status_of_bare": rates["status_hz"] / rates["bare_status_hz"],
        "enc_keys_of_bare": rates["enc_keys_hz"] / rates["bare_enc_keys_hz"],
        "enc_keys_of_takes": rates["enc_keys_hz"] / rates["takes_hz"],
    }
    sys.stdout.write(json.dumps({"tls": arguments.tls, **rates, **ratios}, indent=2) + "\n")


if __name__ == "__main__":
    main()
