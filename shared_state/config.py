"""What the quantum world of one lab consists of: plain frozen values, SI unless the name says otherwise.

``deploy.plan`` makes these from the lab file; the server receives them once, at start, and reads no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Literal

ClockMode = Literal["real-time", "virtual"]


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """The quantum memories of one node.

    ``t1`` and ``t2`` are the relaxation and the coherence time in seconds; infinity is an ideal memory.
    Physics requires ``t2 <= 2 t1``.
    """

    count: int = 8
    t1: float = inf
    t2: float = inf


@dataclass(frozen=True, slots=True)
class GateConfig:
    """The imperfections of one node's operations.

    ``single_fidelity`` F: after the gate the qubit is depolarised, rho -> (1-p) rho + p I/2 with p =
    4(1-F)/3, so that F is the gate's entanglement fidelity. ``two_fidelity`` g: both qubits are depolarised
    together, rho -> g U rho U^+ + (1-g) I/4 (Briegel et al. 1998). ``readout_fidelity``: probability that an
    outcome is reported as it was.
    """

    single_fidelity: float = 1.0
    two_fidelity: float = 1.0
    readout_fidelity: float = 1.0


@dataclass(frozen=True, slots=True)
class NodeDevices:
    """What one node holds."""

    memories: MemoryConfig = field(default_factory=MemoryConfig)
    gates: GateConfig = field(default_factory=GateConfig)


@dataclass(frozen=True, slots=True)
class FibreConfig:
    """A fibre: transmission 10^(-(attenuation length + insertion loss)/10), delay length / velocity."""

    length: float
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0
    velocity: float = 2.0e8


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """A heralded source of entangled pairs on a link.

    Scheme ``werner``: pairs w |Phi+><Phi+| + (1-w) I/4 with w = (4F-1)/3, delivered as a Poisson process of
    ``rate`` per second that starts when both ends have asked. All losses are included in ``rate``. The herald
    reaches both ends with the pair, so its age is zero at delivery.
    """

    scheme: Literal["werner"] = "werner"
    rate: float = 10_000.0
    fidelity: float = 1.0


@dataclass(frozen=True, slots=True)
class PulseConfig:
    """Single-photon pulses for prepare-and-measure protocols.

    ``misalignment`` is the probability that a detected photon gives the wrong outcome although the bases
    agree.
    """

    pulse_rate: float = 1.0e6
    detector_efficiency: float = 1.0
    misalignment: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkDevices:
    """A link between two nodes: one fibre, one pulse transmitter and receiver, and a source of pairs or none."""

    endpoints: tuple[str, str]
    fibre: FibreConfig
    source: SourceConfig | None = field(default_factory=SourceConfig)
    pulses: PulseConfig = field(default_factory=PulseConfig)


@dataclass(frozen=True, slots=True)
class TapConfig:
    """An eavesdropper on a fibre: measures ``fraction`` of the photons in a random basis and resends them.

    ``position`` is the distance from the link's first endpoint in metres.
    """

    link: str
    strategy: Literal["intercept-resend"] = "intercept-resend"
    fraction: float = 1.0
    position: float = 0.0
    enabled: bool = False


@dataclass(frozen=True, slots=True)
class ClockConfig:
    """How emulated time passes. ``scale``: emulated seconds per wall second, in real-time mode only."""

    mode: ClockMode = "virtual"
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The whole quantum world of a lab. ``seed`` None takes the dice from the operating system."""

    nodes: dict[str, NodeDevices]
    links: dict[str, LinkDevices]
    taps: dict[str, TapConfig] = field(default_factory=dict)
    clock: ClockConfig = field(default_factory=ClockConfig)
    max_qubits: int = 12
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One shared-state server: the world it holds, where it listens, and who may come in.

    ``credentials`` maps a node's name to its token, ``oracle_token`` opens the oracle role. ``lease`` is the
    wall time in seconds for which the qubits of a disconnected session are kept for its return.
    """

    lab: str
    world: WorldConfig
    credentials: dict[str, str]
    oracle_token: str
    host: str = "127.0.0.1"
    port: int = 0
    lease: float = 2.0
