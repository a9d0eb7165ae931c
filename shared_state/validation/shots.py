"""One experiment with pulses of light: a train, its fibre, perhaps an eavesdropper, and who listens."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared_state.config import FibreConfig, LinkDevices, NodeDevices, PulseConfig, TapConfig
from shared_state.validation.table import RUN, laid_out

PULSES = 1_000_000
SINGLE_PHOTONS = 100_000


@dataclass(frozen=True, slots=True)
class Shot:
    """What was sent and seen: arrays of one element per pulse."""

    bits: NDArray[np.uint8]
    intensities: NDArray[np.uint8]
    clicked: NDArray[np.uint8]
    received: NDArray[np.uint8]

    def clicks(self, intensity: int = 0) -> tuple[int, int]:
        """Return how many of the pulses of this intensity clicked, and how many there were."""
        sent = self.intensities == intensity
        return int(self.clicked[sent].sum()), int(sent.sum())

    def errors(self, intensity: int = 0) -> tuple[int, int]:
        """Return how many of the clicks of this intensity had the wrong bit, and how many there were."""
        seen = (self.intensities == intensity) & (self.clicked == 1)
        return int((self.bits != self.received)[seen].sum()), int(seen.sum())


@dataclass(frozen=True, slots=True)
class Setting:
    """One experiment: the light, its fibre, and who listens."""

    pulses: PulseConfig
    fibre: FibreConfig = field(default_factory=lambda: FibreConfig(0.0))
    tap: TapConfig | None = None
    basis: int = 0
    count: int = SINGLE_PHOTONS
    spacing: int = 0
    """Only each so-manyth pulse has the first intensity, the others have the last; 0 draws them by lot."""


async def shoot(setting: Setting, seed: int) -> Shot:
    """Send random bits in one basis and measure them in the same."""
    rng = np.random.default_rng([seed, setting.count])
    levels = max(1, len(setting.pulses.intensities))
    bits = rng.integers(0, 2, setting.count, dtype=np.uint8)
    intensities = rng.integers(0, levels, setting.count, dtype=np.uint8)
    if setting.spacing:
        intensities = np.where(np.arange(setting.count) % setting.spacing, levels - 1, 0).astype(np.uint8)
    bases = np.full(setting.count, setting.basis, dtype=np.uint8)
    link = LinkDevices(("alice", "bob"), setting.fibre, None, setting.pulses)
    taps = {"eve": setting.tap} if setting.tap else {}
    nodes = {"alice": NodeDevices(), "bob": NodeDevices()}
    async with laid_out(nodes, {"link": link}, seed, taps=taps) as table:
        chosen = intensities if setting.pulses.intensities else None
        await table.nodes["alice"].emit_pulses(0.0, RUN, "link", bits, bases, chosen)
        seen = await table.nodes["bob"].measure_pulses(0.0, RUN, "link", bases)
    return Shot(bits, intensities, seen.clicked, seen.bits)
