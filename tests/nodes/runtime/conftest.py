"""Worlds for labs in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

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
