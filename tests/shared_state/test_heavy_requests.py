"""Requests that are much work hold up nobody but who made them, and are answered as if they were none."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.connection import Connection
from shared_state.engine import joint_state
from shared_state.engine.joint_state import JointState
from shared_state.journal import LONGEST_REPLAY, REPLAYED, Journal
from shared_state.oracle import OracleClient
from shared_state.server import serve
from shared_state.service import WORK, Service
from shared_state.wire import VERSION, Decoder, encode

NAMES = ("alice", "charlie", "bob", "control")
LINK = "alice-charlie"


class Voice:
    """A client that says things and acknowledges nothing; ``heard`` is what it has heard, welcomes aside."""

    def __init__(self, config: ServerConfig, name: str) -> None:
        role = "oracle" if name == "control" else "node"
        token = config.oracle_token if role == "oracle" else config.credentials[name]
        self._hello = {"version": VERSION, "lab": config.lab, "name": name, "token": token, "role": role}
        self._identity = ""
        self._said: list[bytes] = []

    def connect(self, service: Service) -> None:
        self.heard: list[Any] = []
        self._decoder = Decoder()
        self._service = service
        self.connection = service.open(self._hear)
        service.receive(self.connection, encode({**self._hello, "resume": self._identity, "received": 0}))
        for request in self._said[self._applied :]:
            service.receive(self.connection, request)

    def say(self, word: str, *arguments: Any) -> None:
        self._said.append(encode([len(self._said) + 1, 0, word, list(arguments)]))
        self._service.receive(self.connection, self._said[-1])

    def go_on(self) -> bool:
        return self._service.receive(self.connection, b"")

    def _hear(self, connection: Connection) -> None:
        for message in self._decoder.messages(connection.take_output()):
            if isinstance(message, dict):
                self._identity, self._applied = str(message["session"]), int(str(message["applied"]))
            else:
                self.heard.append(message)


class Lab:
    """A service, with a journal if there is a path, whose every slice takes all the time of a turn."""

    def __init__(self, config: ServerConfig, path: Path | None = None) -> None:
        self._config, self._path = config, path
        self.voices = {name: Voice(config, name) for name in NAMES}
        self.start()

    def start(self) -> None:
        ticks = count()
        self.journal = Journal(self._path, self._config, 0.0) if self._path else None
        self.service = Service(self._config, lambda: next(ticks) * WORK, self.journal)
        for voice in self.voices.values():
            voice.connect(self.service)

    def kill(self) -> None:
        """End the service without a word, whatever it has left to do; everybody comes back to the next one."""
        assert self.journal is not None
        self.journal.close()
        self.start()

    def finish(self) -> None:
        """Work until everybody was heard and answered."""
        while sum(voice.go_on() for voice in self.voices.values()) or self.service.has_work:
            self.service.work()

    def heard(self) -> dict[str, list[Any]]:
        return {name: list(voice.heard) for name, voice in self.voices.items()}


@pytest.fixture(autouse=True)
def heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the work on every cluster be done later."""
    monkeypatch.setattr(joint_state, "LATE_FROM", 1)


def requests(seed: int) -> list[tuple[str, str, tuple[Any, ...]]]:
    """Return what three nodes and the oracle say; node k of 3 knows its qubits as k, k + 3, ..."""
    rng = np.random.default_rng(seed)
    told: list[tuple[str, str, tuple[Any, ...]]] = [("control", "set_tap", ("eve", True))]
    for first, name in enumerate(("alice", "charlie", "bob")):
        told += 3 * [(name, "qubit", (0.0, "run"))]
        told += [(name, "gate", (0.0, "rx", [first + 3 * i], [float(rng.random())])) for i in range(3)]
    for _ in range(30):
        first = int(rng.integers(3))
        name, (one, two) = NAMES[first], (first + 3 * int(i) for i in rng.permutation(4)[:2])
        told.append(
            [
                (name, "gate", (0.0, "cnot", [one, two], [])),
                (name, "measure", (0.0, one, "X")),
                (name, "bell_measure", (0.0, one, two)),
                ("control", "density_matrix", ([one],)),
                ("control", "fidelity", ([two], np.array([1.0, 0.0], dtype=np.complex128).tobytes())),
                ("alice", "transmit", (0.0, "run", LINK, 3 * int(rng.integers(4)))),
                ("charlie", "receive", (0.0, "run", LINK)),
                (name, "qubit", (0.0, "run")),
                ("control", "census", ()),
            ][int(rng.integers(9))]
        )
    return told


@pytest.mark.parametrize("seed", range(12))
def test_who_is_killed_in_the_middle_of_work_tells_the_same_story_again(
    seed: int, config: ServerConfig, tmp_path: Path
) -> None:
    lab = Lab(config, tmp_path / "journal")
    rng, story = np.random.default_rng([seed, 1]), requests(seed)
    eagerness, deaths = rng.random(), set(rng.permutation(len(story))[:2].tolist())
    for index, (name, word, arguments) in enumerate(story):
        lab.voices[name].say(word, *arguments)
        while lab.service.has_work and rng.random() < eagerness:
            lab.service.work()
        if index in deaths:
            before = lab.heard()
            lab.kill()
            for voice, said in before.items():
                assert lab.voices[voice].heard[: len(said)] == said
    lab.finish()
    complete = lab.heard()
    for answers in complete.values():
        assert [answer[0] for answer in answers] == list(range(1, len(answers) + 1))
    lab.kill()
    assert lab.heard() == complete


