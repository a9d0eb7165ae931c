"""Chaos: faults at random that can be had again, each healed in time.

``schedule`` is a pure function: the same lab, seed, duration and intensity give the same faults at the same times.
Faults begin as a Poisson process and last between half a second and five, no two at the same link or node at a time.
``unleash`` carries a schedule out on a lab, here or behind a control plane; what is broken when it is cancelled is
healed before it returns.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import log
from typing import Any, Final, TypeAlias, TypeVar

from deploy.errors import ControlUnreachable, DeployError, UsageError
from deploy.faults import Faults
from deploy.interventions import REPEATABLE
from deploy.lab import Link
from deploy.plan import Plan
from nodes.ports import Coin
from nodes.runtime.causes import root_cause
from nodes.runtime.coin import make_coin
from shared_state.errors import SharedStateError

SHORTEST, LONGEST = 0.5, 5.0
"""How long a fault lasts, in seconds of the lab's clock."""
MOST_FAULTS: Final = 100_000
_WEIGHTS: Final[Mapping[str, int]] = {"cut": 3, "worsen": 3, "eve": 2, "pause": 2, "kill": 1, "partition": 1}
_OF_PROCESSES: Final = ("pause", "kill")
_AHEAD: Final = 16
"""So many steps wait for their time at once: in virtual time none must be asked for when its time has passed."""

