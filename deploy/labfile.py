"""What may be written in a lab file: its sections and keys, with their meaning, as pydantic models.

A section holds what was written and nothing more: ``deploy.resolution`` fills in the defaults. Values arrive
as texts (``deploy.source``) and are in SI units once read, but for losses, which stay in decibels.
A key that is left empty counts as not written.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deploy.fields import (
    Attenuation,
    Broker,
    Duration,
    Fraction,
    Length,
    Lifetime,
    Loss,
    MixedFidelity,
    Name,
    NodeName,
    Program,
    Rate,
    Velocity,
)
from shared_state.config import ClockMode


class Section(BaseModel):
    """A mapping with a closed set of keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, written: Any) -> Any:
        if not isinstance(written, dict):
            return written
        return {k: v for k, v in written.items() if v is not None or k not in cls.model_fields}

    def written(self) -> dict[str, Any]:
        """Return the keys that were written, with their values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def _key(meaning: str, example: Any, **constraints: Any) -> Any:
    return Field(default=None, description=meaning, examples=[example], **constraints)


def _required(meaning: str, example: Any) -> Any:
    return Field(description=meaning, examples=[example])


def _section(meaning: str, example: dict[str, Any], default: Section) -> Any:
    return Field(default=default, description=meaning, examples=[example])


def _table(meaning: str, example: dict[str, Any]) -> Any:
    return Field(default_factory=dict, description=meaning, examples=[example])


class MemoryKeys(Section):
    """The quantum memories of a node."""

    count: int | None = _key("How many qubits the node can hold at once. Default 8.", 8, ge=0, le=10_000)
    t1: Lifetime | None = _key(
        "Relaxation time: the population of |1> decays as exp(-t/t1). Default: ideal.", "10 s"
    )
    t2: Lifetime | None = _key(
        "Coherence time: off-diagonal elements decay as exp(-t/t2). At most 2 t1, which is also the default.",
        "1 s",
    )


class GateKeys(Section):
    """The imperfections of a node's operations. What is not written is perfect."""

    single_fidelity: MixedFidelity | None = _key(
        "Entanglement fidelity F of a one-qubit gate: rho -> (1-p) rho + p I/2 follows it, p = 4(1-F)/3.",
        0.999,
    )
    two_fidelity: Fraction | None = _key(
        "Weight g of the ideal two-qubit gate U: rho -> g U rho U^+ + (1-g) I/4 on the two qubits.", 0.99
    )
    readout_fidelity: Fraction | None = _key("Probability that a measured bit is reported as it was.", 0.995)


class Equipment(Section):
    """What a node is equipped with. Every single key: `defaults` < `kinds` < node."""

    memories: MemoryKeys = _section(
        "Quantum memories.", {"count": 8, "t1": "10 s", "t2": "1 s"}, MemoryKeys()
    )
    gates: GateKeys = _section("Operations on qubits.", {"two_fidelity": 0.99}, GateKeys())


class NodeKeys(Equipment):
    """One party of the lab."""

    kind: Name | None = _key(
        "A kind from `kinds`, whose equipment the node has, or one of endnode, repeater, trusted-node.",
        "repeater",
    )


class ClassicalKeys(Section):
    """The classical channel beside the fibre."""

    extra_delay: Duration | None = _key(
        "Time a message takes on top of length / velocity. Default 0 s.", "1 ms"
    )


class SourceKeys(Section):
    """A heralded source of entangled pairs on the link."""

    scheme: Literal["werner"] | None = _key(
        "Pairs w |Phi+><Phi+| + (1-w) I/4 with w = (4F-1)/3, delivered as a Poisson process.", "werner"
    )
    rate: Rate | None = _key("Pairs delivered per second, all losses included. Default 10 kHz.", "10 kHz")
    fidelity: MixedFidelity | None = _key(
        "Fidelity F = <Phi+|rho|Phi+> of a delivered pair. Default 1.", 0.97
    )


class DetectorKeys(Section):
    """The receiver's single-photon detectors."""

    efficiency: Fraction | None = _key(
        "Probability that a photon that arrives makes a click. Default 1.", 0.8
    )


class QkdKeys(Section):
    """Single-photon pulses for prepare-and-measure key distribution over the link's fibre."""

    protocol: Literal["bb84"] | None = _key("The protocol that the link speaks.", "bb84")
    pulse_rate: Rate | None = _key("Pulses emitted per second. Default 1 MHz.", "10 MHz")
    detectors: DetectorKeys = _section("Single-photon detectors.", {"efficiency": 0.8}, DetectorKeys())
    misalignment: Fraction | None = _key(
        "Probability that a detected photon gives the wrong bit although the bases agree. Default 0.", "1 %"
    )


