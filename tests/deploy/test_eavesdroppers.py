"""Eavesdroppers of the lab file: by order, for the time of a run, or both, and what is left of it afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from deploy.cli import eve as command
from deploy.cli.app import app
from deploy.eavesdroppers import Eavesdroppers
from deploy.errors import NotFound
from deploy.eve import Eve
from deploy.jobs import Job, request_for
from deploy.moments import Moments
from deploy.plan import plan
from deploy.topology import read
from nodes.runtime.conductor import Conductor
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from tests.nodes.runtime.key_labs import EVE, TWO, agreed, world

QKD = RunRequest("qkd", TWO, parameters={"pulses": 20_000})


@dataclass
class Tapped:
    """A lab in memory, and who listens in it."""

    lab: Conductor
    eves: Eavesdroppers

    async def listens(self) -> bool:
        """Tell whether Eve has something of a key that is made now, and whether the lab says the same."""
        before = (await self.lab.oracle.tap_report(EVE)).pulses
        await self.lab.run(QKD)
        heard = (await self.lab.oracle.tap_report(EVE)).pulses > before
        [told] = await self.eves.all()
        assert told.enabled == heard
        return heard


@asynccontextmanager
async def tapped(record: Path | None = None, *, enabled: bool = False) -> AsyncIterator[Tapped]:
    """Bring up two nodes and a fibre with an eavesdropper of the lab file."""
    there = world(tap={"position": 2e3})
    there = replace(there, taps={EVE: replace(there.taps[EVE], enabled=enabled)})
    async with in_memory_lab(there, agreements=agreed(), record=record) as lab:
        yield Tapped(lab, Eavesdroppers(there.taps, lab.oracle, Moments(lab.oracle)))


async def test_one_who_listens_for_a_run_is_gone_when_it_is_over() -> None:
    async with tapped() as there:
        async with there.eves.tapped(EVE):
            assert await there.listens()
        assert not await there.listens()


async def test_one_who_was_attached_before_the_run_stays() -> None:
    async with tapped() as there:
        await there.eves.attach_known(EVE, None)
        async with there.eves.tapped(EVE):
            assert await there.listens()
        assert await there.listens()
        await there.eves.detach(EVE, None)
        assert not await there.listens()


@pytest.mark.parametrize("before", [False, True])
async def test_one_who_is_detached_in_the_middle_of_a_run_that_wants_her_goes_with_the_run(
    before: bool,
) -> None:
    async with tapped() as there:
        if before:
            await there.eves.attach_known(EVE, None)
        async with there.eves.tapped(EVE):
            async with there.eves.tapped(EVE):
                await there.eves.detach(EVE, None)
                assert await there.listens()
            assert await there.listens(), "another run wants her still"
        assert not await there.listens()


async def test_one_who_is_attached_in_the_middle_of_a_run_stays() -> None:
    async with tapped() as there:
        async with there.eves.tapped(EVE):
            await there.eves.detach(EVE, None)
            await there.eves.attach_known(EVE, None)
        assert await there.listens()


@pytest.mark.parametrize("enabled", [False, True])
async def test_a_run_that_fails_leaves_her_as_the_lab_file_has_her(enabled: bool) -> None:
    async with tapped(enabled=enabled) as there:
        with pytest.raises(ZeroDivisionError):
            async with there.eves.tapped(EVE):
                raise ZeroDivisionError
        assert await there.listens() == enabled


async def test_the_end_of_a_run_is_no_event_for_one_who_stays(tmp_path: Path) -> None:
    (tmp_path / "record").write_text("head\n")
    async with tapped(tmp_path / "record") as there:
        await there.eves.attach_known(EVE, None)
        async with there.eves.tapped(EVE):
            await there.listens()
    events = [json.loads(line) for line in (tmp_path / "record").read_text().splitlines()[1:]]
    last_light = max(number for number, each in enumerate(events) if each["event"].startswith("pulses"))
    assert not any(each["event"] == "tap.set" for each in events[last_light:]), (
        "that would be told on the wall"
    )


async def test_who_is_not_there_cannot_go() -> None:
    async with tapped() as there:
        with pytest.raises(NotFound, match="unknown eavesdropper 'evee'; did you mean 'eve'"):
            await there.eves.detach("evee", None)


@pytest.mark.parametrize(
    ("taps", "says"),
    [("taps: {eve: {link: alice-bob}}\n", "did you mean 'eve'"), ("", "unknown tap 'evee'")],
)
def test_a_run_can_only_want_one_of_the_lab_file(taps: str, says: str) -> None:
    text = f"name: two\nnodes: {{alice: , bob: }}\nlinks: [{{endpoints: [alice, bob], length: 5 km}}]\n{taps}"
    with pytest.raises(NotFound, match=says):
        request_for(Job("qkd", TWO, tap="evee"), plan(read(text, Path("two.yaml"))))


@pytest.mark.parametrize(
    ("keeps", "says"), [(False, "Eavesdropper eve has left lab metro."), (True, "is over")]
)
def test_the_command_says_when_a_run_keeps_her(
    monkeypatch: pytest.MonkeyPatch, keeps: bool, says: str
) -> None:
    class Lab:
        """A lab in which a run keeps Eve, or none."""

        def __init__(self, socket: Path) -> None:
            self.gone = list[str]()

        async def detach_eve(self, name: str) -> None:
            self.gone.append(name)

        async def eves(self) -> list[Eve]:
            assert self.gone == ["eve"]
            others = Eve("eve-2", "alice-bob", "intercept-resend", 1.0, 0.0, True, {})
            return [others, replace(others, name="eve", enabled=keeps)]

    registry = SimpleNamespace(find=lambda running: SimpleNamespace(name="metro", socket=Path()))
    monkeypatch.setattr(command, "RemoteLab", Lab)
    monkeypatch.setattr(command, "Registry", lambda: registry)
    told = CliRunner().invoke(app, ["eve", "detach", "eve"])
    assert (told.exit_code, says in told.stderr) == (0, True)
    assert json.loads(CliRunner().invoke(app, ["eve", "detach", "eve", "--json"]).stdout)["attached"] == keeps
