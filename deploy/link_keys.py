"""The lab file's keys for what lies between two nodes: fibre, classical channel, sources, pulses, eavesdroppers."""

from __future__ import annotations

from typing import Literal

from deploy.fields import (
    Angle,
    Attenuation,
    Duration,
    Fraction,
    Intensity,
    Length,
    Lifetime,
    Loss,
    MessageLoss,
    MixedFidelity,
    Name,
    PerEndFraction,
    Rate,
    Velocity,
)
from deploy.section import Section, key, required, section
from nodes.agreement import LARGEST_BLOCK, KeyProtocol, Reconciliation


class ClassicalKeys(Section):
    """The classical channel beside the fibre."""

    extra_delay: Duration | None = key(
        "Time a message takes on top of length / velocity. Default 0 s.", "1 ms"
    )
    jitter: Duration | None = key(
        "A message takes so much longer at most, uniformly distributed from 0; none overtakes another. Default 0 s.",
        "100 us",
    )
    loss: MessageLoss | None = key(
        "Probability that a message is lost and sent again after a round trip of the link. Default 0.", "1 %"
    )


class SourceKeys(Section):
    """A heralded source of entangled pairs on the link; its scheme decides which keys there are."""

    hardware: Literal["nv", "ion", "siv", "ensemble"] | None = key(
        "Scheme and figures of a platform, from publications; keys written beside it replace its own.", "nv"
    )
    scheme: Literal["werner", "single-click", "double-click", "pair-source"] | None = key(
        "werner, the default: pairs w |Phi+><Phi+| + (1-w) I/4 with w = (4F-1)/3, as a Poisson process. single-click: "
        "one photon of two bright emitters is detected midway. double-click: both photons are. pair-source: a source "
        "of photon pairs sends one to each end.",
        "werner",
    )
    rate: Rate | None = key(
        "werner: pairs delivered per second, all losses included. Default 10 kHz.", "10 kHz"
    )
    fidelity: MixedFidelity | None = key(
        "werner, pair-source: fidelity F = <Phi+|rho|Phi+> of a pair as delivered or emitted. Default 1.",
        0.97,
    )
    attempt_rate: Rate | None = key(
        "All but werner: attempts per second. Default 100 kHz, pair-source 1 MHz.", "200 kHz"
    )
    alpha: PerEndFraction | None = key(
        "single-click: bright-state population, of both ends or [first, second]. Default 0.1.", 0.1
    )
    emission: PerEndFraction | None = key(
        "Probability that an attempt's photon is emitted, collected and would be detected without fibre; pair-source: "
        "that a photon which reaches an end is heralded there. Of both ends or [first, second]. Default 1.",
        0.0046,
    )
    visibility: Fraction | None = key(
        "single-click, double-click: V of the two-photon interference, whose coincidences fall to (1-V)/2. Default 1.",
        0.9,
    )
    dark_count: Rate | None = key(
        "Dark counts per second of one detector, within window of each attempt.", "1 Hz"
    )
    window: Lifetime | None = key("Time in which a detector's click counts, per attempt.", "25 ns")
    dark_count_probability: Fraction | None = key(
        "Instead of dark_count and window: probability of a dark count per detector and window. Default 0.",
        0.000014,
    )
    phase_deviation: Angle | None = key(
        "single-click: standard deviation sigma of the optical phase; coherence times e^(-sigma^2/2). Default 0 rad.",
        "0.35 rad",
    )
    double_excitation: Fraction | None = key(
        "single-click: probability p of a second excitation; dephases each spin with p/2. Default 0.", 0.06
    )
    midpoint: Length | None = key(
        "Distance of the heralding station, or of the pair source, from the first endpoint. Default: the middle.",
        "5 km",
    )
    multiplexed: bool | None = key(
        "Whether attempts start at attempt_rate; without it each waits for the herald of the one before. "
        "Default false, pair-source true.",
        True,
    )
    pair_probability: Fraction | None = key(
        "pair-source: probability that an attempt emits a pair. Default 1.", 0.05
    )
    memories: bool | None = key(
        "pair-source: whether the photons are stored; "
        "without memories the link serves measure_directly only. Default true.",
        True,
    )


class DetectorKeys(Section):
    """The receiver's single-photon detectors, one for each outcome."""

    efficiency: Fraction | None = key("Probability that a photon that arrives makes a click. Default 1.", 0.8)
    dark_count: Rate | None = key(
        "Dark counts per second of one detector; per pulse, this divided by pulse_rate.", "100 Hz"
    )
    dark_count_probability: Fraction | None = key(
        "Instead of dark_count: probability of a dark count per detector and pulse. Default 0.", 0.000001
    )
    dead_time: Duration | None = key("After a click the receiver is blind for so long. Default 0 s.", "50 ns")
    afterpulse_probability: Fraction | None = key(
        "Probability that a click is followed by one without a photon. Default 0.", "1 %"
    )


