"""Eavesdroppers on a fibre: intercept and resend, photon-number splitting, beam splitting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from shared_state.config import FibreConfig, TapConfig
from shared_state.engine.bases import Basis
from shared_state.engine.batch import Codes
from shared_state.engine.joint_state import JointState
from shared_state.engine.later import Later
from shared_state.world.pulses import PulseTrain, thin

_CODES: Final = {"Z": 0, "X": 1, "Y": 2}
_BASES: Final[tuple[Basis, ...]] = ("Z", "X", "Y")


@dataclass(slots=True)
class TapReport:
    """What a tap has done so far, qubits counting as pulses of one photon.

    ``pulses`` with light that came by, ``kept`` photons taken out of them (measured, stored or blocked), and
    ``resent`` pulses that the eavesdropper made.
    """

    pulses: int = 0
    kept: int = 0
    resent: int = 0


class Encounter(NamedTuple):
    """How a tap meets the photons by which a source makes pairs, as probabilities of an attempt.

    A photon comes by with ``reaching``, and is then taken with ``share``: measured where the eavesdropper ``resends``
    it, kept elsewhere. With a photon that has come by the attempt succeeds with ``passed``, with a taken one with
    ``taken``.
    """

    reaching: float
    share: float
    passed: float
    taken: float
    resends: bool


@dataclass(frozen=True, slots=True)
class Tap:
    """An eavesdropper with perfect devices, dice of its own, and its books."""

    config: TapConfig
    rng: np.random.Generator
    report: TapReport = field(default_factory=TapReport)

    def meet_pulses(self, train: PulseTrain) -> PulseTrain:
        """Let a train of pulses pass by; return what is sent on."""
        self.report.pulses += len(train.indices)
        before = int(train.photons.sum())
        match self.config.strategy:
            case "intercept-resend":
                return self._intercept(train)
            case "photon-number-splitting":
                train = self._split_numbers(train)
            case "beam-splitting":
                train = train.with_photons(thin(train.photons, 1 - self.config.fraction, self.rng))
        self.report.kept += before - int(train.photons.sum())
        return train

    def meet_qubit(self, state: JointState, qubit: int) -> bool:
        """Do the same to a single qubit in flight; tell whether it flies on. One that does not stays in the state."""
        self.report.pulses += 1
        config = self.config
        if config.strategy == "intercept-resend":
            if self.rng.random() < config.fraction:
                intercept_qubit(state, qubit, _BASES[self._draw_bases(1)[0]], self.rng)
                self.report.kept += 1
                self.report.resent += 1
            return True
        taken = config.blocking if config.strategy == "photon-number-splitting" else config.fraction
        lost = bool(self.rng.random() < taken)
        self.report.kept += lost
        return not lost

    def note_pairs(self, met: Encounter, attempts: int, pairs: int, success: float) -> None:
        """Book the photons of so many attempts, ``pairs`` of which succeeded, as each does with ``success``.

        What becomes of pairs whose photons are attacked is part of their state already; what is drawn here is what
        the eavesdropper saw of it, given how many pairs there were.
        """
        seen = np.array([met.reaching * (1 - met.share), met.reaching * met.share])
        heralded = seen * [met.passed, met.taken]
        cases = ((pairs, heralded, success), (attempts - pairs, seen - heralded, 1 - success))
        for number, weights, whole in cases:
            if number > 0 and whole > 0:
                shares = np.clip(weights / whole, 0.0, 1.0)
                shares /= max(1.0, shares.sum())
                left, taken, _ = self.rng.multinomial(
                    number, [*shares, max(0.0, 1.0 - shares.sum())]
                ).tolist()
                self.report.pulses += left + taken
                self.report.kept += taken
                self.report.resent += taken if met.resends else 0

    def _intercept(self, train: PulseTrain) -> PulseTrain:
        """Measure ``fraction`` of the pulses and send on one photon each, in the state that was found.

        Several photons in the wrong basis may fire both detectors; with a coin for the bit its law stays fair.
        """
        chosen = np.flatnonzero(self.rng.random(len(train.indices)) < self.config.fraction)
        measured = self._draw_bases(len(chosen))
        tossed = self.rng.integers(0, 2, len(chosen), dtype=np.uint8)
        bits, bases, photons = train.bits.copy(), train.bases.copy(), train.photons.copy()
        self.report.kept += int(photons[chosen].sum())
        self.report.resent += len(chosen)
        bits[chosen] = np.where(bases[chosen] == measured, bits[chosen], tossed)
        bases[chosen] = measured
        photons[chosen] = 1
        return replace(train, bits=bits, bases=bases, photons=photons)

    def _split_numbers(self, train: PulseTrain) -> PulseTrain:
        """Keep a photon of several, block single ones: the photon number is measured, the state is not."""
        taken = np.where(train.photons > 1, self.config.fraction, self.config.blocking)
        return train.with_photons(train.photons - (self.rng.random(len(taken)) < taken).astype(np.uint32))

    def _draw_bases(self, count: int) -> Codes:
        if self.config.basis == "random":
            return self.rng.integers(0, 2, count, dtype=np.uint8)
        return np.full(count, _CODES[self.config.basis], dtype=np.uint8)


def split(fibre: FibreConfig, position: float) -> tuple[FibreConfig, FibreConfig]:
    """Cut a fibre ``position`` metres from its start into the stretches before and after the tap.

    Raises ValueError for a position off the fibre.
    """
    before, after = cut(fibre, [position])
    return before, after


def cut(fibre: FibreConfig, positions: Sequence[float]) -> list[FibreConfig]:
    """Cut a fibre at ascending ``positions``, metres from its start, into stretches one after the other.

    Together they lose and delay what the whole fibre does. The insertion loss stands for the connectors at both ends:
    half of it is lost in the first stretch and half in the last, wherever and however often the fibre is cut.
    Raises ValueError for a position off the fibre.
    """
    for position in positions:
        if not 0 <= position <= fibre.length:
            raise ValueError(f"a tap at {position} m is not on a fibre of {fibre.length} m.")
    bounds = [0.0, *positions, fibre.length]
    bare = replace(fibre, insertion_loss_db=0.0)
    stretches = [replace(bare, length=end - start) for start, end in pairwise(bounds)]
    for index in (0, -1):
        loss = stretches[index].insertion_loss_db + fibre.insertion_loss_db / 2
        stretches[index] = replace(stretches[index], insertion_loss_db=loss)
    return stretches


def intercept_qubit(state: JointState, qubit: int, basis: Basis, rng: np.random.Generator) -> Later[int]:
    """Measure a qubit in flight and return the outcome.

    The eigenstate that is sent on takes the qubit's place under the same name, no longer entangled.
    """
    return state.measure_and_prepare(qubit, basis, rng.random())
