"""Halts of virtual time that are booked: what is not used is given back, or the lab would stand still for ever."""

from __future__ import annotations

import asyncio
from typing import cast

from deploy.moments import Moments
from shared_state.oracle import OracleClient
from shared_state.wire import Message


class Ledger:
    """An oracle of virtual time that notes who halts it and who lets it go on."""

    mode, scale = "virtual", 1.0

    def __init__(self) -> None:
        self.halts: dict[str, float | None] = {}
        self.gone_on: list[str] = []

    def halting(self, who: str, until: float | None) -> asyncio.Future[Message]:
        """Stop at once."""
        self.halts[who] = until
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        answer.set_result(until or 0.0)
        return answer

    async def go_on(self, who: str) -> None:
        """Note who lets time go on."""
        self.gone_on.append(who)

    async def intervene(self, at: float, what: str, arguments: str) -> None:
        """Take note of nothing."""


async def test_a_booked_halt_is_used_once_and_not_given_back_then() -> None:
    ledger = Ledger()
    moments = Moments(cast(OracleClient, ledger))
    booked = moments.book(2.0)
    async with moments.intervening("set_link", 2.0) as now:
        assert now == 2.0
    await moments.give_back(2.0, booked)
    assert list(ledger.halts) == ledger.gone_on == ["intervention-1"]


async def test_of_two_at_the_same_time_the_one_that_was_not_used_is_given_back() -> None:
    ledger = Ledger()
    moments = Moments(cast(OracleClient, ledger))
    refused, done = moments.book(2.0), moments.book(2.0)
    async with moments.intervening("set_link", 2.0):
        await moments.give_back(2.0, refused)
    await moments.give_back(2.0, done)
    assert sorted(ledger.gone_on) == sorted(ledger.halts)
