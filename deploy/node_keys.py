"""The lab file's keys for what a node is equipped with, and for what it offers: memories, storage, gates, services."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from deploy.fields import Duration, Fraction, Lifetime, MixedFidelity, Name, Spelling
from deploy.section import Section, key, required, section
from nodes.runtime.kme_config import KmeTls

SaeId: TypeAlias = Annotated[
    str,
    Spelling(
        "[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
        "an SAE ID (at most 63 letters, digits, ., - and _, a letter or digit first)",
        "vpn-north",
    ),
]

MemoryPreset = Literal[
    "nv-electron",
    "nv-carbon",
    "nv-electron-dahlberg",
    "nv-carbon-dahlberg",
    "ion",
    "siv-electron",
    "siv-nuclear",
    "rb-atom",
    "ensemble",
]
Hardware = Literal["nv", "ion", "siv", "ensemble"]


class MemoryKeys(Section):
    """One kind of quantum memory of a node."""

    preset: MemoryPreset | None = key(
        "Published figures of a platform; keys written beside it replace its own.", "nv-electron"
    )
    count: int | None = key("How many qubits it holds at once. Default 8.", 8, ge=0, le=1_000_000)
    t1: Lifetime | None = key(
        "Relaxation time: the population of |1> decays as exp(-t/t1). Default: ideal.", "10 s"
    )
    t2: Lifetime | None = key(
        "Coherence time: off-diagonal elements decay as exp(-t/t2), or as dephasing says. At most 2 t1, which "
        "is also the default.",
        "1 s",
    )
    dephasing: Literal["markovian", "gaussian"] | None = key(
        "How the coherence falls with the time t in the memory: markovian exp(-t/t2), the default; gaussian "
        "exp(-(t/t2)^2), for slow noise, and without t1.",
        "markovian",
    )
    depolarising_time: Lifetime | None = key(
        "Beside t1 and t2: rho -> e^(-t/tau) rho + (1 - e^(-t/tau)) I/2. Default: ideal.", "62 ms"
    )
    initialisation_fidelity: MixedFidelity | None = key(
        "Fidelity F with |0> of a qubit made here: depolarised with p = 2(1-F). At least 1/2. Default 1.",
        0.99,
    )
    cutoff: Lifetime | None = key(
        "After so long in this memory a qubit is discarded, and both holders of its pair are told. Default: never.",
        "100 ms",
    )
    attempt_dephasing: Fraction | None = key(
        "Probability p, at most 1/2, with which each attempt of the node at entanglement dephases each qubit "
        "stored here: rho -> (1-p) rho + p Z rho Z. Default 0.",
        0.0004,
    )


class GateKeys(Section):
    """The imperfections and durations of a node's operations. What is not written is perfect, or takes no time."""

    single_fidelity: MixedFidelity | None = key(
        "Entanglement fidelity F of a one-qubit gate: rho -> (1-p) rho + p I/2 follows it, p = 4(1-F)/3.",
        0.999,
    )
    two_fidelity: Fraction | None = key(
        "Quality of a two-qubit gate, in the convention of two_qubit_noise.", 0.99
    )
    two_qubit_noise: Literal["joint", "each"] | None = key(
        "joint, the default: two_fidelity is the weight g of rho -> g U rho U^+ + (1-g) I/4. each: both qubits "
        "are depolarised on their own, and two_fidelity is (1 - 3p/4)^2.",
        "joint",
    )
    readout_fidelity: Fraction | None = key(
        "Probability that a measured bit is reported as it was: both readout errors are 1 less this.", 0.995
    )
    readout_error_0: Fraction | None = key("Probability that a 0 is reported as 1. Default 0.", 0.05)
    readout_error_1: Fraction | None = key("Probability that a 1 is reported as 0. Default 0.", 0.005)
    bell_success: Fraction | None = key(
        "Probability that a Bell measurement tells anything; both qubits are gone in any case. At most 50 % with "
        "linear optics and no further photons. Default 1.",
        0.5,
    )
    single_duration: Duration | None = key("Time a one-qubit gate takes. Default 0 s.", "5 ns")
    two_duration: Duration | None = key("Time a two-qubit gate takes. Default 0 s.", "500 us")
    readout_duration: Duration | None = key("Time a measurement takes. Default 0 s.", "3.7 us")
    initialisation_duration: Duration | None = key("Time to make a new qubit. Default 0 s.", "2 us")


class Equipment(Section):
    """What a node is equipped with. Every single key: `hardware` < `defaults` < `kinds` < node."""

    hardware: Hardware | None = key(
        "Memories, storage and gates of a platform, from published figures; single keys replace its own.",
        "nv",
    )
    memories: MemoryKeys = section(
        "Quantum memories; pairs arrive in them.", {"count": 8, "t1": "10 s", "t2": "1 s"}, MemoryKeys()
    )
    storage: MemoryKeys = section(
        "Further memories, to which qubits can be moved and back by a two-qubit gate. Default: none.",
        {"preset": "nv-carbon"},
        MemoryKeys(),
    )
    gates: GateKeys = section("Operations on qubits.", {"two_fidelity": 0.99}, GateKeys())


class Etsi014Keys(Section):
    """Delivery of keys to applications by ETSI GS QKD 014 V1.1.1: the node's key management entity. Sizes in bits."""

    sae: Annotated[tuple[SaeId, ...], Field(min_length=1)] = required(
        "IDs of the secure application entities (SAE) that fetch keys here; each gets a certificate.",
        ["vpn-north"],
    )
    port: int | None = key(
        "Where it listens, on the loopback address. Default: a free one.", 8443, ge=1, le=65535
    )
    key_size: int | None = key("Size of a key when none is asked for. Default 256.", 256, multiple_of=8, ge=8)
    min_key_size: int | None = key("Size of a key at least. Default 64.", 64, multiple_of=8, ge=8)
    max_key_size: int | None = key(
        "Size of a key at most. Default 4096.", 1024, multiple_of=8, ge=8, le=1 << 20
    )
    max_key_per_request: int | None = key("Keys in one request at most. Default 128.", 128, ge=1, le=10_000)
    max_key_count: int | None = key(
        "As how many keys of the size key_size what is stored counts at most. Default 1000000.",
        100_000,
        ge=1,
        le=2**31 - 1,
    )
    deliver_reproducible: bool | None = key(
        "true: keys made with the lab's seed, which whoever knows the seed knows, are delivered too, and marked. "
        "Default false.",
        True,
    )
    tls: KmeTls | None = key(
        "post-quantum: session keys come from ML-KEM-768 beside X25519 where the client knows them; needs the extra "
        "'pq'. Default classical.",
        "post-quantum",
    )


class ServiceKeys(Section):
    """What a node offers to programs outside of the lab."""

    etsi014: Etsi014Keys | None = key(
        "Delivery of keys by ETSI GS QKD 014, over HTTPS. Default: none.",
        {"port": 8443, "sae": ["vpn-north"]},
    )


class NodeKeys(Equipment):
    """One party of the lab."""

    kind: Name | None = key(
        "A kind from `kinds`, whose equipment the node has, or one of endnode, repeater, trusted-node.",
        "repeater",
    )
    external: bool | None = key(
        "true: the lab does not start it; whoever runs it joins with 'bellwire node run NAME', or with "
        "nodes.connect(NAME) in a program. Default false.",
        True,
    )
    services: ServiceKeys = section(
        "What it offers to programs outside of the lab.", {"etsi014": {"sae": ["vpn-north"]}}, ServiceKeys()
    )
