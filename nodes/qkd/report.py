"""What a run of quantum key distribution did and found, without a bit of the key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QkdReport:
    """The figures of one block, the same at both ends but for ``duration_s`` and ``efficiency``.

    ``sampled_bits`` were revealed to estimate ``qber``; with the failure probability of the run the error rate of the
    rest exceeds ``qber_upper``. ``leaked_bits`` counts the parities, what their number tells, and the verification tag.
    ``efficiency`` is the number of parities divided by n h(e), Shannon's limit for n bits of which the fraction e was
    wrong; only Bob, who corrects them, knows e. A figure is None when the run did not get that far, and ``efficiency``
    also when nothing was wrong. ``duration_s`` is emulated time. When ``aborted``, ``reason`` says why there is no key.
    """

    pulses: int
    sifted_bits: int = 0
    sampled_bits: int = 0
    qber: float | None = None
    qber_upper: float | None = None
    leaked_bits: int = 0
    efficiency: float | None = None
    secret_bits: int = 0
    duration_s: float = 0.0
    aborted: bool = False
    reason: str = ""
