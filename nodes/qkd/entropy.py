"""The binary entropy, the one function that every estimate of a secret key needs."""

from __future__ import annotations

from math import log2


def binary_entropy(probability: float) -> float:
    """Return h(p) = -p log2 p - (1-p) log2 (1-p) in bits; h(0) = h(1) = 0."""
    if probability in (0.0, 1.0):
        return 0.0
    return -probability * log2(probability) - (1 - probability) * log2(1 - probability)
