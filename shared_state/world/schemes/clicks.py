"""One window of a heralding station: a beam splitter and two threshold detectors."""

from __future__ import annotations


def one_photon(pd: float) -> float:
    """Return the probability of exactly one click when one photon arrives: no dark count in the other detector."""
    return 1 - pd


def no_photon(pd: float) -> float:
    """Return the probability of exactly one click in the dark."""
    return 2 * pd * (1 - pd)


def single(eta: float, pd: float) -> float:
    """Return the probability of exactly one click when one photon is sent and detected with probability ``eta``."""
    return eta * one_photon(pd) + (1 - eta) * no_photon(pd)


def double(first: float, second: float, visibility: float, pd: float) -> float:
    """Return the probability of exactly one click when both ends send a photon.

    Where both arrive they leave by the same port, and click once, with probability (1+V)/2 (Hong, Ou and Mandel).
    """
    one = first * (1 - second) + second * (1 - first) + first * second * (1 + visibility) / 2
    return one * one_photon(pd) + (1 - first) * (1 - second) * no_photon(pd)
