"""The receiver of light pulses: a detector for each outcome, with losses, dark counts, dead time, after-pulses."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import ceil
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared_state.config import DetectorConfig, PulseConfig
from shared_state.engine.batch import Codes
from shared_state.world.positions import distinct
from shared_state.world.pulses import PulseTrain, thin

X: Final = 1
BOTH: Final = 3
"""Which detectors fire in a pulse: 1 the one of outcome 0, 2 that of outcome 1, 3 both."""
REMEMBERED: Final = 1024
"""So many recoveries are remembered; the oldest count as over."""


class Seen(NamedTuple):
    """Per pulse a click and its bit (0 where there was none); ``blind_until`` where that outlasts the train."""

    clicked: Codes
    bits: Codes
    blind_until: float | None


class Clicks(NamedTuple):
    """The pulses in which something fired, sorted, and the bit of each; ``blind_until`` as in ``Seen``."""

    indices: NDArray[np.int64]
    bits: Codes
    blind_until: float | None


class _Fired(NamedTuple):
    """Pulses, sorted, and which detectors fire in each."""

    indices: NDArray[np.int64]
    detectors: Codes


def detect(
    train: PulseTrain,
    bases: Codes,
    pulses: PulseConfig,
    rng: np.random.Generator,
    blind_until: float | None = None,
) -> Seen:
    """Measure pulse i in ``bases[i]``, as ``click`` does. Raises ValueError when there is not a basis per pulse."""
    if len(bases) != len(train):
        raise ValueError(f"the train has {len(train)} pulses and {len(bases)} bases were given.")
    clicks = click(train, bases[train.indices], pulses, rng, blind_until)
    clicked, bits = np.zeros((2, len(train)), dtype=np.uint8)
    clicked[clicks.indices] = 1
    bits[clicks.indices] = clicks.bits
    return Seen(clicked, bits, clicks.blind_until)


def click(
    train: PulseTrain,
    measured: Codes,
    pulses: PulseConfig,
    rng: np.random.Generator,
    blind_until: float | None = None,
) -> Clicks:
    """Measure lit pulse i in ``measured[i]``; the receiver is still blind until ``blind_until`` from an earlier click.

    Each photon is detected, and goes to the wrong detector, on its own: from Poissonian light of mean mu that gives
    independent clicks of the detectors with means mu eta (1-e) and mu eta e where the bases agree, mu eta / 2 each
    where not. Where both fire the bit is a fair coin (squashing; Luetkenhaus, Phys. Rev. A 59, 3301, 1999). The work
    is that of the lit pulses and the dark counts, however long the train.
    """
    fired = _light(train, measured, pulses, rng)
    dark = pulses.detectors.dark_count_probability
    for detector in (1, 2):
        fired = _add(fired, distinct(len(train), rng.binomial(len(train), dark), rng), detector)
    fired, blind_until = _recover(fired, train, pulses.detectors, rng, blind_until)
    tossed = rng.integers(0, 2, len(fired.indices), dtype=np.uint8)
    bits = np.where(fired.detectors == BOTH, tossed, fired.detectors >> 1).astype(np.uint8)
    return Clicks(fired.indices, bits, blind_until)


def _light(train: PulseTrain, measured: Codes, pulses: PulseConfig, rng: np.random.Generator) -> _Fired:
    """Return which detectors fire by the light alone."""
    time_bin = pulses.encoding == "time-bin"
    # the interferometer sends half of the light into the side peaks
    arrives = np.where(time_bin & (measured == X), 0.5, 1.0)
    photons = thin(train.photons, pulses.detectors.efficiency * arrives, rng)
    error = np.where(time_bin & (measured == X), (1 - pulses.visibility) / 2, pulses.misalignment)
    wrong = thin(photons, np.where(train.bases == measured, error, 0.5), rng)
    detectors = ((photons > wrong) * (1 + train.bits)) | ((wrong > 0) * (2 - train.bits))
    seen = np.flatnonzero(detectors)
    return _Fired(train.indices[seen].astype(np.int64), detectors[seen].astype(np.uint8))


def _add(fired: _Fired, indices: NDArray[np.int64], detector: int) -> _Fired:
    """Let a detector fire in more pulses."""
    if not len(indices):
        return fired
    several = np.concatenate([fired.indices, indices])
    order = np.argsort(several, kind="stable")
    merged, starts = np.unique(several[order], return_index=True)
    codes = np.concatenate([fired.detectors, np.full(len(indices), detector, dtype=np.uint8)])[order]
    return _Fired(merged, np.bitwise_or.reduceat(codes, starts))


def _recover(
    fired: _Fired,
    train: PulseTrain,
    detectors: DetectorConfig,
    rng: np.random.Generator,
    blind_until: float | None,
) -> tuple[_Fired, float | None]:
    """Return what is seen of ``fired`` by a receiver that is blind after a click, after-pulses included."""
    # a pulse at the very end of the dead time is seen, whatever rounding made of it
    blind = max(1, ceil(detectors.dead_time / train.period - 1e-6))
    echoes = detectors.afterpulse_probability
    if blind == 1 and echoes == 0 and blind_until is None:
        return fired, None
    candidates, codes = fired.indices.tolist(), fired.detectors.tolist()
    indices: list[int] = []
    seen: list[int] = []
    ready, cursor, echo = 0, 0, blind_until is not None
    if blind_until is not None:
        ready = max(0, ceil((blind_until - train.arrives_at) / train.period - 1e-6))
    while ready < len(train):
        cursor = bisect_left(candidates, ready, cursor)
        more = cursor < len(candidates)
        if echo and echoes > 0 and rng.random() < echoes:
            own = codes[cursor] if more and candidates[cursor] == ready else 0
            clicked, code = ready, own | (1 + int(rng.integers(2)))
        elif more:
            clicked, code = candidates[cursor], codes[cursor]
        else:
            echo = False
            break
        indices.append(clicked)
        seen.append(code)
        ready, echo = clicked + blind, True
    left = train.arrives_at + ready * train.period if echo else None
    return _Fired(np.array(indices, dtype=np.int64), np.array(seen, dtype=np.uint8)), left


class Recoveries:
    """Until when each receiver is blind from its last train, for the runs that share one course of time."""

    def __init__(self, story: Callable[[str], str]) -> None:
        self._story = story
        self._until: dict[tuple[str, str], float] = {}

    def take(self, receiver: str, run: str) -> float | None:
        """Return until when the receiver is blind, None when its last click is over and done."""
        return self._until.pop((receiver, self._story(run)), None)

    def keep(self, receiver: str, run: str, until: float | None) -> None:
        """Note until when the receiver is blind after a train, if at all."""
        if until is not None:
            self._until[receiver, self._story(run)] = until
        if len(self._until) > REMEMBERED:
            del self._until[next(iter(self._until))]
