"""What a run of quantum key distribution did and found, without a bit of the key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QkdReport:
    """The figures of one block, the same at both ends but for ``duration_s``.

    ``sampled_bits`` were revealed to estimate ``qber``; with the failure probability of the run the error
    rate of the rest exceeds ``qber_upper``. ``leaked_bits`` counts the parities and the verification tag.
    ``efficiency`` is the parities over n h(``qber``), so it wavers with the sample. A figure is None when the
    run did not get that far or (``efficiency``) no error was sampled. ``duration_s`` is emulated time. When
    ``aborted``, there is no key and ``reason`` says why.
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