def test_answers_come_in_the_order_of_the_requests_and_to_others_meanwhile(config: ServerConfig) -> None:
    lab = Lab(config)
    alice, bob = lab.voices["alice"], lab.voices["bob"]
    alice.say("qubit", 0.0, "run")
    alice.say("measure", 0.0, 0, "Z")
    assert alice.heard == [[1, 1, [0]]]
    assert lab.service.has_work
    alice.say("mark")  # is not heard before the work is done
    bob.say("mark")
    assert bob.heard == [[1, 1, None]]
    assert len(alice.heard) == 1
    lab.finish()
    assert alice.heard == [[1, 1, [0]], [2, 2, 0], [3, 3, None]]


def test_an_answer_of_another_waits_behind_one_that_is_not_known(config: ServerConfig) -> None:
    lab = Lab(config)
    alice, charlie = lab.voices["alice"], lab.voices["charlie"]
    charlie.say("receive", 0.0, "run", LINK)
    charlie.say("qubit", 0.0, "run")
    alice.say("qubit", 0.0, "run")
    charlie.say("measure", 0.0, 1, "Z")
    alice.say("transmit", 0.0, "run", LINK, 0)  # answers charlie, who waits for an outcome
    assert [answer[1] for answer in charlie.heard] == [2]
    lab.finish()
    assert [answer[:2] for answer in charlie.heard] == [[1, 2], [2, 3], [3, 1]]


@pytest.mark.parametrize("leaving", ["bye", "lease", "anew"])
def test_who_leaves_with_work_undone_leaves_no_qubit(leaving: str, config: ServerConfig) -> None:
    wall = [0.0]
    service = Service(config, lambda: wall[0])
    alice, oracle = Voice(config, "alice"), Voice(config, "control")
    for voice in (alice, oracle):
        voice.connect(service)
    alice.say("qubit", 0.0, "run")
    alice.say("qubit", 0.0, "run")
    alice.say("gate", 0.0, "cnot", [0, 3], [])
    if leaving == "bye":
        alice.say("bye")
        service.work()
        alice.go_on()
        assert alice.heard[-1][1] == 4
        assert alice.connection.closing
    service.closed(alice.connection)
    if leaving == "anew":
        assert service.has_work
        another = Voice(config, "alice")
        another.connect(service)
        another.say("mark")
        assert another.heard == []  # the name has work undone still
        service.work()
        another.go_on()
        assert another.heard == [[1, 1, None]]
    wall[0] = config.lease + 1
    if leaving == "lease":
        service.tick()
    oracle.say("census")
    assert oracle.heard[0][2][:3] == [0, 0, {"alice": 0, "charlie": 0, "bob": 0}]
    service.work()
    assert not service.has_work


@pytest.mark.parametrize("worked", [REPLAYED + 1, LONGEST_REPLAY + 1])
def test_a_picture_of_a_large_cluster_waits_until_a_restart_would_take_too_long(
    worked: float, config: ServerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint_state, "LATE_FROM", 2)
    lab = Lab(config, tmp_path / "journal")
    assert lab.journal is not None
    alice = lab.voices["alice"]
    alice.say("qubit", 0.0, "run")
    alice.say("qubit", 0.0, "run")
    alice.say("gate", 0.0, "cnot", [0, 3], [])
    lab.journal.work(worked)  # it is time for one
    lab.finish()
    alice.say("mark")
    assert (lab.journal.picture() is None) == (worked < LONGEST_REPLAY)
    alice.say("measure", 0.0, 0, "Z")
    lab.finish()
    assert lab.journal.picture() is not None
    before = alice.heard
    lab.kill()
    assert alice.heard == before


def test_many_quick_things_of_one_request_are_done_later_too(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint_state, "LATE_FROM", 10)
    monkeypatch.setattr(joint_state, "AT_ONCE", 2 * 4)
    lab = Lab(config)
    alice = lab.voices["alice"]
    for _ in range(4):
        alice.say("qubit", 0.0, "run")
    alice.say("close_run", "run")
    assert alice.heard[-1] == [5, 5, 4]
    assert lab.service.has_work
    lab.finish()
    assert not lab.service.has_work


def test_an_answer_that_turns_out_too_long_is_a_refusal(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_state.session.encode", partial(encode, limit=200))
    lab = Lab(config)
    for name in ("alice", "bob"):
        lab.voices[name].say("qubit", 0.0, "run")
    lab.voices["control"].say("density_matrix", [0, 2])
    lab.finish()
    ((_, _, value, error),) = lab.voices["control"].heard
    assert (value, error[0], error[2]) == (None, "limit-exceeded", "density_matrix")


async def test_a_server_whose_work_fails_ends(config: ServerConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_: JointState) -> None:
        raise MemoryError

    monkeypatch.setattr(JointState, "work", exhausted)
    async with await serve(config) as server:
        voice = Voice(config, "alice")
        voice.connect(server._service)
        voice.say("qubit", 0.0, "run")
        voice.say("measure", 0.0, 0, "Z")
        with pytest.raises(MemoryError):
            await server.watch()
        assert len(voice.heard) == 1


async def test_a_service_in_this_process_works_by_itself(
    alice: NodeClient, bob: NodeClient, oracle: OracleClient
) -> None:
    qubits = [await alice.qubit(0.0, "run") for _ in range(3)]
    alice.gate(0.0, "x", qubits[:1])
    for pair in ([0, 1], [1, 2]):
        alice.gate(0.0, "cnot", [qubits[i] for i in pair])
    await bob.sync()
    assert (await oracle.density_matrix(qubits))[7, 7] in (
        0,
        1,
    )  # before or after alice's gates, never between
    assert [await alice.measure(0.0, qubit, "Z") for qubit in qubits] == [1, 1, 1]
    assert replace(await oracle.census(), held={}).qubits == 0
