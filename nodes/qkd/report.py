"""What a run of quantum key distribution did and found, without a bit of the key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QkdReport:
    """The figures of one block, the same at both ends but for ``duration_s``.

    ``sifted_bits`` are left where both bases agree; ``sampled_bits`` of them were revealed, with the error rate
    ``qber``. ``key_errors`` were corrected in the others. Except with the failure probability agreed on, the error rate
    that the secret part would have shown in the other basis is at most ``qber_upper``, and ``single_photon_bits`` at
    least came from one photon each (None where the source has no others). ``leaked_bits`` counts what was told in
    the correction, what the amount of it tells, and the verification tag. ``efficiency`` is what the correction
    told divided by n h(e), Shannon's limit for n bits of which the fraction e was wrong. ``chsh`` is the value of S,
    where the protocol measures it. With its basis and all that was said the key can be told from a perfect one with at
    most ``secrecy``, and differs at the two ends with at most ``correctness``; over many keys these add up. A figure is
    None when the run did not get that far, and ``efficiency`` also when nothing was wrong. ``duration_s`` is emulated
    time. When ``aborted``, ``reason`` says why there is no key; ``alarm``: because of the errors that were seen, as
    when somebody measures the photons.
    """

    pulses: int
    protocol: str = "bb84"
    reconciliation: str = "ldpc"
    sifted_bits: int = 0
    sampled_bits: int = 0
    qber: float | None = None
    key_errors: int | None = None
    qber_upper: float | None = None
    single_photon_bits: int | None = None
    leaked_bits: int = 0
    efficiency: float | None = None
    chsh: float | None = None
    secrecy: float = 1e-10
    correctness: float = 1e-15
    secret_bits: int = 0
    duration_s: float = 0.0
    aborted: bool = False
    reason: str = ""
    alarm: bool = False
