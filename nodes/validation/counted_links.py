"""What the two ends of a link count in the quantum world, pulses or pairs, and what they should expect to count."""

from __future__ import annotations

from asyncio import TaskGroup
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from nodes.qkd.bbm92 import SAMPLE_EVERY
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.estimation import CheckedBasis
from nodes.qkd.expected_clicks import LinkParameters, Settings
from nodes.qkd.key_rates import EFFICIENCY
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoySource, Tallies
from shared_state.config import LinkDevices, NodeDevices
from shared_state.validation.table import RUN, Table, laid_out
from shared_state.world.fibre import transmission
from shared_state.world.heralding import scheme_of
from shared_state.world.schemes.scheme import Scheme


def parameters_of(devices: LinkDevices) -> LinkParameters:
    """Return the link's fibre and receiver, as the key rates know them."""
    light, receiver = devices.pulses, devices.pulses.detectors
    bins = light.encoding == "time-bin"
    return LinkParameters(
        transmission(devices.fibre),
        efficiency=receiver.efficiency,
        dark_count_probability=receiver.dark_count_probability,
        misalignment=light.misalignment,
        check_misalignment=(1 - light.visibility) / 2 if bins else None,
        check_share=0.5 if bins else 1.0,
        pulse_rate=light.pulse_rate,
        dead_time=receiver.dead_time,
        afterpulse_probability=receiver.afterpulse_probability,
    )


def settings_of(devices: LinkDevices) -> Settings:
    """Return what the link's transmitter and receiver choose. Raises ValueError where these are no decoy states."""
    light = devices.pulses
    source = DecoySource(light.intensities, light.intensity_probabilities)
    return Settings(source, light.basis_probability)


def clicks_per_pulse(link: LinkParameters, settings: Settings) -> float:
    """Return how often anything is expected to click, in either basis."""
    key, check = link.clicks(settings)
    q = settings.key_basis_probability
    return sum(
        p * (q * in_key + (1 - q) * in_check)
        for p, in_key, in_check in zip(
            settings.source.probabilities, key.detections, check.detections, strict=True
        )
    )


async def count_pulses(devices: LinkDevices, pulses: int, seed: int) -> tuple[int, Tallies]:
    """Send a train whose settings the devices draw; return how many clicks there were, and the tallies."""
    sender, receiver = devices.endpoints
    async with _alone(devices, seed) as table:
        train = await table.nodes[sender].emit_train(0.0, RUN, "link", pulses)
        seen = await table.nodes[receiver].measure_train(0.0, RUN, "link", pulses)
        sent = await table.nodes[sender].recall(RUN, train, seen.indices)
    wrong = sent.bits != seen.bits
    in_key, in_check = ((sent.bases == basis) & (seen.bases == basis) for basis in (0, 1))

    def counted(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
        levels = len(devices.pulses.intensities)
        return tuple(np.bincount(sent.intensities[chosen], minlength=levels).tolist())

    tallies = Tallies(counted(in_key), counted(in_check), counted(in_check & wrong), counted(in_key & wrong))
    return len(seen.indices), tallies


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Of ``pairs`` measured at both ends: outcomes where both measured Z, or X, and how many of these differ."""

    pairs: float
    in_z: float
    wrong_in_z: float
    in_x: float
    wrong_in_x: float

    @property
    def qber(self) -> float:
        """Return the error rate in Z."""
        return self.wrong_in_z / self.in_z

    def secret_bits(self, block: float, security: Security) -> float:
        """Return the secret bits of each pair, where a block of so many key bits is counted in these proportions."""
        key = self.in_z * (1 - 1 / SAMPLE_EVERY)
        scale = block / key
        evidence = CheckedBasis(
            key_bits=round(block),
            checks=round(scale * self.in_x),
            check_errors=round(scale * self.wrong_in_x),
            samples=round(scale * (self.in_z - key)),
            sample_errors=round(scale * self.wrong_in_z / SAMPLE_EVERY),
            security=security,
        )
        told = ceil(EFFICIENCY * block * binary_entropy(self.qber))
        return evidence.worth(told, ()).length / (scale * self.pairs)


def expected_pairs(devices: LinkDevices) -> PairCounts:
    """Return what is expected of one pair, from the state that the link's source heralds."""
    rho = _scheme(devices).state
    z, x = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    wrong = [(1 - float(np.trace(rho @ np.kron(axis, axis)).real)) / 2 for axis in (z, x)]
    q = devices.pulses.basis_probability
    in_z, in_x = q**2, (1 - q) ** 2
    return PairCounts(1, in_z, in_z * wrong[0], in_x, in_x * wrong[1])


def pair_rate(devices: LinkDevices) -> float:
    """Return how many pairs per second both ends see."""
    return 1 / _scheme(devices).process.mean


async def count_pairs(devices: LinkDevices, pairs: int, seed: int) -> PairCounts:
    """Measure pairs on arrival, in bases that the devices draw."""
    async with _alone(devices, seed) as table, TaskGroup() as group:
        ends = [
            group.create_task(table.nodes[end].measure_directly(0.0, RUN, "link", pairs))
            for end in devices.endpoints
        ]
    one, other = (end.result() for end in ends)
    wrong = one.bits != other.bits
    in_z, in_x = ((one.bases == basis) & (other.bases == basis) for basis in (0, 1))
    return PairCounts(pairs, *(int(chosen.sum()) for chosen in (in_z, in_z & wrong, in_x, in_x & wrong)))


def _alone(devices: LinkDevices, seed: int) -> AbstractAsyncContextManager[Table]:
    return laid_out({end: NodeDevices() for end in devices.endpoints}, {"link": devices}, seed)


def _scheme(devices: LinkDevices) -> Scheme:
    if devices.source is None:
        raise ValueError("a link without a source makes no pairs")
    return scheme_of(devices.source, devices.fibre)
