"""Labs in memory in which alice and bob have a link that makes keys, and what is in store at its two ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nodes.agreement import LinkAgreement
from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES
from nodes.runtime.run_request import RunRequest
from shared_state.config import (
    ClockConfig,
    ClockMode,
    FibreConfig,
    LinkDevices,
    NodeDevices,
    PhotonPairSource,
    PulseConfig,
    SourceConfig,
    TapConfig,
    WorldConfig,
)

TWO = {"alice": "alice", "bob": "bob"}
LINK = "line"
EVE = "eve"
FOR_EVER = RunRequest("keys", TWO, rounds=0, deadline=60.0)


class Ends:
    """The key stores of alice and bob, as ``in_memory_lab`` takes them."""

    def __init__(self) -> None:
        self.stores: Mapping[str, KeyStore] = {name: KeyStore(None, name.encode().ljust(32)) for name in TWO}

    def units(self) -> tuple[int, int]:
        """Count what can be taken at either end."""
        return self.stores["alice"].level("bob").units, self.stores["bob"].level("alice").units

    def take_all(self) -> list[bytes]:
        """Take every unit at alice's end and the same ones at bob's; return them. Fail where the two differ."""
        count = self.units()[0]
        if not count:
            return []
        keys = []
        for taken in self.stores["alice"].take("bob", UNIT_BYTES, count):
            his = self.stores["bob"].redeem("alice", taken.units, UNIT_BYTES)
            assert his.secret.reveal() == taken.secret.reveal()
            assert his.reproducible == taken.reproducible
            keys.append(taken.secret.reveal())
        return keys


def world(
    protocol: str = "bb84",
    mode: ClockMode = "virtual",
    seed: int | None = 3,
    tap: Mapping[str, Any] | None = None,
) -> WorldConfig:
    """A link of 5 km with what the protocol takes, and a tap on it that is switched off."""
    source: SourceConfig | None = None
    pulses = PulseConfig(pulse_rate=1e6, misalignment=0.01)
    if protocol in ("bbm92", "e91"):
        source = PhotonPairSource(attempt_rate=10e6, pair_probability=0.05, fidelity=0.985, memories=False)
        pulses = PulseConfig(basis_probability=0.8)
    if protocol == "decoy-bb84":
        pulses = PulseConfig(100e6, (0.5, 0.15), (0.7, 0.3), basis_probability=0.7, misalignment=0.01)
    return WorldConfig(
        nodes={name: NodeDevices() for name in TWO},
        links={LINK: LinkDevices(("alice", "bob"), FibreConfig(5e3), source, pulses)},
        taps={EVE: TapConfig(LINK, **(tap or {}))},
        seed=seed,
        clock=ClockConfig(mode, 1.0),
    )


def agreed(
    protocol: str = "bb84", reconciliation: str = "ldpc", block: int = 20_000
) -> dict[str, LinkAgreement]:
    """What the two ends have agreed on, as ``in_memory_lab`` takes it."""
    pulses = world(protocol).links[LINK].pulses
    agreement = LinkAgreement(
        block=block,
        intensities=pulses.intensities,
        intensity_probabilities=pulses.intensity_probabilities,
        basis_probability=pulses.basis_probability,
        pulse_rate=pulses.pulse_rate,
    )
    return {LINK: replace(agreement, protocol=protocol, reconciliation=reconciliation)}  # type: ignore[arg-type]


def blocks(count: int) -> RunRequest:
    """Ask for so many blocks."""
    return RunRequest("keys", TWO, rounds=count, deadline=110.0)
