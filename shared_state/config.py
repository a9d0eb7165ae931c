"""What the quantum world of one lab consists of: plain frozen values, SI unless the name says otherwise.

``deploy.plan`` makes these from the lab file; the server receives them once, at start, and reads no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Literal, TypeAlias

from shared_state.ranges import InRange, require
from shared_state.tls import TlsIdentity

ClockMode = Literal["real-time", "virtual"]


@dataclass(frozen=True, slots=True)
class MemoryConfig(InRange):
    """One kind of quantum memory of one node. Times in seconds; infinity is ideal.

    ``t1`` and ``t2``: relaxation and coherence time, physics requires ``t2 <= 2 t1``. ``dephasing`` says how the
    coherence falls with the time t since the qubit was stored: ``markovian`` e^(-t/T2), ``gaussian``
    e^(-(t/T2)^2) with T1 infinite, the shape of slow noise, which depends on when storage began.
    ``depolarising_time`` tau: rho -> e^(-t/tau) rho + (1 - e^(-t/tau)) I/2, beside T1 and T2.
    ``initialisation_fidelity`` F: a qubit made here is |0> depolarised with p = 2(1-F).
    ``cutoff``: after so long in one memory a qubit is discarded and both holders of its pair are told.
    ``attempt_dephasing`` p: every attempt of this node at entanglement dephases each qubit stored here,
    rho -> (1-p) rho + p Z rho Z; after N_1/e attempts with p = (1 - e^(-1/N_1/e))/2 the coherence is 1/e.
    """

    count: int = 8
    t1: float = inf
    t2: float = inf
    dephasing: Literal["markovian", "gaussian"] = "markovian"
    depolarising_time: float = inf
    initialisation_fidelity: float = 1.0
    cutoff: float = inf
    attempt_dephasing: float = 0.0

    def __post_init__(self) -> None:
        InRange.__post_init__(self)
        require(self.t2 <= 2 * self.t1, f"T2 = {self.t2} s is more than twice T1 = {self.t1} s.")


@dataclass(frozen=True, slots=True)
class GateConfig(InRange):
    """The imperfections of one node's operations.

    ``single_fidelity`` F: after the gate the qubit is depolarised, rho -> (1-p) rho + p I/2 with p =
    4(1-F)/3, so that F is the gate's entanglement fidelity. ``two_fidelity`` is read as ``two_qubit_noise``
    says: ``joint``, the weight g of rho -> g U rho U^+ + (1-g) I/4 (Briegel et al. 1998), or ``each``, where both
    qubits are depolarised on their own and F = (1-3p/4)^2 is the entanglement fidelity of the gate.
    ``readout_error_0`` is the probability that a 0 is reported as 1, ``readout_error_1`` that a 1 is as 0.
    ``bell_success``: the probability that a Bell measurement tells anything, 1/2 at most with linear optics and no
    further photons; both qubits are gone in any case.

    Durations in seconds: the qubits are busy and their holder's clock goes on by so much. An operation acts
    when it begins. A Bell measurement takes a two-qubit gate and a readout.
    """

    single_fidelity: float = 1.0
    two_fidelity: float = 1.0
    two_qubit_noise: Literal["joint", "each"] = "joint"
    readout_error_0: float = 0.0
    readout_error_1: float = 0.0
    bell_success: float = 1.0
    single_duration: float = 0.0
    two_duration: float = 0.0
    readout_duration: float = 0.0
    initialisation_duration: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeDevices:
    """What one node holds.

    Pairs arrive in ``memories``; where there is ``storage``, too, qubits can be moved there and back (carbon
    spins beside the electron of an NV centre), each move a two-qubit gate.
    """

    memories: MemoryConfig = field(default_factory=MemoryConfig)
    gates: GateConfig = field(default_factory=GateConfig)
    storage: MemoryConfig | None = None


@dataclass(frozen=True, slots=True)
class FibreConfig(InRange):
    """A fibre: transmission 10^(-(attenuation length + insertion loss)/10), delay length / velocity."""

    length: float
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0
    velocity: float = 2.0e8


@dataclass(frozen=True, slots=True)
class WernerSource(InRange):
    """An abstract source: pairs w |Phi+><Phi+| + (1-w) I/4 with w = (4F-1)/3, F = ``fidelity``.

    Delivered as a Poisson process of ``rate`` per second that starts when both ends have asked. All losses are
    included in ``rate``. The herald reaches both ends with the pair, so its age is zero at delivery.
    """

    scheme: Literal["werner"] = "werner"
    rate: float = 10_000.0
    fidelity: float = 1.0


@dataclass(frozen=True, slots=True)
class SingleClickSource(InRange):
    """Entanglement by one click: each end emits with the bright-state population alpha towards a midpoint.

    Where two numbers are given, they are the first and the second endpoint's. ``emission``: probability that a
    bright attempt's photon is emitted, collected and would be detected without fibre. ``visibility`` V of the
    two-photon interference: the coincidences of two photons fall to (1-V)/2. ``dark_count_probability`` per
    detector and attempt. ``phase_deviation`` sigma in radians: coherence times e^(-sigma^2/2).
    ``double_excitation`` p: each spin is dephased with probability p/2. ``midpoint`` is the distance of the
    heralding station from the first endpoint in metres, None the middle. ``attempt_rate`` per second; without
    ``multiplexed`` an attempt waits for the herald of the one before, where that takes longer.

    The heralded state is reported in the frame of Phi+: both ends know which detector clicked.
    """

    scheme: Literal["single-click"] = "single-click"
    attempt_rate: float = 100_000.0
    alpha: tuple[float, float] = (0.1, 0.1)
    emission: tuple[float, float] = (1.0, 1.0)
    visibility: float = 1.0
    dark_count_probability: float = 0.0
    phase_deviation: float = 0.0
    double_excitation: float = 0.0
    midpoint: float | None = None
    multiplexed: bool = False


@dataclass(frozen=True, slots=True)
class DoubleClickSource(InRange):
    """Entanglement by two clicks (Barrett and Kok 2005; polarisation or time-bin qubits): p = eta_A eta_B / 2.

    The fields are those of ``SingleClickSource``; ``dark_count_probability`` per detector and time bin.
    """

    scheme: Literal["double-click"] = "double-click"
    attempt_rate: float = 100_000.0
    emission: tuple[float, float] = (1.0, 1.0)
    visibility: float = 1.0
    dark_count_probability: float = 0.0
    midpoint: float | None = None
    multiplexed: bool = False


@dataclass(frozen=True, slots=True)
class PhotonPairSource(InRange):
    """A source of entangled photon pairs at ``midpoint`` (metres from the first endpoint; None the middle).

    Every attempt emits a pair with ``pair_probability``, in the Werner state of fidelity ``fidelity`` with Phi+.
    ``emission``: probability that a photon which reaches this end is absorbed and heralded (memories) or detected.
    ``dark_count_probability``: that an end heralds an attempt without a photon; its qubit is then I/2.
    An attempt succeeds when both ends herald. ``memories`` false: photons are measured on arrival and never
    stored, so pairs can only be measured directly.
    """

    scheme: Literal["pair-source"] = "pair-source"
    attempt_rate: float = 1_000_000.0
    pair_probability: float = 1.0
    fidelity: float = 1.0
    emission: tuple[float, float] = (1.0, 1.0)
    dark_count_probability: float = 0.0
    midpoint: float | None = None
    memories: bool = True
    multiplexed: bool = True


SourceConfig: TypeAlias = WernerSource | SingleClickSource | DoubleClickSource | PhotonPairSource
"""A heralded source of entangled pairs on a link."""


@dataclass(frozen=True, slots=True)
class DetectorConfig(InRange):
    """The receiver's single-photon detectors, one for each outcome.

    ``efficiency``: probability that a photon which arrives makes a click. ``dark_count_probability`` per
    detector and pulse. ``dead_time`` in seconds: after a click the receiver is blind for so long.
    ``afterpulse_probability``: that a click is followed by one without a photon, in a random detector, in the
    first pulse after the dead time.
    """

    efficiency: float = 1.0
    dark_count_probability: float = 0.0
    dead_time: float = 0.0
    afterpulse_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class PulseConfig(InRange):
    """Light pulses for prepare-and-measure protocols.

    ``intensities``: the mean photon numbers mu that a pulse can have; with a random phase its photon number is
    Poissonian, e^-mu mu^n / n!. Empty: ideal single photons. ``intensity_probabilities`` and
    ``basis_probability`` (of Z) hold where the devices draw the settings themselves.

    ``encoding`` polarisation: ``misalignment`` is the probability that a photon goes to the wrong detector
    although the bases agree, in both bases. ``time-bin``: Z is the time of arrival, with ``misalignment``; X
    is the phase, seen by an interferometer of ``visibility`` V, wrong with probability (1-V)/2; half of the
    light measured in X falls into the side peaks and is lost.
    """

    pulse_rate: float = 1.0e6
    intensities: tuple[float, ...] = ()
    intensity_probabilities: tuple[float, ...] = ()
    basis_probability: float = 0.5
    encoding: Literal["polarisation", "time-bin"] = "polarisation"
    misalignment: float = 0.0
    visibility: float = 1.0
    detectors: DetectorConfig = field(default_factory=DetectorConfig)

    def __post_init__(self) -> None:
        InRange.__post_init__(self)
        shares = self.intensity_probabilities
        fit = len(shares) == len(self.intensities) and abs(sum(shares) - 1) < 1e-6
        require(not shares or fit, f"the intensities {self.intensities} have the probabilities {shares}.")


@dataclass(frozen=True, slots=True)
class LinkDevices:
    """A link between two nodes: one fibre, one pulse transmitter and receiver, and a source of pairs or none."""

    endpoints: tuple[str, str]
    fibre: FibreConfig
    source: SourceConfig | None = field(default_factory=WernerSource)
    pulses: PulseConfig = field(default_factory=PulseConfig)

    def __post_init__(self) -> None:
        midpoint, length = getattr(self.source, "midpoint", None), self.fibre.length
        require(midpoint is None or midpoint <= length, f"{midpoint} m is no midpoint of a {length} m fibre.")

    @property
    def stores_pairs(self) -> bool:
        """Tell whether a source makes pairs on the link that memories keep."""
        return self.source is not None and getattr(self.source, "memories", True)


@dataclass(frozen=True, slots=True)
class TapConfig(InRange):
    """An eavesdropper on a fibre, ``position`` metres from the link's first endpoint.

    ``intercept-resend`` measures ``fraction`` of the pulses in ``basis`` and sends on what was found;
    ``photon-number-splitting`` keeps one photon of ``fraction`` of those pulses that have several, and blocks the
    share ``blocking`` of those that have one; ``beam-splitting`` takes the share ``fraction`` of the light
    out of every pulse.

    The photons by which a source makes pairs are pulses of one photon. One from a pair source in the fibre meets the
    taps between the source and its end, one that is sent to a heralding station those between its end and the station;
    of a ``WernerSource`` one photon of each pair meets all taps. A single-click photon is there or not, and that is
    its state: whoever measures it, in any basis, or its number, finds out which end has emitted, and loses or
    resends it accordingly.
    """

    link: str
    strategy: Literal["intercept-resend", "photon-number-splitting", "beam-splitting"] = "intercept-resend"
    fraction: float = 1.0
    basis: Literal["random", "X", "Y", "Z"] = "random"
    blocking: float = 0.0
    position: float = 0.0
    enabled: bool = False


@dataclass(frozen=True, slots=True)
class ClockConfig(InRange):
    """How emulated time passes. ``scale``: emulated seconds per wall second, in real-time mode only.

    ``patience``: for how many wall seconds a party may keep its turn without a word, in virtual mode only.
    """

    mode: ClockMode = "virtual"
    scale: float = 1.0
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The whole quantum world of a lab. ``seed`` None takes the dice from the operating system."""

    nodes: dict[str, NodeDevices]
    links: dict[str, LinkDevices]
    taps: dict[str, TapConfig] = field(default_factory=dict)
    clock: ClockConfig = field(default_factory=ClockConfig)
    max_qubits: int = 12
    seed: int | None = None

    def __post_init__(self) -> None:
        for tap in self.taps.values():
            fits = tap.link in self.links and tap.position <= self.links[tap.link].fibre.length
            require(fits, f"a tap at {tap.position} m does not fit a link {tap.link!r}.")


@dataclass(frozen=True, slots=True)
class ServerConfig(InRange):
    """One shared-state server: the world it holds, where it listens, and who may come in.

    ``credentials`` maps a node's name to its token, ``oracle_token`` opens the oracle role. ``lease`` is the
    wall time in seconds for which the qubits of a disconnected session are kept for its return. ``journal``: the file
    in which every operation is written down before it is acknowledged, empty for none. ``record``: the file to which
    every event is added, empty for none. ``events_kept``: bytes of the latest events that are kept in memory for who
    asks, 0 for none, and none beside a record, or a journal, which does not know who has asked. With ``tls`` parties
    come in by certificate, besides.
    """

    lab: str
    world: WorldConfig
    credentials: dict[str, str]
    oracle_token: str
    host: str = "127.0.0.1"
    port: int = 0
    lease: float = 2.0
    journal: str = ""
    record: str = ""
    events_kept: int = 0
    tls: TlsIdentity | None = None

    def __post_init__(self) -> None:
        InRange.__post_init__(self)
        files = [name for name in ("record", "journal") if getattr(self, name)]
        require(
            not (self.events_kept and files),
            f"events_kept is for a server without a {' and a '.join(files)}.",
        )
