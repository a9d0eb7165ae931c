"""Pictures of the world: what they keep, when they are taken, and what they cost the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shared_state import journal as journal_module
from shared_state import service as service_module
from shared_state.arguments import pack_bits
from shared_state.clock import lab_clock
from shared_state.config import ClockConfig, MemoryConfig, NodeDevices, ServerConfig, WernerSource
from shared_state.connection import Connection
from shared_state.conversation import Answered, Conversation
from shared_state.dice import Dice
from shared_state.errors import JournalFailed
from shared_state.journal import LONGEST_REPLAY, REPLAYED, Journal
from shared_state.picture import paint, view
from shared_state.service import Service
from shared_state.session import Session
from shared_state.standing import Standing

LINK = "alice-charlie"


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    nodes = {name: NodeDevices(MemoryConfig(50, t1=2.0, t2=1.0)) for name in config.world.nodes}
    links = {
        name: replace(link, source=WernerSource(rate=100.0, fidelity=0.9))
        for name, link in config.world.links.items()
    }
    return replace(config, world=replace(config.world, nodes=nodes, links=links))


class World:
    """A standing and who speaks to it, without bytes; every answer is kept by its session."""

    def __init__(self, config: ServerConfig) -> None:
        self.clock = lab_clock(config.world.clock, lambda: 1.0, 0.0)
        self.standing = Standing(config.world, self.clock, Dice(7))
        for name in ("alice", "charlie", "bob"):
            self.standing.begin("node", name, f"{name}/1")
        self.standing.begin("oracle", "control", "control/1")

    def ask(self, name: str, word: str, *arguments: Any) -> None:
        session = self.session(name)
        session.accept(session.applied + 1)
        self.standing.take(session, session.applied, 0, word, list(arguments))

    def session(self, name: str) -> Session:
        return self.standing.sessions["oracle" if name == "control" else "node", name]

    def heard(self) -> dict[str, list[Any]]:
        """Return every answer so far, as bytes."""
        return {
            name: [answer.frame for answer in s._answers] for (_, name), s in self.standing.sessions.items()
        }

    def viewed(self) -> World:
        """Return the world of a picture of this one."""
        other = World.__new__(World)
        other.clock = self.clock
        other.standing = view(paint(self.standing), self.clock)
        return other


def furnish(world: World) -> None:
    """Let there be something of all that a picture has to keep. Qubits: alice 0 3 6, charlie 1 4 7."""
    bits = pack_bits(np.resize(np.array([0, 1, 1], dtype=np.uint8), 100))
    for name in ("alice", "charlie"):
        world.ask(name, "pair", 0.1, "run", LINK, None)
        world.ask(name, "pairs", 0.2, "run", LINK, 5, None)
    for name in ("charlie", "bob"):
        world.ask(name, "pair", 0.3, "run", "charlie-bob", None)
    world.ask("alice", "qubit", 0.2, "run")
    world.ask("alice", "gate", 0.3, "h", [3], [])
    world.ask("alice", "gate", 0.4, "cnot", [3, 0], [])
    world.ask("alice", "qubit", 0.4, "run")
    world.ask("alice", "transmit", 0.5, "run", LINK, 6)  # flies, and nobody receives it
    world.ask("alice", "emit_train", 0.5, "run", LINK, 1000)
    world.ask("alice", "emit_pulses", 0.6, "run", LINK, bits, bits, None)
    world.ask("alice", "gate", 0.6, "h", [4], [])  # fails, and is told later
    world.ask("bob", "pair", 0.6, "other", "charlie-bob", None)  # waits
    world.ask("charlie", "qubit", 0.6, "run")
    world.ask("charlie", "hand_over", 0.7, [7])


def go_on(world: World) -> None:
    """Let all of it matter."""
    bits = pack_bits(np.resize(np.array([0, 1, 1], dtype=np.uint8), 100))
    world.ask("control", "census")
    world.ask("control", "density_matrix", [0, 3])
    world.ask("alice", "sync")
    world.ask("charlie", "bell_measure", 1.0, 1, 4)
    world.ask("charlie", "pair", 1.0, "other", "charlie-bob", None)
    world.ask("charlie", "receive", 1.0, "run", LINK)
    world.ask("charlie", "measure_train", 1.0, "run", LINK, 1000)
    world.ask("charlie", "measure_pulses", 1.0, "run", LINK, bits)
    world.ask("alice", "tally", "run", 1)
    world.ask("alice", "recall", "run", 1, bytes([3, 0, 0, 0]))
    world.ask("alice", "measure_pairs", 1.1, -1, bytes(5))
    world.ask("control", "pair_fidelities", "charlie", -1)
    world.ask("control", "tap_report", "eve")
    world.ask("alice", "measure", 1.1, 3, "X")
    world.ask("charlie", "bye")
    world.ask("alice", "measure", 1.2, 0, "Z")
    world.ask("bob", "measure", 1.2, 2, "Z")
    world.ask("control", "census")


@pytest.mark.parametrize("mode", ["virtual", "real-time"])
def test_what_follows_from_a_picture_is_what_follows_from_the_world(config: ServerConfig, mode: str) -> None:
    config = replace(config, world=replace(config.world, clock=ClockConfig(mode)))  # type: ignore[arg-type]
    world = World(config)
    furnish(world)
    nature = world.standing.nature
    census = world.standing._census()
    assert (len(nature.state), census[2]) == (7, {"alice": 7, "charlie": 7, "bob": 1})
    other = world.viewed()
    assert other.standing._census() == census
    assert other.heard() == world.heard()
    go_on(world)
    go_on(other)
    assert other.heard() == world.heard()


def test_a_picture_has_the_other_half_of_each_pair_and_leaves_connections_out(config: ServerConfig) -> None:
    world = World(config)
    furnish(world)
    world.session("alice").connection = Connection(lambda _: None, {}, 5.0)
    other = world.viewed()
    assert other.session("alice").connection is None
    half = other.standing.nature.ledger.held_by("charlie", 4)
    assert half.partner is other.standing.nature.ledger.held_by("bob", 2)
    assert half.partner.partner is half


class Lab:
    """A service with a journal and one client, on a clock that the test turns."""

    def __init__(self, config: ServerConfig, path: Path) -> None:
        self.wall = 0.0
        self.journal = Journal(path, config, 0.0)
        self.service = Service(config, lambda: self.wall, self.journal)
        self.answers = 0
        self.client = Conversation(
            lab=config.lab, name="alice", token=config.credentials["alice"], role="node"
        )
        self.line = self.service.open(self._hear)
        self.service.receive(self.line, self.client.hello())

    def say(self, word: str, *arguments: Any) -> None:
        self.service.receive(self.line, self.client.request(word, list(arguments))[1])

    def _hear(self, line: Connection) -> None:
        heard = self.client.receive(line.take_output())
        self.answers += sum(isinstance(event, Answered) for event in heard)


@pytest.fixture
def lab(config: ServerConfig, tmp_path: Path) -> Lab:
    return Lab(config, tmp_path / "journal")


def slowly(lab: Lab, seconds: float, deed: Callable[..., Any]) -> Callable[..., Any]:
    """Let a deed take so many seconds on the lab's clock."""

    def slow(*arguments: Any) -> Any:
        lab.wall += seconds
        return deed(*arguments)

    return slow


