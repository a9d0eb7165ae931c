"""What the two ends of a link have agreed on for key distribution, before the first photon; none of it is secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from nodes.errors import ProgramInvalid

KeyProtocol: TypeAlias = Literal["bb84", "decoy-bb84", "bbm92", "e91"]
Reconciliation: TypeAlias = Literal["ldpc", "cascade"]

PROTOCOLS: Final[tuple[str, ...]] = get_args(KeyProtocol)
RECONCILIATIONS: Final[tuple[str, ...]] = get_args(Reconciliation)

LARGEST_BLOCK: Final = 20_000_000
"""Sifted bits: with more the hashing of one block would take its node a minute."""


@dataclass(frozen=True, slots=True)
class LinkAgreement:
    """How keys are made on one link.

    ``protocol`` and ``reconciliation`` (the error correction) by name; ``block``: sifted key bits that are distilled
    at once. ``intensities``: the mean photon numbers of the transmitter's pulses, none for single photons, and
    ``intensity_probabilities`` how often it chooses each. ``basis_probability``: how often either end chooses Z.
    ``pulse_rate`` in pulses per second. The key of a block is, with its basis and whatever was said, distinguishable
    from a perfect one with at most ``secrecy``, and differs at the two ends with at most ``correctness``.
    ``continuous``: as long as the lab is up in real time, block after block is made into keys in store.
    """

    protocol: KeyProtocol = "bb84"
    reconciliation: Reconciliation = "ldpc"
    block: int = 100_000
    intensities: tuple[float, ...] = ()
    intensity_probabilities: tuple[float, ...] = ()
    basis_probability: float = 0.5
    pulse_rate: float = 1.0e6
    secrecy: float = 1e-10
    correctness: float = 1e-15
    continuous: bool = False

    def __post_init__(self) -> None:
        _require(self.protocol in PROTOCOLS, f"no protocol is called {self.protocol!r}", PROTOCOLS)
        _require(
            self.reconciliation in RECONCILIATIONS,
            f"no error correction is called {self.reconciliation!r}",
            RECONCILIATIONS,
        )
        _require(
            1 <= self.block <= LARGEST_BLOCK, f"no block has {self.block} bits", (f"1 to {LARGEST_BLOCK}",)
        )
        for failure in (self.secrecy, self.correctness):
            _require(0.0 < failure < 1.0, f"{failure} is no failure probability", ("1e-10",))


def _require(holds: bool, complaint: str, choices: tuple[str, ...]) -> None:
    if not holds:
        raise ProgramInvalid(f"{complaint}; choose {' or '.join(choices)}")
