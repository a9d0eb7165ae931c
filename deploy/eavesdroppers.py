"""The eavesdroppers of a lab that is up: those of the lab file, and those who came later."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from itertools import count
from typing import Any, Final, get_args, get_type_hints

from deploy.errors import NotFound, UsageError, ValueInvalid
from deploy.eve import Eve
from deploy.fields import NAME_PATTERN
from deploy.lab import Link
from deploy.moments import Moments
from deploy.units import LENGTH
from deploy.wording import quoted, unknown
from shared_state.config import TapConfig
from shared_state.errors import SharedStateError
from shared_state.oracle import OracleClient

STRATEGIES: Final[tuple[str, ...]] = get_args(get_type_hints(TapConfig)["strategy"])


class Eavesdroppers:
    """Those of ``taps``, which the lab file knows, and all who come later."""

    def __init__(self, taps: Mapping[str, TapConfig], oracle: OracleClient, moments: Moments) -> None:
        self._known = taps
        self._oracle = oracle
        self._moments = moments
        self._taps = dict(taps)
        self._enabled = {name for name, tap in taps.items() if tap.enabled}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def tapped(self, tap: str | None) -> AsyncIterator[None]:
        """Keep one of the lab file switched on inside the block, for every run that uses its link meanwhile."""
        if tap is None:
            yield
            return
        self._users[tap] += 1
        try:
            await self._oracle.set_tap(tap, True)
            yield
        finally:
            self._users[tap] -= 1
            if not self._users[tap] and tap not in self._enabled:
                await self._oracle.set_tap(tap, False)

    async def attach(
        self,
        link: Callable[[], Link],
        strategy: str,
        fraction: float,
        at: str | None,
        name: str | None,
        when: float | None,
    ) -> str:
        """Let one in on a ``link``, as it is then; return its name, which is the next free one where it is None."""
        attacked = link().name
        if when is None:  # later it may be another matter
            newcomer(link(), strategy, fraction, at)
            self._check_free(name)
        async with self._moments.intervening(
            "attach_eve", when, link=attacked, strategy=strategy, fraction=fraction, at=at, name=name
        ):
            tap = newcomer(link(), strategy, fraction, at)
            self._check_free(name)
            name = free_name(self._taps) if name is None else name
            self._taps[name] = tap
            try:
                await self._oracle.attach_tap(name, tap)
            except SharedStateError:
                del self._taps[name]
                raise
            self._enabled.add(name)
        return name

    def knows(self, name: str) -> bool:
        """Tell whether the lab file has one of this name."""
        return name in self._known

    async def attach_known(self, name: str, when: float | None) -> str:
        """Let one of the lab file in; return its name."""
        async with self._moments.intervening("attach_eve", when, link=name):
            self._enabled.add(name)
            await self._oracle.set_tap(name, True)
        return name

    async def detach(self, name: str, when: float | None) -> None:
        """Let one go. Raise ``NotFound`` where there is none of this name."""
        if when is None:  # later it may be another matter
            self._check(name)
        async with self._moments.intervening("detach_eve", when, name=name):
            self._check(name)
            self._enabled.discard(name)
            if self.knows(name):
                await self._oracle.set_tap(name, self._users[name] > 0)
            else:
                del self._taps[name]
                await self._oracle.detach_tap(name)

    async def all(self) -> list[Eve]:
        """Tell of all of them, and what they have had so far."""
        return [await self._told(name, tap) for name, tap in list(self._taps.items())]

    def check_reach(self, link: Link) -> None:
        """Raise ``UsageError`` where the fibre of a link does not reach somebody who sits on it."""
        for name, tap in self._taps.items():
            if tap.link == link.name and tap.position > link.length:
                raise UsageError(
                    f"eavesdropper {quoted(name)} sits {tap.position / 1e3:g} km from the first end of link "
                    f"{quoted(link.name)}, and {link.length / 1e3:g} km of fibre do not reach it; detach it first, or "
                    "leave more"
                )

    async def _told(self, name: str, tap: TapConfig) -> Eve:
        report = await self._oracle.tap_report(name)
        enabled = name in self._enabled or self._users[name] > 0
        return Eve(name, tap.link, tap.strategy, tap.fraction, tap.position, enabled, asdict(report))

    def _check_free(self, name: str | None) -> None:
        if name in self._taps:
            raise UsageError(
                f"there is an eavesdropper {quoted(name)} already; detach it, or name another one"
            )
        if name is not None and re.fullmatch(NAME_PATTERN, name, re.ASCII) is None:
            raise UsageError(f"{quoted(name)} is no name of an eavesdropper; write one like eve-2")

    def _check(self, name: str) -> None:
        if name not in self._taps:
            raise NotFound(unknown("eavesdropper", name, self._taps))


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


def _strategy(written: str) -> Any:
    return written