def test_a_few_seconds_of_work_are_enough_for_a_picture_however_few_the_bytes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Standing, "take", slowly(lab, REPLAYED / 4, Standing.take))
    for _ in range(4):
        lab.say("qubit", 0.0, "run")
    assert lab.journal.picture() is None
    lab.say("qubit", 0.0, "run")
    assert lab.journal.picture() is not None
    assert list(lab.journal.entries()) == []


def test_pictures_take_a_small_share_of_the_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[float] = []

    def paint_slowly(world: object) -> bytes:
        lab.wall += 1.2
        taken.append(lab.wall)
        return paint(world)

    monkeypatch.setattr(service_module, "paint", paint_slowly)
    monkeypatch.setattr(Standing, "take", slowly(lab, 1.0, Standing.take))
    for _ in range(31):
        lab.say("sync")
    assert 1.2 * (len(taken) - 1) <= 0.1 * lab.wall
    assert len(taken) == 3


def test_a_restart_takes_no_longer_than_clients_dial_however_long_a_picture_takes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []

    def paint_slowly(world: object) -> bytes:
        lab.wall += 5.0
        taken.append(lab.wall)
        return paint(world)

    monkeypatch.setattr(service_module, "paint", paint_slowly)
    monkeypatch.setattr(Standing, "take", slowly(lab, 1.0, Standing.take))
    for _ in range(3 + 3 * (int(LONGEST_REPLAY) + 1)):
        lab.say("sync")
    assert len(taken) == 4