class LinkKeys(Section):
    """A connection between two nodes: one fibre and a classical channel. Stated once, for both directions."""

    name: Name | None = _key(
        "Name of the link. Default: first endpoint, hyphen, second endpoint.", "north-hub"
    )
    endpoints: tuple[str, str] = _required("The two nodes it connects.", ["alice", "bob"])
    length: Length = _required("Length of the fibre.", "20 km")
    attenuation: Attenuation | None = _key(
        "Loss of the fibre per length: transmission 10^(-attenuation length / 10). Default 0.2 dB/km.",
        "0.2 dB/km",
    )
    fibre: Literal["spool", "deployed", "urban"] | None = _key(
        "Instead of attenuation: spool is 0.2 dB/km, deployed 0.32 dB/km, urban 0.5 dB/km.", "spool"
    )
    insertion_loss: Loss | None = _key("Loss of connectors and splices, once. Default 0 dB.", "1.5 dB")
    velocity: Velocity | None = _key("Speed of light in the fibre. Default 200000 km/s.", "200000 km/s")
    classical: ClassicalKeys = _section("The classical channel.", {"extra_delay": "1 ms"}, ClassicalKeys())
    source: SourceKeys = _section(
        "Source of entangled pairs.", {"rate": "10 kHz", "fidelity": 0.97}, SourceKeys()
    )
    qkd: QkdKeys = _section(
        "Pulses for key distribution.", {"protocol": "bb84", "pulse_rate": "10 MHz"}, QkdKeys()
    )


class TapKeys(Section):
    """An eavesdropper on the fibre of a link."""

    link: str = _required("Name of the link.", "alice-bob")
    at: Length | None = _key("Distance from the first endpoint. Default 0 km.", "10 km")
    strategy: Literal["intercept-resend"] | None = _key(
        "intercept-resend: measure the photon in a random one of the bases Z and X, send on what was found.",
        "intercept-resend",
    )
    fraction: Fraction | None = _key("Share of the photons that are attacked. Default 1.", "25 %")
    enabled: bool | None = _key("Whether it acts from the start. Default false.", False)


class AppKeys(Section):
    """A program, and who plays its roles."""

    program: Program = _required(
        "Name of a program, or path of a Python file relative to the lab file.", "teleport"
    )
    roles: dict[Name, str] = _table("The node that plays each role.", {"alice": "alice", "bob": "bob"})


class ClockKeys(Section):
    """How emulated time passes."""

    mode: ClockMode | None = _key(
        "real-time: with the wall clock; virtual: from event to event. Default: the command chooses.",
        "virtual",
    )
    scale: float | None = _key(
        "Emulated seconds per wall second, in real-time mode only. Default 1.", 1, gt=0, allow_inf_nan=False
    )


class RuntimeKeys(Section):
    """How the lab is run."""

    launcher: Literal["process"] | None = _key(
        "What each node runs as: an operating-system process.", "process"
    )
    broker: Broker | None = _key(
        "auto: Mosquitto if installed, else embedded; mqtt://host:port: one that is there. Default auto.",
        "auto",
    )
    clock: ClockKeys = _section("Emulated time.", {"mode": "virtual"}, ClockKeys())
    max_qubits: int | None = _key(
        "Largest number of qubits entangled with each other; the memory for n is 16 * 4^n bytes. Default 12.",
        12,
        ge=1,
        le=13,
    )


class LabFile(Section):
    """A Bellwire lab."""

    name: Name | None = _key("Name of the lab. Default: the file's name without its ending.", "metro")
    seed: int | None = _key(
        "Seed of all chance in the lab. Default: a new one each time.", 42, ge=0, lt=2**63
    )
    runtime: RuntimeKeys = _section("What the lab runs on.", {"broker": "auto"}, RuntimeKeys())
    defaults: Equipment = _section(
        "What every node is equipped with.", {"memories": {"count": 4}}, Equipment()
    )
    kinds: dict[Name, Equipment | None] = _table(
        "Equipment that nodes of one kind share.", {"repeater": {"memories": {"count": 8}}}
    )
    nodes: Annotated[dict[NodeName, NodeKeys | None], Field(min_length=1)] = _required(
        "The parties of the lab; a name alone is a node without imperfections.", {"alice": None, "bob": None}
    )
    links: tuple[LinkKeys, ...] = Field(
        default=(),
        description="The connections between nodes.",
        examples=[[{"endpoints": ["alice", "bob"], "length": "20 km"}]],
    )
    taps: dict[Name, TapKeys] = _table(
        "Eavesdroppers.", {"eve": {"link": "alice-bob", "at": "10 km", "enabled": False}}
    )
    apps: dict[Name, AppKeys] = _table(
        "Programs.", {"teleport": {"program": "teleport", "roles": {"alice": "alice", "bob": "bob"}}}
    )
