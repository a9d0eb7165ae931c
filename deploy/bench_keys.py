"""How much key a metropolitan link makes in real time over real processes, and what each stage of it can do at best.

The link is that of the lab ``metro-megabit``, with all its stages, its key stores and its KMEs running. The stages are
measured by themselves, one after the other in this process, on blocks like the link's: bits per second of
processor time, of both ends together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deploy.key_links import KeyLinkStatus
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.registry import Registry
from deploy.topology import find, load
from nodes.agreement import LinkAgreement
from nodes.keys.store import KeyStore
from nodes.ports import Bits, Coin, Peer
from nodes.qkd import amplification, cascade, ldpc, sifting_codec, verification
from nodes.runtime.coin import make_coin
from nodes.runtime.mailboxes import mailboxes

LAB: Final = "metro-megabit"
STAGE_BITS: Final = 1_000_000
QBER: Final = 0.005
_CLICK_SHARE: Final = 0.043
"""Clicks per pulse of the lab; of these the next share is sifted for the key, and either end chooses Z so often."""
_SIFTED_SHARE: Final = 0.75
_Z_SHARE: Final = 0.864
_WARM_UP: Final = 2
"""Blocks that do not count: compiled kernels are loaded meanwhile."""
_LONGEST_BLOCK: Final = 60.0


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """What the link made while it was watched. Rates in bits per wall second, which is an emulated one.

    ``cores``: processor seconds per wall second of each process. ``lag_s``: how late the nodes were, 99 of 100 times.
    """

    secret_bps: float
    sifted_bps: float
    qber: float
    blocks: int
    watched_s: float
    cores: dict[str, float]
    lag_s: dict[str, float]


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage: ``bps`` bits per second of one core, ``of`` which kind; ``share``: of a core, on the link."""

    stage: str
    of: str
    bps: float
    share: float


async def link_figures(seconds: float, broker: str) -> LinkFigures:
    """Watch the link for ``seconds`` at least, from the end of one block to that of another."""
    planned = replace(plan(load(find(LAB)), mode="real-time"), broker=broker)
    with Registry().scratch() as directory:
        async with Laboratory(planned, directory) as lab:
            first = await _status_after(lab, _WARM_UP)
            began, busy = time.monotonic(), _processor_time(lab)
            last, watched = first, 0.0
            while watched < seconds:
                last = await _status_after(lab, last.blocks + 1)
                watched = time.monotonic() - began
            spent = {name: used - busy.get(name, 0.0) for name, used in _processor_time(lab).items()}
            lags = {each.name: each.lag.p99 for each in lab.status() if each.lag is not None}
    blocks = last.blocks - first.blocks
    agreed = next(iter(planned.nodes.values())).links[0].qkd
    return LinkFigures(
        secret_bps=(last.secret_bits - first.secret_bits) / watched,
        sifted_bps=blocks * agreed.block / watched,
        qber=last.qber or 0.0,
        blocks=blocks,
        watched_s=watched,
        cores={name: used / watched for name, used in spent.items()},
        lag_s=lags,
    )


async def stage_figures(sifted_bps: float) -> list[StageFigures]:
    """Measure every stage on ``STAGE_BITS`` bits; shares are those of a link that sifts ``sifted_bps``."""
    coin = make_coin(1, "bench")
    alice = coin.bits(STAGE_BITS)
    bob = alice ^ coin.bits(STAGE_BITS, QBER)
    length, clicks = STAGE_BITS // 3, _clicks()

    def share(bits_per_sifted_bit: float, bps: float) -> float:
        return sifted_bps * bits_per_sifted_bit / bps

    measured = [
        ("sifting messages", "sifted bits", STAGE_BITS, 1.0, lambda: _sift(*clicks)),
        ("LDPC", "sifted bits", STAGE_BITS, 1.0, lambda: _reconcile(ldpc, alice, bob, coin)),
        ("Cascade", "sifted bits", STAGE_BITS, 1.0, lambda: _reconcile(cascade, alice, bob, coin)),
        ("verification", "sifted bits", STAGE_BITS, 1.0, lambda: _verify(alice, coin)),
        ("privacy amplification", "sifted bits in", STAGE_BITS, 1.0, lambda: _amplify(alice, length, coin)),
        ("key store, deposits", "secret bits", length, 1 / 3, lambda: _store(coin.secret(length // 8))),
    ]
    figures = []
    for stage, of, bits, per_sifted_bit, work in measured:
        bps = bits / min([await _processor_seconds(work) for _ in range(3)])
        figures.append(StageFigures(stage, of, bps, share(per_sifted_bit, bps)))
    return figures


async def _status_after(lab: Laboratory, blocks: int) -> KeyLinkStatus:
    """Wait until the link has made so many blocks; raise ``TimeoutError`` when none comes for a long time."""
    async with asyncio.timeout(_LONGEST_BLOCK):
        while True:
            (status,) = lab.key_links()
            if status.blocks >= blocks:
                return status
            await lab.key_links_changed()


def _processor_time(lab: Laboratory) -> dict[str, float]:
    """Return the processor seconds of each process so far; nothing where the system does not tell."""
    spent = {}
    for status in lab.status():
        try:
            fields = Path(f"/proc/{status.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent[status.name] = (int(fields[11]) + int(fields[12])) / 100.0
    return spent


async def _processor_seconds(work: Callable[[], Awaitable[Any]]) -> float:
    began = time.process_time()
    await work()
    return time.process_time() - began


async def _both(alice: Callable[[Peer], Awaitable[object]], bob: Callable[[Peer], Awaitable[object]]) -> None:
    to_bob, to_alice = mailboxes()
    await asyncio.gather(alice(to_bob), bob(to_alice))


def _clicks() -> tuple[NDArray[np.int64], Bits, int]:
    """Draw clicks of which ``STAGE_BITS`` sifted bits are left: their pulses, their bases, and of how many pulses."""
    clicks = int(STAGE_BITS / _SIFTED_SHARE)
    pulses, rng = int(clicks / _CLICK_SHARE), np.random.default_rng(1)
    indices = np.unique(rng.integers(0, pulses, clicks))
    return indices, (rng.random(len(indices)) > _Z_SHARE).astype(np.uint8), pulses


async def _sift(indices: NDArray[np.int64], bases: Bits, pulses: int) -> None:
    """Encode and decode where clicks were, and in which bases."""
    sent = sifting_codec.encode_indices(indices, pulses)
    sifting_codec.decode_indices(sent, len(indices), pulses)
    sifting_codec.decode_marks(sifting_codec.encode_marks(bases), len(bases))


async def _reconcile(engine: Any, alice: Bits, bob: Bits, coin: Coin) -> None:
    await _both(
        lambda peer: engine.answer(alice, QBER, peer, coin),
        lambda peer: engine.correct(bob, QBER, peer, coin),
    )


async def _verify(key: Bits, coin: Coin) -> None:
    failure = LinkAgreement().correctness
    await _both(
        lambda peer: verification.verify_as_alice(key, failure, peer, coin),
        lambda peer: verification.verify_as_bob(key, failure, peer),
    )


async def _amplify(key: Bits, length: int, coin: Coin) -> None:
    await _both(
        lambda peer: amplification.amplify_as_alice(key, length, peer, coin),
        lambda peer: amplification.amplify_as_bob(key, length, peer),
    )


async def _store(key: bytes) -> None:
    """Deposit a block's key in two stores on the disk."""
    with Registry().scratch() as directory:
        for name in ("one", "two"):
            store = KeyStore(directory / f"{name}.sqlite", bytes(32))
            store.deposit("peer", "block", key, "qkd", False)
            store.close()