def test_what_a_restart_has_done_again_counts_towards_the_next_picture(
    config: ServerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(config, tmp_path / "journal")
    with monkeypatch.context() as patch:
        patch.setattr(Standing, "take", slowly(lab, 0.9 * REPLAYED, Standing.take))
        lab.say("qubit", 0.0, "run")
    assert lab.journal.picture() is None
    lab.journal.close()
    journal = Journal(tmp_path / "journal", config, 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Standing, "take", slowly(lab, 1.1 * REPLAYED, Standing.take))
        Service(config, lambda: lab.wall, journal)
    assert journal.long
    journal.close()


def test_nobody_waits_for_a_picture_to_be_answered(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[int] = []

    def watched(world: object) -> bytes:
        answered.append(lab.answers)
        return paint(world)

    monkeypatch.setattr(journal_module, "PICTURE_AFTER", 1)
    monkeypatch.setattr(lab.journal, "_enough_written", 1)
    monkeypatch.setattr(service_module, "paint", watched)
    lab.say("qubit", 0.0, "run")
    assert answered == [1]


@pytest.mark.parametrize("error", [MemoryError(), OverflowError("too long"), ValueError("cannot pickle")])
def test_a_picture_that_cannot_be_taken_ends_the_server(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failures: list[JournalFailed] = []
    lab.service.on_failure = failures.append

    def fail(world: object) -> bytes:
        raise error

    monkeypatch.setattr(service_module, "paint", fail)
    monkeypatch.setattr(lab.journal, "_enough_written", 1)
    lab.say("qubit", 0.0, "run")
    assert lab.line.severed
    (failure,) = failures
    assert str(error) in failure.message
    assert failure.__cause__ is error
    lines: list[bool] = []
    lab.service.open(lambda line: lines.append(line.severed))
    assert lines == [True]


@pytest.mark.parametrize("error", [MemoryError(), OverflowError("too long"), ValueError("nested too deep")])
def test_an_entry_that_cannot_be_written_ends_the_server_unanswered(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failures: list[JournalFailed] = []
    lab.service.on_failure = failures.append

    def fail(entry: object) -> bytes:
        raise error

    monkeypatch.setattr(journal_module, "msgpack", SimpleNamespace(packb=fail))
    lab.say("qubit", 0.0, "run")
    lab.say("qubit", 0.0, "run")
    assert lab.answers == 0
    assert lab.line.severed
    assert [failure.__cause__ for failure in failures] == [error]


def test_a_picture_of_ten_thousand_qubits_takes_less_than_half_a_second(config: ServerConfig) -> None:
    nodes = {name: NodeDevices(MemoryConfig(10_000)) for name in config.world.nodes}
    world = World(replace(config, world=replace(config.world, nodes=nodes)))
    for _ in range(5000):
        world.ask("alice", "pair", 0.0, "run", LINK, None)
        world.ask("charlie", "pair", 0.0, "run", LINK, None)
    began = time.process_time()
    paint(world.standing)
    assert time.process_time() - began < 0.5  # 0.05 s where nothing else is done
