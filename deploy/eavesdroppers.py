"""The eavesdroppers of a lab that is up: those of the lab file, and those who came later."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, get_args, get_type_hints

from deploy.errors import NotFound, UsageError, ValueInvalid
from deploy.lab import Link
from deploy.units import LENGTH
from deploy.wording import quoted, unknown
from shared_state.config import TapConfig
from shared_state.world.taps import TapReport

STRATEGIES: Final[tuple[str, ...]] = get_args(get_type_hints(TapConfig)["strategy"])


@dataclass(frozen=True, slots=True)
class Eve:
    """An eavesdropper now, ``at`` so many metres from the first endpoint of its link.

    ``report``: pulses that came by, photons kept, pulses sent on in place of what was measured.
    """

    name: str
    link: str
    strategy: str
    fraction: float
    at: float
    enabled: bool
    report: dict[str, int]


def eve_of(name: str, tap: TapConfig, enabled: bool, report: TapReport) -> Eve:
    """Tell of an eavesdropper."""
    books: dict[str, Any] = {"pulses": report.pulses, "kept": report.kept, "resent": report.resent}
    return Eve(name, tap.link, tap.strategy, tap.fraction, tap.position, enabled, books)


def newcomer(link: Link, strategy: str, fraction: float, at: str | None) -> TapConfig:
    """Describe an eavesdropper on a link, at its first endpoint where ``at`` says nothing.

    Raise ``UsageError`` for what none can be.
    """
    if strategy not in STRATEGIES:
        raise UsageError(unknown("strategy", strategy, STRATEGIES))
    if not 0 <= fraction <= 1:
        raise UsageError(f"no eavesdropper attacks a fraction of {fraction:g}; write one from 0 to 1")
    try:
        position = 0.0 if at is None else LENGTH.parse(at)
    except ValueInvalid as error:
        raise UsageError(f"at: {error.what}; write {error.instead}") from error
    if position > link.length:
        raise UsageError(
            f"{at} is beyond the end of link {quoted(link.name)}; write {link.length / 1e3:g} km or less"
        )
    return TapConfig(
        link.name, strategy=_strategy(strategy), fraction=fraction, position=position, enabled=True
    )


def free_name(taken: Collection[str]) -> str:
    """Return a name for the next one: eve, eve-2, eve-3, ..."""
    names = ("eve" if number == 1 else f"eve-{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def check_known(name: str, known: Collection[str]) -> None:
    """Raise ``NotFound`` unless an eavesdropper of this name is there."""
    if name not in known:
        raise NotFound(unknown("eavesdropper", name, known))


def _strategy(written: str) -> Any:
    return written
