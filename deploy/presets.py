"""Published figures of quantum hardware, by name: what ``preset`` and ``hardware`` in a lab file stand for.

Values are those of the device's configuration (``shared_state.config``), in SI units. Where a publication gives
none, the value is marked "assumed".

Sources: NV near-term parameters of Table II in Coopmans et al., NetSquid, Commun. Phys. 4, 164 (2021), its
N_1/e = 1400 included; Dahlberg et al., SIGCOMM 2019, for the simulations named after it; trapped ion, Avis et al.,
npj Quantum Inf. 9, 100 (2023), appendix A.6; SiV, Knaut et al., Nature 629, 573 (2024); Rb atom and atomic
ensembles, coherence times from reviews of memories.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, inf
from typing import Any, Final, TypeAlias

from shared_state.config import (
    DoubleClickSource,
    PhotonPairSource,
    SingleClickSource,
    SourceConfig,
    WernerSource,
)

Values: TypeAlias = Mapping[str, Any]


def dephasing_of(attempts: float) -> float:
    """Return the probability p per attempt that leaves 1/e of the coherence after N: (1 - e^(-1/N)) / 2."""
    return (1 - exp(-1 / attempts)) / 2


MEMORIES: Final[Mapping[str, Values]] = {
    "nv-electron": {"count": 1, "t1": 3600.0, "t2": 1.46, "initialisation_fidelity": 0.99},
    "nv-carbon": {
        "count": 4,  # assumed
        "t1": 36_000.0,
        "t2": 1.0,
        "initialisation_fidelity": 0.997,
        "attempt_dephasing": dephasing_of(1400),
    },
    "nv-electron-dahlberg": {"count": 1, "t1": 2.68e-3, "t2": 1e-3},
    "nv-carbon-dahlberg": {"count": 4, "t1": inf, "t2": 3.5e-3},  # the count is assumed
    "ion": {"count": 2, "t1": inf, "t2": 85e-3, "dephasing": "gaussian"},  # the count is assumed
    "siv-electron": {"count": 1, "t1": inf, "t2": 200e-6},
    "siv-nuclear": {"count": 1, "t1": inf, "t2": 2.1},
    "rb-atom": {"count": 1, "t1": inf, "t2": 330e-6},
    "ensemble": {"count": 8, "t1": inf, "t2": 560e-6},  # the count is assumed
}
"""Fields of ``MemoryConfig``."""

NODES: Final[Mapping[str, Mapping[str, Values]]] = {
    "nv": {
        "memories": MEMORIES["nv-electron"],
        "storage": MEMORIES["nv-carbon"],
        "gates": {
            "single_fidelity": 1.0,
            "two_fidelity": 0.97,
            "two_qubit_noise": "each",
            "readout_error_0": 0.05,
            "readout_error_1": 0.005,
            "single_duration": 5e-9,
            "two_duration": 500e-6,
            "readout_duration": 3.7e-6,
            "initialisation_duration": 2e-6,
        },
    },
    "ion": {
        "memories": MEMORIES["ion"],
        "storage": {},
        "gates": {
            "single_fidelity": 0.985,  # depolarised with p = 0.02
            "two_fidelity": 0.9,  # depolarised with p = 0.1; that it is joint is assumed
            "single_duration": 26.6e-6,
            "two_duration": 107e-6,
            "readout_duration": 1.5e-3,
            "initialisation_duration": 36e-6,
        },
    },
    "siv": {
        "memories": MEMORIES["siv-electron"],
        "storage": MEMORIES["siv-nuclear"],
        "gates": {"two_fidelity": 0.937, "readout_error_0": 0.005, "readout_error_1": 0.005},
    },
    "ensemble": {"memories": MEMORIES["ensemble"], "storage": {}, "gates": {}},
}
"""Fields of ``MemoryConfig`` and ``GateConfig``; an empty storage is none."""

SOURCES: Final[Mapping[str, Values]] = {
    "nv": {
        "scheme": "single-click",
        "attempt_rate": 1 / 3.8e-6,
        "alpha": (0.1, 0.1),
        "emission": (0.0046, 0.0046),
        "visibility": 0.9,
        "dark_count_probability": 2.5e-8,
        "phase_deviation": 0.35,
        "double_excitation": 0.06,
    },
    "ion": {
        "scheme": "double-click",
        "attempt_rate": 20_000.0,  # assumed
        "emission": (0.111, 0.111),
        "visibility": 0.89,
        "dark_count_probability": 1.4e-5,
    },
    "siv": {
        "scheme": "double-click",  # assumed: the experiment sends one photon past both nodes
        "attempt_rate": 100_000.0,  # assumed
        "emission": (0.05, 0.05),  # assumed
        "visibility": 0.9,  # assumed
    },
    "ensemble": {
        "scheme": "single-click",
        "attempt_rate": 1e6,  # assumed
        "alpha": (0.01, 0.01),  # assumed: the probability of a write photon
        "emission": (0.2, 0.2),  # assumed
        "visibility": 0.9,  # assumed
    },
}
"""Fields of the source's configuration, and its scheme."""

SCHEMES: Final[Mapping[str, type[SourceConfig]]] = {
    "werner": WernerSource,
    "single-click": SingleClickSource,
    "double-click": DoubleClickSource,
    "pair-source": PhotonPairSource,
}
"""What each scheme of a source is configured by."""
