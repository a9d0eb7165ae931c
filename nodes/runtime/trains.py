"""What a run's transmitter remembers of a train, as requests to the shared-state server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.trains import PulseSettings
from shared_state.client import NodeClient
from shared_state.deliveries import DrawnTrain


@dataclass(frozen=True, slots=True)
class SentTrain:
    """A ``nodes.trains.Train``: what this node sent under ``tag``."""

    client: NodeClient
    tag: str
    train: DrawnTrain

    async def tally(self) -> NDArray[np.int64]:
        """Return how many pulses had each intensity and basis."""
        return await self.client.tally(self.tag, self.train)

    async def recall(self, indices: NDArray[np.int64]) -> PulseSettings:
        """Return the settings of the pulses at ``indices``."""
        return PulseSettings(*await self.client.recall(self.tag, self.train, indices))
