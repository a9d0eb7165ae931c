"""Emulated time: seconds since the lab began, as the nodes state them with every operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from shared_state.config import ClockConfig
from shared_state.errors import BadRequest, TimeReversed

ROUNDING: Final = 1e-12
"""Two ways to add up the same times differ by less than this, in seconds per second of emulated time."""
SLACK: Final = 1.0
"""So many wall seconds may lie between the time that a node states and the arrival of its request."""
MAX_LEAP: Final = 1e6
"""So many emulated seconds an operation in virtual time may lie ahead of all that went before."""
MAX_TIME: Final = 1e9
"""Emulated seconds in which virtual time ends: a float still tells a tenth of a microsecond there."""


class LabClock(Protocol):
    """What the quantum world asks of time."""

    def now(self) -> float:
        """Return the lab's emulated time."""

    def believe(self, at: float) -> float:
        """Return the time that counts for a request which states ``at``."""

    def heard(self, at: float) -> float:
        """Return the time that counts for what is done from outside, by who states ``at``."""

    def check(self, at: float) -> None:
        """Raise BadRequest when nothing can happen at ``at``."""

    def ends_before(self, at: float) -> bool:
        """Tell whether nothing can happen at ``at`` any more, however long somebody waits for it."""

    def story(self, run: str) -> str:
        """Return the name of what ``run`` shares its course of time with: one device serves it in turn."""

    def observe(self, at: float) -> None:
        """Take note that something happens at ``at``."""

    def reconcile(self, at: float, touched: float) -> float:
        """Return the time of an operation stated for ``at`` on a qubit last touched at ``touched``."""


class RealTimeClock:
    """Emulated time runs ``scale`` times as fast as the wall clock.

    Requests of one node overtake each other by microseconds; an operation that comes too late happens at
    once. A stated time is believed within ``SLACK`` of the server's own: a qubit ages whatever its holder says.
    """

    def __init__(self, scale: float, monotonic: Callable[[], float], age: float = 0.0) -> None:
        self._scale = scale
        self._monotonic = monotonic
        self._began = monotonic() - age

    def now(self) -> float:
        return (self._monotonic() - self._began) * self._scale

    def believe(self, at: float) -> float:
        now, slack = self.now(), SLACK * self._scale
        return min(max(at, now - slack), now + slack)

    def heard(self, at: float) -> float:
        """Return when it is heard of: what the nodes have seen by then, they have seen."""
        return max(self.believe(at), self.now())

    def check(self, at: float) -> None:
        """Do nothing: what is believed can be."""

    def ends_before(self, at: float) -> bool:
        return False

    def story(self, run: str) -> str:
        """Return the lab's: all runs share its clock."""
        return ""

    def observe(self, at: float) -> None:
        """Do nothing: this clock runs by itself."""

    def reconcile(self, at: float, touched: float) -> float:
        return max(at, touched)


class VirtualClock:
    """Emulated time is what the nodes state; nothing depends on the wall clock.

    Lazy aging lets operations on different qubits come in any order; on one qubit time never runs backwards.
    ``shared``: parties take turns (``shared_state.turns``), so that all runs have one course of time.
    """

    def __init__(self) -> None:
        self._latest = 0.0
        self.shared = False

    def now(self) -> float:
        return self._latest

    def believe(self, at: float) -> float:
        return at

    def heard(self, at: float) -> float:
        return at

    def check(self, at: float) -> None:
        latest = min(self._latest + MAX_LEAP, MAX_TIME)
        if at > latest:
            raise BadRequest(
                f"the operation is stated for {at!r} s, and the lab is at {self._latest!r} s: one operation "
                f"leaps at most {MAX_LEAP:g} s ahead, and virtual time ends at {MAX_TIME:g} s."
            )

    def ends_before(self, at: float) -> bool:
        return at > MAX_TIME

    def story(self, run: str) -> str:
        """Return the lab's when turns are taken; otherwise the run without what follows a slash.

        Runs of parties that state their own times have clocks of their own, and the parts of one share it.
        """
        return "" if self.shared else run.partition("/")[0]

    def observe(self, at: float) -> None:
        self._latest = max(self._latest, at)

    def reconcile(self, at: float, touched: float) -> float:
        if at < touched - ROUNDING * max(1.0, touched):
            raise TimeReversed(
                f"the operation is stated for {at!r} s, and the qubit was last touched at {touched!r} s: "
                "an operation in virtual time must not lie before the last one on the same qubit."
            )
        return max(at, touched)


def lab_clock(config: ClockConfig, monotonic: Callable[[], float], age: float = 0.0) -> LabClock:
    """Return the clock of this mode; ``monotonic`` returns wall seconds from any origin.

    ``age``: how many wall seconds ago the lab began, in real-time mode.
    """
    return VirtualClock() if config.mode == "virtual" else RealTimeClock(config.scale, monotonic, age)