class QkdKeys(Section):
    """Light pulses for prepare-and-measure key distribution over the link's fibre."""

    protocol: KeyProtocol | None = key(
        "bb84: single photons. decoy-bb84: weak pulses of several intensities. bbm92, e91: entangled pairs from the "
        "link's source. Default decoy-bb84 where there are several intensities, else bb84.",
        "decoy-bb84",
    )
    reconciliation: Reconciliation | None = key(
        "Error correction: ldpc, one-way and the default, or cascade, which takes hundreds of round trips.",
        "ldpc",
    )
    block: int | None = key(
        "Sifted key bits that are distilled at once: the more, the less is lost to statistics. Default 100000; "
        "bb84 sends 100000 photons a block instead.",
        1_000_000,
        ge=1,
        le=LARGEST_BLOCK,
    )
    secrecy: float | None = key(
        "Security parameter: probability at most with which a block's key can be told from a perfect one. "
        "Default 1e-10.",
        1e-10,
        gt=0,
        lt=1,
    )
    correctness: float | None = key(
        "Probability at most with which the two ends' keys differ unnoticed. Default 1e-15.",
        1e-15,
        gt=0,
        lt=1,
    )
    continuous: bool | None = key(
        "Whether keys are made block after block, into the key stores of both ends, while the lab is up in real "
        "time. Default false.",
        True,
    )
    pulse_rate: Rate | None = key("Pulses emitted per second. Default 1 MHz.", "10 MHz")
    intensities: tuple[Intensity, ...] | None = key(
        "Mean photon numbers that a pulse of random phase can have: Poissonian. Default: ideal single photons.",
        [0.5, 0.1, 0.0002],
    )
    intensity_probabilities: tuple[Fraction, ...] | None = key(
        "How often the transmitter chooses each intensity; they add up to 1. Default: all alike.",
        [0.8, 0.1, 0.1],
    )
    basis_probability: Fraction | None = key(
        "How often transmitter and receiver, or the two ends of a source of pairs, choose the basis Z when they choose "
        "themselves. Default 0.5.",
        0.9,
    )
    encoding: Literal["polarisation", "time-bin"] | None = key(
        "polarisation, the default, or time-bin: X is then seen by an interferometer, which loses half of its light. "
        "Bounds of decoy states take a click as equally likely in either basis: true of single photons that arrive.",
        "polarisation",
    )
    detectors: DetectorKeys = section("Single-photon detectors.", {"efficiency": 0.8}, DetectorKeys())
    misalignment: Fraction | None = key(
        "Probability that a detected photon gives the wrong bit although the bases agree; time-bin: in Z. Default 0.",
        "1 %",
    )
    visibility: Fraction | None = key(
        "time-bin: V of the interferometer, wrong in X with probability (1-V)/2. Default 1.", 0.98
    )


class LinkKeys(Section):
    """A connection between two nodes: one fibre and a classical channel. Stated once, for both directions."""

    name: Name | None = key(
        "Name of the link. Default: first endpoint, hyphen, second endpoint.", "north-hub"
    )
    endpoints: tuple[str, str] = required("The two nodes it connects.", ["alice", "bob"])
    length: Length = required("Length of the fibre.", "20 km")
    attenuation: Attenuation | None = key(
        "Loss of the fibre per length: transmission 10^(-attenuation length / 10). Default 0.2 dB/km.",
        "0.2 dB/km",
    )
    fibre: Literal["spool", "deployed", "urban"] | None = key(
        "Instead of attenuation: spool is 0.2 dB/km, deployed 0.32 dB/km, urban 0.5 dB/km.", "spool"
    )
    insertion_loss: Loss | None = key("Loss of connectors and splices, once. Default 0 dB.", "1.5 dB")
    velocity: Velocity | None = key("Speed of light in the fibre. Default 200000 km/s.", "200000 km/s")
    classical: ClassicalKeys = section("The classical channel.", {"extra_delay": "1 ms"}, ClassicalKeys())
    source: SourceKeys = section(
        "Source of entangled pairs.", {"rate": "10 kHz", "fidelity": 0.97}, SourceKeys()
    )
    weight: float | None = key(
        "What the link counts for ways of the least weight, 'bellwire entangle --cost weight'. Default 1.",
        3,
        ge=0,
        allow_inf_nan=False,
    )
    qkd: QkdKeys = section(
        "Pulses for key distribution.", {"protocol": "bb84", "pulse_rate": "10 MHz"}, QkdKeys()
    )


class TapKeys(Section):
    """An eavesdropper on the fibre of a link."""

    link: str = required("Name of the link.", "alice-bob")
    at: Length | None = key(
        "Distance from the first endpoint. Of a source of pairs the photons of that end come by which is on this side "
        "of the midpoint; with the scheme werner one photon of each pair does. Default 0 km.",
        "10 km",
    )
    strategy: Literal["intercept-resend", "photon-number-splitting", "beam-splitting"] | None = key(
        "intercept-resend, the default: measure, and send on what was found. photon-number-splitting: keep a photon "
        "of pulses that have several. beam-splitting: take a share of the light. Photons of a source of pairs are "
        "pulses of one photon; with the scheme single-click whoever measures them finds out which end has emitted.",
        "intercept-resend",
    )
    fraction: Fraction | None = key(
        "Share of the pulses, or of the light, that is attacked. Default 1.", "25 %"
    )
    basis: Literal["random", "X", "Y", "Z"] | None = key(
        "intercept-resend: the basis measured; random is Z or X. Without meaning for photons of the scheme "
        "single-click. Default random.",
        "random",
    )
    blocking: Fraction | None = key(
        "photon-number-splitting: share of the single-photon pulses that is blocked. Default 0.", "50 %"
    )
    enabled: bool | None = key("Whether it acts from the start. Default false.", False)
