"""The way of light through a link: stretches of fibre with the enabled taps between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from shared_state.config import FibreConfig, LinkDevices
from shared_state.engine.joint_state import JointState
from shared_state.world.fibre import delay, transmission
from shared_state.world.pulses import PulseTrain, propagate
from shared_state.world.taps import Tap, cut

DARK_DB: Final = 1e6
"""The loss of a fibre that is cut: its transmission, 10^-100000, is no float but 0."""


@dataclass(frozen=True, slots=True)
class Path:
    """One direction of a link: (fibre, tap at its end) per stretch; the last stretch ends at the receiver."""

    stretches: tuple[tuple[FibreConfig, Tap | None], ...]
    delay: float
    rng: np.random.Generator

    def carry_qubit(self, state: JointState, label: int) -> bool:
        """Send a qubit through; tell whether it arrives. One that does not is left in the state."""
        for fibre, tap in self.stretches:
            if not self.rng.random() < transmission(fibre):
                return False
            if tap is not None and not tap.meet_qubit(state, label):
                return False
        return True

    def carry_pulses(self, train: PulseTrain) -> PulseTrain:
        """Send a train of pulses through."""
        for fibre, tap in self.stretches:
            train = propagate(train, fibre, self.rng)
            if tap is not None:
                train = tap.meet_pulses(train)
        return train


def darkened(devices: LinkDevices) -> LinkDevices:
    """Return the link with its fibre cut at both ends: no light comes through, and none gets as far as a tap."""
    return replace(devices, fibre=replace(devices.fibre, insertion_loss_db=DARK_DB))


def path_of(devices: LinkDevices, sender: str, taps: Mapping[str, Tap], rng: np.random.Generator) -> Path:
    """Return the path from ``sender`` to the link's other end, past ``taps``, whatever order they come in."""
    fibre = devices.fibre
    # a tap's position counts from the first endpoint
    forward = sender == devices.endpoints[0]
    positions = {name: tap.config.position for name, tap in taps.items()}
    distances = {name: at if forward else fibre.length - at for name, at in positions.items()}
    order = sorted(distances, key=lambda name: (distances[name], name))
    ends = [*(taps[name] for name in order), None]
    stretches = cut(fibre, [distances[name] for name in order])
    return Path(tuple(zip(stretches, ends, strict=True)), delay(fibre), rng)
