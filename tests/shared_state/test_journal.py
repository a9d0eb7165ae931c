"""A server that dies and comes back: what was acknowledged has happened once, and nothing else has."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_state import journal as journal_module
from shared_state.arguments import pack_bits
from shared_state.config import (
    ClockConfig,
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    ServerConfig,
    TapConfig,
    WernerSource,
)
from shared_state.connection import Connection
from shared_state.conversation import Answered, Conversation, Refused, Welcome
from shared_state.devices import written
from shared_state.errors import JournalFailed, SessionExpired
from shared_state.journal import Journal
from shared_state.service import Service

Say = tuple[str, str, list[Any]]
LINK = "alice-charlie"
SHORTER = LinkDevices(("charlie", "bob"), FibreConfig(500.0), WernerSource(rate=50.0, fidelity=0.8))


class Lab:
    """A service with a journal and its clients, all in step; it can be killed and started again."""

    def __init__(self, config: ServerConfig, path: Path | None) -> None:
        self.config = config
        self.path = path
        self.heard: list[tuple[str, int, Any]] = []
        self.refused: list[Refused] = []
        self.deaf = False
        self._names: dict[Connection, str] = {}
        self._clients: dict[str, Conversation] = {}
        self._lines: dict[str, Connection] = {}
        self.start()

    def start(self) -> None:
        self.journal = None if self.path is None else Journal(self.path, self.config, 0.0)
        self.service = Service(self.config, lambda: 0.0, self.journal)
        self._lines.clear()

    def kill(self) -> None:
        """End the server without a word; everybody comes back to the next one."""
        assert self.journal is not None
        self.journal.close()
        self.start()
        self.deaf = False
        for name in self._clients:
            self.connect(name)

    def connect(self, name: str) -> None:
        role = "oracle" if name == "control" else "node"
        token = self.config.oracle_token if role == "oracle" else self.config.credentials[name]
        if name not in self._clients:
            self._clients[name] = Conversation(lab=self.config.lab, name=name, token=token, role=role)  # type: ignore[arg-type]
        line = self.service.open(self._hear)
        self._lines[name] = line
        self._names[line] = name
        self.service.receive(line, self._clients[name].hello())
        self.service.receive(line, self._clients[name].outstanding())

    def say(self, name: str, word: str, arguments: list[Any]) -> None:
        if name not in self._lines:
            self.connect(name)
        _, frame = self._clients[name].request(word, arguments)
        self.service.receive(self._lines[name], frame)

    def answers(self) -> dict[tuple[str, int], Any]:
        """Return every answer, having made sure that none came twice."""
        found = {(name, number): value for name, number, value in self.heard}
        assert len(found) == len(self.heard)
        return found

    def _hear(self, connection: Connection) -> None:
        data = connection.take_output()
        if self.deaf:
            return
        name = self._names[connection]
        for event in self._clients[name].receive(data):
            match event:
                case Answered(number, value, error):
                    self.heard.append((name, number, value if error is None else (error.code, error.message)))
                case Refused():
                    self.refused.append(event)
                case Welcome():
                    pass


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    nodes = {name: NodeDevices(MemoryConfig(8, t1=2.0, t2=1.0)) for name in config.world.nodes}
    links = {
        name: replace(link, source=WernerSource(rate=100.0, fidelity=0.9))
        for name, link in config.world.links.items()
    }
    return replace(config, world=replace(config.world, nodes=nodes, links=links))


def script() -> Iterator[Say]:
    """A story with everything that has dice, memory or somebody else in it. Qubit ids: alice 0 3 6, charlie 1 4 7."""
    yield "alice", "qubit", [0.0, "run"]
    yield "alice", "gate", [0.1, "h", [0], []]
    yield "alice", "pair", [0.2, "run", LINK, None]
    yield "charlie", "pair", [0.2, "run", LINK, None]
    yield "alice", "gate", [0.5, "cnot", [0, 3], []]
    yield "alice", "gate", [0.5, "x", [99], []]  # fails, and is told with the next answer
    yield "alice", "measure", [0.6, 0, "X"]
    yield "alice", "measure", [0.6, 0, "X"]
    yield "alice", "transmit", [0.7, "run", LINK, 3]
    yield "charlie", "receive", [0.7, "run", LINK]
    yield "charlie", "bell_measure", [0.9, 1, 4]
    bits = pack_bits(np.resize(np.array([0, 1, 1], dtype=np.uint8), 100))
    yield "bob", "measure_pulses", [0.0, "keys", "charlie-bob", bits]
    yield "charlie", "qubit", [1.0, "run"]
    yield "charlie", "gate", [1.0, "ry", [7], [1.0]]
    yield "charlie", "hand_over", [1.1, [7]]
    yield "control", "fidelity", [[7], np.array([1.0, 0.0], dtype=np.complex128).tobytes()]
    yield "alice", "emit_train", [1.2, "run", LINK, 50]
    yield "charlie", "measure_train", [1.2, "run", LINK, 50]
    yield "bob", "measure_directly", [1.2, "direct", "charlie-bob", 6, bytes([0, 1, 2, 2, 1, 0]), None, []]
    yield "charlie", "measure_directly", [1.2, "direct", "charlie-bob", 6, None, None, [0.0, 0.5]]
    yield "alice", "tally", ["run", 1]
    yield "alice", "recall", ["run", 1, bytes([3, 0, 0, 0])]
    yield "control", "set_tap", ["eve", True]
    yield "bob", "pair", [1.3, "cut", "charlie-bob", None]
    yield "control", "set_link", [1.3, "charlie-bob", False]
    yield "charlie", "pair", [1.3, "cut", "charlie-bob", None]
    yield "control", "set_link", [1.3, "charlie-bob", True]
    yield "control", "change_link", [1.3, "charlie-bob", written(SHORTER)]
    yield "control", "attach_tap", [1.3, "mallory", written(TapConfig("charlie-bob", enabled=True))]
    yield "bob", "pair", [1.3, "changed", "charlie-bob", None]
    yield "charlie", "pair", [1.3, "changed", "charlie-bob", None]
    yield "control", "tap_report", ["mallory"]
    yield "control", "detach_tap", [1.3, "mallory"]
    yield "control", "intervene", [1.3, "change_link", "{}"]
    yield "control", "halt", [2.0, "somebody"]
    yield "control", "go_on", ["somebody"]
    yield "alice", "close_run", ["run"]
    yield "alice", "bye", []
    yield "control", "census", []


def played(lab: Lab, kill_before: int = -1, deafen_at: int = -1) -> dict[tuple[str, int], Any]:
    for name in ("alice", "charlie", "bob", "control"):
        lab.connect(name)
    for number, (name, word, arguments) in enumerate(script()):
        if number == kill_before:
            lab.kill()
        lab.deaf = number == deafen_at
        lab.say(name, word, arguments)
        if lab.deaf:
            lab.kill()
    return lab.answers()


STEPS = len(list(script()))


@pytest.fixture(params=["virtual", "real-time"])
def either_clock(request: pytest.FixtureRequest, config: ServerConfig) -> ServerConfig:
    return replace(config, world=replace(config.world, clock=ClockConfig(request.param)))


def test_the_story_has_outcomes_errors_and_a_failure_that_is_kept(config: ServerConfig) -> None:
    answers = played(Lab(config, None))
    codes = {value[0] for value in answers.values() if isinstance(value, tuple)}
    assert "not-yours" in codes, answers
    assert len(answers) == STEPS - 5  # four gates and the pulses that nobody sent


@pytest.mark.parametrize("kill_before", range(STEPS))
def test_a_server_killed_between_two_requests_goes_on_as_if_nothing_had_been(
    either_clock: ServerConfig, tmp_path: Path, kill_before: int
) -> None:
    expected = played(Lab(either_clock, None))
    assert played(Lab(either_clock, tmp_path / "journal"), kill_before=kill_before) == expected


@pytest.mark.parametrize("deafen_at", range(STEPS - 3))
def test_an_answer_that_died_with_the_server_is_given_by_the_next(
    either_clock: ServerConfig, tmp_path: Path, deafen_at: int
) -> None:
    expected = played(Lab(either_clock, None))
    assert played(Lab(either_clock, tmp_path / "journal"), deafen_at=deafen_at) == expected


def test_a_picture_stands_for_all_that_went_before(
    config: ServerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "PICTURE_AFTER", 1)  # a picture of every few turns
    expected = played(Lab(config, None))
    for kill_before in range(0, STEPS, 3):
        path = tmp_path / f"journal-{kill_before}"
        lab = Lab(config, path)
        assert played(lab, kill_before=kill_before) == expected
        assert lab.journal is not None
        lab.journal.close()
        with sqlite3.connect(path) as file:
            (pictures,) = file.execute("SELECT count(*) FROM facts WHERE name = 'picture'").fetchone()
        assert pictures == 1


def test_without_a_seed_the_dice_are_the_same_after_a_restart(config: ServerConfig, tmp_path: Path) -> None:
    config = replace(config, world=replace(config.world, seed=None))
    path = tmp_path / "journal"
    first = Journal(path, config, 0.0)
    first.close()
    second = Journal(path, config, 0.0)
    second.close()
    other = Journal(tmp_path / "other", config, 0.0)
    other.close()
    assert first.entropy == second.entropy != other.entropy


def test_emulated_time_goes_on_while_the_server_is_dead(config: ServerConfig, tmp_path: Path) -> None:
    world = replace(config.world, clock=ClockConfig("real-time", 2.0))
    config = replace(config, world=world)
    for day, emulated in ((100.0, 0.0), (107.0, 14.0)):
        lab = Lab(config, None)
        lab.journal = Journal(tmp_path / "journal", config, day)
        lab.service = Service(config, lambda: 55.0, lab.journal)
        lab.say("control", "now", [])
        ((_, value),) = [(number, value) for _, number, value in lab.heard]
        assert value == pytest.approx(emulated)
        lab.journal.close()


def test_whoever_does_not_come_back_within_the_lease_has_departed(
    config: ServerConfig, tmp_path: Path
) -> None:
    lab = Lab(config, tmp_path / "journal")
    lab.say("alice", "qubit", [0.0, "run"])
    assert lab.journal is not None
    lab.journal.close()
    wall = [0.0]
    lab.journal = Journal(tmp_path / "journal", config, 0.0)
    lab.service = Service(config, lambda: wall[0], lab.journal)
    assert lab.service.next_deadline() == config.lease
    wall[0] = config.lease
    lab.service.tick()
    lab.connect("alice")
    assert [type(refused.error) for refused in lab.refused] == [SessionExpired]


@pytest.mark.parametrize(
    "change",
    [
        lambda config: replace(config, lab="another"),
        lambda config: replace(config, world=replace(config.world, seed=8)),
    ],
)
def test_the_journal_of_another_lab_is_refused(
    config: ServerConfig, tmp_path: Path, change: Callable[[ServerConfig], ServerConfig]
) -> None:
    Journal(tmp_path / "journal", config, 0.0).close()
    with pytest.raises(JournalFailed, match="belongs to another lab"):
        Journal(tmp_path / "journal", change(config), 0.0)


def test_a_journal_that_another_server_writes_in_is_refused(config: ServerConfig, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", config, 0.0)
    with sqlite3.connect(tmp_path / "journal", timeout=0) as file, pytest.raises(sqlite3.OperationalError):
        file.execute("SELECT * FROM turns").fetchall()
    journal.close()


def test_a_file_that_is_no_journal_is_refused(config: ServerConfig, tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"not a journal at all, but long enough to look like one" * 100)
    with pytest.raises(JournalFailed, match="fails"):
        Journal(tmp_path / "journal", config, 0.0)


def test_nobody_else_may_read_a_journal(config: ServerConfig, tmp_path: Path) -> None:
    lab = Lab(config, tmp_path / "journal")
    lab.say("alice", "qubit", [0.0, "run"])
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {0o600}


def test_a_journal_that_cannot_be_written_ends_the_service_unanswered(
    config: ServerConfig, tmp_path: Path
) -> None:
    lab = Lab(config, tmp_path / "journal")
    lab.say("alice", "qubit", [0.0, "run"])
    assert lab.journal is not None
    failures: list[JournalFailed] = []
    lab.service.on_failure = failures.append
    lab.journal.close()  # from here on, writing fails
    answered = len(lab.heard)
    lab.say("alice", "qubit", [0.0, "run"])
    lab.say("alice", "qubit", [0.0, "run"])
    assert len(lab.heard) == answered
    assert "Nothing more is acknowledged" in failures[0].message
