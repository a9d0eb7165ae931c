"""The receiver of light pulses: a detector for each outcome, with losses, dark counts, dead time, after-pulses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared_state.config import DetectorConfig, PulseConfig
from shared_state.engine.batch import Codes
from shared_state.world.drawn_trains import draw_bases
from shared_state.world.positions import coins, distinct, tosses
from shared_state.world.pulses import Photons, PulseTrain, thin
from shared_state.world.recovery import pulses_of, recover

X: Final = 1
BOTH: Final = 3
"""Which detectors fire in a pulse: 1 the one of outcome 0, 2 that of outcome 1, 3 both."""
REMEMBERED: Final = 1024
"""So many recoveries are remembered; the oldest count as over."""
_MEASURED: Final = 4
"""Added to which detectors fire: the basis in which a lit pulse was measured, so many times one more than its code."""


class Seen(NamedTuple):
    """Per pulse a click and its bit (0 where there was none); ``blind_until`` where that outlasts the train."""

    clicked: Codes
    bits: Codes
    blind_until: float | None


class Clicks(NamedTuple):
    """The pulses in which something fired, sorted, and the bit of each; ``blind_until`` as in ``Seen``."""

    indices: NDArray[np.uint32]
    bits: Codes
    blind_until: float | None


class DrawnClicks(NamedTuple):
    """As ``Clicks``, and the basis that the receiver drew for each."""

    indices: NDArray[np.uint32]
    bases: Codes
    bits: Codes
    blind_until: float | None


class _Fired(NamedTuple):
    """Pulses, sorted; of each which detectors fire and, where it was lit, the basis (see ``_MEASURED``)."""

    indices: NDArray[np.uint32]
    codes: Codes


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
    fired, until = _fire(train, measured, pulses, pulses.detectors.efficiency, rng, blind_until)
    return Clicks(fired.indices, _bits(fired.codes, rng), until)


def click_drawn(
    train: PulseTrain, pulses: PulseConfig, rng: np.random.Generator, blind_until: float | None = None
) -> DrawnClicks:
    """Measure a train, as ``click`` does, in bases that the receiver draws; all photons that come are detected."""
    measured = draw_bases(len(train.indices), pulses, rng)
    fired, until = _fire(train, measured, pulses, 1.0, rng, blind_until)
    # that of a pulse without light makes no difference before it is asked for
    bases = (fired.codes >= 2 * _MEASURED).view(np.uint8)
    unknown = np.flatnonzero(fired.codes < _MEASURED)
    bases[unknown] = draw_bases(len(unknown), pulses, rng)
    return DrawnClicks(fired.indices, bases, _bits(fired.codes, rng), until)


def _fire(
    train: PulseTrain,
    measured: Codes,
    pulses: PulseConfig,
    efficiency: float,
    rng: np.random.Generator,
    blind_until: float | None,
) -> tuple[_Fired, float | None]:
    fired = _light(train, measured, pulses, efficiency, rng)
    dark = pulses.detectors.dark_count_probability
    for detector in (1, 2):
        fired = _add(fired, distinct(len(train), rng.binomial(len(train), dark), rng), detector)
    return _recover(fired, train, pulses.detectors, rng, blind_until)


def _light(
    train: PulseTrain, measured: Codes, pulses: PulseConfig, efficiency: float, rng: np.random.Generator
) -> _Fired:
    """Return which detectors fire by the light alone."""
    photons, in_x = train.photons, measured == X
    time_bin = pulses.encoding == "time-bin"
    if time_bin:
        # the interferometer sends half of the light into the side peaks
        photons = thin(photons, np.where(in_x, 0.5 * efficiency, efficiency), rng)
    elif efficiency < 1:
        photons = thin(photons, efficiency, rng)
    errors = (pulses.misalignment, (1 - pulses.visibility) / 2 if time_bin else pulses.misalignment)
    codes = _outcomes(photons, train.bits, train.bases == measured, in_x, errors, rng)
    codes += _MEASURED * (1 + in_x.view(np.uint8))
    if time_bin or efficiency < 1:
        lit = np.flatnonzero(photons)
        return _Fired(train.indices[lit], codes[lit])
    return _Fired(train.indices, codes)


def _outcomes(
    photons: Photons,
    bits: Codes,
    agree: NDArray[np.bool_],
    in_x: NDArray[np.bool_],
    errors: tuple[float, float],
    rng: np.random.Generator,
) -> Codes:
    """Return which detectors fire: each photon goes astray with the error of its basis, or half the time."""
    count = len(photons)
    in_z_wrong, in_x_wrong = errors
    astray = tosses(count, in_z_wrong, rng)
    if in_x_wrong != in_z_wrong:
        astray = np.where(in_x, tosses(count, in_x_wrong, rng), astray)
    wrong = np.where(agree, astray.view(np.uint8), coins(count, rng))
    codes: Codes = 1 + (bits ^ wrong)
    # nearly all pulses have one photon, and a coin is cheaper than a binomial number
    several = np.flatnonzero(photons > 1)
    numbers, their_bits = photons[several], bits[several]
    probabilities = np.where(agree[several], np.where(in_x[several], in_x_wrong, in_z_wrong), 0.5)
    went_astray = rng.binomial(numbers, probabilities)
    codes[several] = ((numbers > went_astray) * (1 + their_bits)) | ((went_astray > 0) * (2 - their_bits))
    return codes


def _add(fired: _Fired, positions: NDArray[np.int64], detector: int) -> _Fired:
    """Let a detector fire in more pulses."""
    if not len(positions):
        return fired
    indices, codes = fired
    places = np.searchsorted(indices, positions)
    there = places < len(indices)
    there[there] = indices[places[there]] == positions[there]
    codes[places[there]] |= detector
    absent = ~there
    indices = np.insert(indices, places[absent], positions[absent])
    return _Fired(indices, np.insert(codes, places[absent], detector))


def _recover(
    fired: _Fired,
    train: PulseTrain,
    detectors: DetectorConfig,
    rng: np.random.Generator,
    blind_until: float | None,
) -> tuple[_Fired, float | None]:
    """Return what is seen of ``fired`` by a receiver that is blind after a click, after-pulses included."""
    blind = max(1, pulses_of(detectors.dead_time, train.period))
    echoes = detectors.afterpulse_probability
    if blind == 1 and echoes == 0 and blind_until is None:
        return fired, None
    ready = 0 if blind_until is None else max(0, pulses_of(blind_until - train.arrives_at, train.period))
    seen = recover(fired.indices, len(train), blind, echoes, rng, ready, blind_until is not None)
    codes = (
        fired.codes.take(seen.sources, mode="wrap")
        if len(fired.codes)
        else np.zeros(len(seen.sources), dtype=np.uint8)
    )
    if len(seen.echoes):
        codes[seen.sources < 0] = 0
        codes[seen.echoes] |= 1 + coins(len(seen.echoes), rng)
    left = train.arrives_at + seen.ready * train.period if seen.after_click else None
    return _Fired(seen.indices, codes), left


def _bits(codes: Codes, rng: np.random.Generator) -> Codes:
    """Return the bit of each click."""
    detectors = codes & BOTH
    bits: Codes = np.right_shift(detectors, 1, dtype=np.uint8)
    both = np.flatnonzero(detectors == BOTH)
    bits[both] = coins(len(both), rng)
    return bits


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