Target: TypeAlias = tuple[str, str]
_Deed: TypeAlias = tuple[str, dict[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """One half of fault number ``fault``: ``at`` seconds after the beginning, ``what`` of ``Faults`` is done.

    ``heals``: it is the second half.
    """

    at: float
    fault: int
    what: str
    arguments: dict[str, Any]
    heals: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that has been taken, and what has gone wrong with it, empty if nothing has."""

    step: Step
    error: str = ""


def schedule(plan: Plan, seed: int, duration: float, intensity: float = 0.5) -> list[Step]:
    """Draw faults for ``duration`` seconds of the lab's clock, ``intensity`` of which begin per second.

    Where time is virtual no process is touched: that happens on the wall, where emulated time does not. Raise
    ``UsageError`` for numbers that make no schedule.
    """
    if not 0 < duration <= 1e6 or not 0 < intensity * duration <= MOST_FAULTS:
        raise UsageError(
            f"{intensity:g} faults per second for {duration:g} s make no schedule; write a duration of up to 1000000 s "
            f"and no more than {MOST_FAULTS} faults"
        )
    coin, steps = make_coin(seed, "chaos"), list[Step]()
    busy: dict[Target, float] = {}
    at = 0.0
    while (at := at - log(1 - coin.uniform()) / intensity) + SHORTEST < duration:
        until = min(duration, at + SHORTEST + (LONGEST - SHORTEST) * coin.uniform())
        free = [kind for kind in _kinds(plan) if _free(plan, kind, busy, at)]
        if not free:
            continue
        kind = _weighted(free, coin)
        target = _pick(_free(plan, kind, busy, at), coin)
        busy[target] = until
        number = len(steps) // 2 + 1
        (what, arguments), (undo, undone) = _fault(plan, kind, target[1], coin, f"chaos-{seed}-{number}")
        steps += [Step(at, number, what, arguments, False), Step(until, number, undo, undone, True)]
    return sorted(steps, key=lambda step: (step.at, step.fault, step.heals))


async def unleash(
    lab: Faults, steps: Sequence[Step], report: Callable[[Taken], None] = lambda taken: None
) -> None:
    """Carry a schedule out; ``report`` hears of each step when it has been taken.

    A step that fails is reported, and the rest goes on. Raise ``ControlUnreachable`` when the lab has gone.
    """
    try:
        await _Chaos(lab, await lab.now(), report).carry_out(steps)
    except BaseExceptionGroup as failures:
        raise root_cause(failures) from failures


class _Chaos:
    """One schedule on its way, begun at a time of the lab's clock. ``open``: faults whose second half is not over."""

    def __init__(self, lab: Faults, begun: float, report: Callable[[Taken], None]) -> None:
        self._lab = lab
        self._begun = begun
        self._report = report
        self._open: dict[int, tuple[Step, Step]] = {}
        self._taken: dict[int, asyncio.Event] = {}
        self._nodes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def carry_out(self, steps: Sequence[Step]) -> None:
        """Take all steps, each at its time."""
        ahead, heals = asyncio.Semaphore(_AHEAD), {step.fault: step for step in steps if step.heals}
        try:
            async with asyncio.TaskGroup() as group:
                for step in steps:
                    await ahead.acquire()
                    if not step.heals:
                        self._open[step.fault] = step, heals[step.fault]
                        self._taken[step.fault] = asyncio.Event()
                    group.create_task(self._take(step)).add_done_callback(lambda _: ahead.release())
        except BaseException:
            await self._heal()
            raise

    async def _take(self, step: Step) -> None:
        await self._reported(step, self._timely(step))
        if step.heals:
            del self._open[step.fault]
            if "node" in step.arguments and (node := self._nodes[step.arguments["node"]]).locked():
                node.release()
        else:
            self._taken[step.fault].set()

    async def _timely(self, step: Step) -> None:
        """Take a step at its time: a second half after the first one in any case."""
        when = self._begun + step.at
        if step.what in REPEATABLE:
            await self._do(step, when=when)
            return
        await self._lab.pass_time(max(0.0, when - await self._lab.now()))
        if step.heals:
            await self._taken[step.fault].wait()
        else:  # a node may be slow to come back
            await self._nodes[step.arguments["node"]].acquire()
        await self._do(step)

    async def _do(self, step: Step, **when: float) -> None:
        await self._lab.carry_out(step.what, {**step.arguments, **when})

    async def _heal(self) -> None:
        """Take the second halves of all faults that have begun, or may have begun in the last moment."""
        try:
            now = await self._lab.now()
        except ControlUnreachable:
            return
        for first, second in list(self._open.values()):
            if self._begun + first.at <= now:
                with suppress(ControlUnreachable):
                    await self._reported(second, self._do(second))

    async def _reported(self, step: Step, taking: Coroutine[Any, Any, None]) -> None:
        try:
            await taking
        except ControlUnreachable:
            raise
        except (DeployError, SharedStateError) as failure:
            self._report(Taken(step, str(failure)))
        else:
            self._report(Taken(step))


def _kinds(plan: Plan) -> list[str]:
    virtual = plan.world.clock.mode == "virtual"
    return [kind for kind in _WEIGHTS if not (virtual and kind in _OF_PROCESSES)]


def _free(plan: Plan, kind: str, busy: Mapping[Target, float], at: float) -> list[Target]:
    """Return what a fault of this kind can befall."""
    if kind == "partition":
        targets = [("lab", "")] if len(plan.nodes) > 1 else []
    elif kind in _OF_PROCESSES:
        targets = [("node", name) for name, node in plan.nodes.items() if not node.external]
    else:
        targets = [("link", name) for name in plan.links]
    return [target for target in targets if busy.get(target, 0.0) <= at]


def _fault(plan: Plan, kind: str, target: str, coin: Coin, eve: str) -> tuple[_Deed, _Deed]:
    """Return the two halves of a fault. ``eve``: what an eavesdropper is called, so that who detaches it knows."""
    match kind:
        case "cut":
            return ("set_link", {"name": target, "up": False}), ("set_link", {"name": target, "up": True})
        case "worsen":
            changes = _worse(plan.links[target], coin)
            return ("change_link", {"name": target, "changes": changes}), ("reset_link", {"name": target})
        case "eve":
            fraction = round(0.1 + 0.9 * coin.uniform(), 2)
            strategy = _pick(("intercept-resend", "photon-number-splitting"), coin)
            arguments = {"link": target, "strategy": strategy, "fraction": fraction, "name": eve}
            return ("attach_eve", arguments), ("detach_eve", {"name": eve})
        case "partition":
            nodes = sorted(plan.nodes)
            side = [nodes[index] for index in coin.choose(len(nodes), 1 + _below(len(nodes) - 1, coin))]
            planes = _pick(("classical", "quantum", "both"), coin)
            return ("partition", {"groups": [side], "planes": planes}), ("heal", {})
    return (kind, {"node": target}), ("resume", {"node": target})


def _worse(link: Link, coin: Coin) -> dict[str, str]:
    match _below(3, coin):
        case 0:
            loss = link.devices.fibre.insertion_loss_db + 1 + 9 * coin.uniform()
            return {"insertion_loss": f"{loss:.1f} dB"}
        case 1:
            return {"classical.loss": f"{1 + _below(30, coin)} %"}
    return {
        "classical.extra_delay": f"{1 + _below(20, coin)} ms",
        "classical.jitter": f"{1 + _below(5, coin)} ms",
    }


def _weighted(kinds: Sequence[str], coin: Coin) -> str:
    return _pick([kind for kind in kinds for _ in range(_WEIGHTS[kind])], coin)


def _pick(choices: Sequence[T], coin: Coin) -> T:
    return choices[_below(len(choices), coin)]


def _below(high: int, coin: Coin) -> int:
    return int(coin.integers(high, 1)[0])
