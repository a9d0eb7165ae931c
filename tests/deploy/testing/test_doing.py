"""What a test has done to a lab is undone: what was cut short as well, and whatever else fails to be."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from typing import Any, cast

import pytest

from deploy.errors import LabFailed, UsageError
from deploy.eve import Eve
from deploy.faults import Faults
from deploy.testing.doing import Doing
from deploy.testing.events import Events
from deploy.testing.links import EveHandle, LinkHandle
from deploy.testing.standing import StandingLab


class Here:
    """A thread that is this one."""

    async def do(self, what: str, work: Coroutine[Any, Any, Any]) -> Any:
        """Do some work."""
        return await work

    def wait_for(self, work: Coroutine[Any, Any, Any], what: str) -> Any:
        """Do some work to its end."""
        with asyncio.Runner() as runner:
            return runner.run(work)


class Broken(Faults):
    """A lab with one link, whose file knows mallory, and which does as ``fails`` says."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict[str, Any]]] = []
        self.fails: dict[str, BaseException] = {}
        self.listening = {"mallory": True}

    async def carry_out(self, what: str, arguments: Mapping[str, Any]) -> Any:
        """Do something."""
        if what == "eves":
            return [
                asdict(Eve(name, "ab", "intercept-resend", 0.5, 3e3, on, {}))
                for name, on in self.listening.items()
            ]
        self.done.append((what, dict(arguments)))
        if what in self.fails:
            raise self.fails[what]
        if what == "attach_eve":
            name = arguments.get("name") or (arguments["link"] if arguments["link"] == "mallory" else "eve")
            self.listening[name] = True
            return name
        if what == "detach_eve":
            if arguments["name"] == "mallory":
                self.listening["mallory"] = False
            else:
                del self.listening[arguments["name"]]
        return None


class Lab:
    """As much of a lab that stands as faults need."""

    def __init__(self) -> None:
        self.thread = Here()
        self.controls = Broken()


class NoEvents:
    """Nobody waits for events."""

    def mark(self) -> None:
        """Take note of nothing."""


@pytest.fixture
def lab() -> Lab:
    """Return the lab."""
    return Lab()


@pytest.fixture
def doing(lab: Lab) -> Doing:
    """Return what a test does to it."""
    return Doing(cast(StandingLab, lab), cast(Events, NoEvents()))


def test_what_was_cut_short_is_undone_and_what_was_refused_is_not(lab: Lab, doing: Doing) -> None:
    link, controls = LinkHandle(doing, "ab"), lab.controls
    for error, undone in (
        (asyncio.CancelledError(), True),
        (LabFailed("it does not answer"), True),
        (UsageError("there is no such link"), False),
    ):
        controls.fails = {"set_link": error}
        with pytest.raises(type(error)):
            asyncio.run(link.down())
        controls.fails, controls.done = {}, []
        doing.undo()
        assert controls.done == ([("set_link", {"name": "ab", "up": True})] if undone else [])


def test_an_undo_that_fails_keeps_no_other_from_it_and_is_told(lab: Lab, doing: Doing) -> None:
    one, other = LinkHandle(doing, "ab"), LinkHandle(doing, "cd")
    asyncio.run(one.down())
    asyncio.run(other.set(length="3 km"))
    lab.controls.fails, lab.controls.done = {"reset_link": LabFailed("it is gone")}, []
    with pytest.raises(LabFailed, match="it is gone"):
        doing.undo()
    assert [what for what, _ in lab.controls.done] == ["reset_link", "set_link"]


def test_whoever_listened_before_does_so_afterwards_and_nobody_else(lab: Lab, doing: Doing) -> None:
    eve, controls = EveHandle(doing), lab.controls
    controls.listening["trudy"] = True
    before = dict(controls.listening)

    async def change() -> None:
        assert await eve.attach("ab") == "eve"
        await eve.detach("mallory")
        await eve.detach("trudy")

    asyncio.run(change())
    assert controls.listening == {"mallory": False, "eve": True}
    controls.done.clear()
    doing.undo()
    assert controls.listening == before
    assert controls.done[-1] == (
        "attach_eve",
        {"link": "ab", "name": "trudy", "strategy": "intercept-resend", "fraction": 0.5, "at": "3000.0 m"},
    )


def test_one_of_the_lab_file_that_listened_before_is_not_let_go(lab: Lab, doing: Doing) -> None:
    asyncio.run(EveHandle(doing).attach("mallory"))
    doing.undo()
    assert lab.controls.listening == {"mallory": True}
