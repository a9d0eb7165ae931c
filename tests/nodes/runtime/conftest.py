"""Worlds for labs in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from shared_state.config import (
    ClockConfig,
    ClockMode,
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    WernerSource,
    WorldConfig,
)

Chain = Callable[..., WorldConfig]

_COURIERS = """
from __future__ import annotations
from nodes.ports import Clock, Peer
from dataclasses import dataclass

@dataclass(frozen=True)
class Letter:
    number: int
    sent_at: float

async def alice(bob: Peer, clock: Clock, letters: int = 20, pause: float = 0.001):
    for number in range(letters):
        await bob.send(Letter(number, clock.now()))
        await clock.sleep(pause)

async def bob(alice: Peer, clock: Clock, letters: int = 20, pause: float = 0.001):
    received = [(await alice.receive(Letter), clock.now()) for _ in range(letters)]
    return {
        "numbers": [letter.number for letter, _ in received],
        "times": [now for _, now in received],
        "sent": [letter.sent_at for letter, _ in received],
    }
"""


@pytest.fixture
def chain() -> Chain:
    """Make a world of nodes in a row, all alike, with a link between neighbours."""

    def make(
        *names: str,
        fidelity: float = 1.0,
        memories: MemoryConfig | None = None,
        gates: GateConfig | None = None,
        length: float = 10_000.0,
        seed: int = 1,
        mode: ClockMode = "virtual",
        scale: float = 1.0,
    ) -> WorldConfig:
        devices = NodeDevices(memories or MemoryConfig(), gates or GateConfig())
        return WorldConfig(
            nodes=dict.fromkeys(names, devices),
            links={
                f"{first}-{second}": LinkDevices(
                    (first, second), FibreConfig(length), WernerSource(fidelity=fidelity)
                )
                for first, second in pairwise(names)
            },
            seed=seed,
            clock=ClockConfig(mode, scale),
        )

    return make


@pytest.fixture
def couriers(tmp_path: Path) -> str:
    """Write a program in which Alice sends letters to Bob, one every ``pause`` seconds; return its file."""
    file = tmp_path / "couriers.py"
    file.write_text(_COURIERS)
    return str(file)
