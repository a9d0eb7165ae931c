"""Whatever is said to the server, it answers or refuses; it never fails, and nobody else notices.

The same properties under a coverage-guided fuzzer: ``python tests/fuzz/fuzz_service.py`` (see its docstring).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared_state.config import (
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    ServerConfig,
    TapConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.connection import Connection
from shared_state.conversation import Answered, Conversation
from shared_state.engine.gates import unitary
from shared_state.journal import Journal
from shared_state.service import Service
from shared_state.vocabulary import OPERATIONS
from shared_state.wire import encode

LINK = "alice-bob"
NODE = NodeDevices(
    MemoryConfig(4, t1=1.0, t2=0.5, cutoff=50.0), GateConfig(0.99, 0.98), MemoryConfig(2, t2=3.0)
)
PLAIN = NodeDevices(MemoryConfig(10, t1=1.0, t2=0.5), GateConfig(0.99, 0.98))
WORLD = WorldConfig(
    nodes={"alice": NODE, "bob": NODE},
    links={LINK: LinkDevices(("alice", "bob"), FibreConfig(1000.0), WernerSource(rate=100.0, fidelity=0.9))},
    taps={"eve": TapConfig(LINK, position=500.0)},
    max_qubits=5,
    seed=1,
)
CONFIG = ServerConfig("lab", WORLD, {"alice": "a", "bob": "b"}, "o")
BATCHES = replace(CONFIG, world=replace(WORLD, nodes={"alice": PLAIN, "bob": PLAIN}))
"""Memories without a cut-off take batches of pairs."""
SLOW = 1.0
"""Seconds of processor time that no request takes; ten times what is promised, for a machine that does other things."""
PLAYERS = ("alice", "bob", "control")


class Table:
    """A service with three parties at it, all in step."""

    def __init__(self, config: ServerConfig = CONFIG, journal: Journal | None = None) -> None:
        self.service = Service(config, lambda: 0.0, journal)
        self.clients = {name: _conversation(name) for name in PLAYERS}
        self.lines: dict[str, Connection] = {}
        self.errors: list[str] = []
        self.answers: list[Any] = []
        for name in PLAYERS:
            self.lines[name] = self.service.open(self._hear)
            self.service.receive(self.lines[name], self.clients[name].hello())

    def say(self, name: str, word: str, arguments: list[Any]) -> None:
        _, frame = self.clients[name].request(word, arguments)
        self.raw(name, frame)

    def raw(self, name: str, data: bytes) -> None:
        while self.service.receive(self.lines[name], data):
            data = b""
            if self.service.has_work:
                self.service.work()

    def tell(self, story: Sequence[tuple[str, str, list[Any]]]) -> None:
        """Let a story happen, a tenth of a second between its requests, each of which is done soon."""
        for moment, (name, word, arguments) in enumerate(story):
            began = process_time()
            self.say(name, word, [0.1 * moment if argument == NOW else argument for argument in arguments])
            assert process_time() - began < SLOW, (name, word, arguments)

    def census(self) -> list[Any]:
        """Ask for the census, as often as failures of what was posted before come instead."""
        found = None
        while not isinstance(found, list):
            self.say("control", "census", [])
            found = self.answers[-1]
        return found

    def _hear(self, line: Connection) -> None:
        data = line.take_output()
        name = next((name for name, other in self.lines.items() if other is line), "")
        if not name or line.closing:
            return
        for event in self.clients[name].receive(data):
            if isinstance(event, Answered):
                self.answers.append(event.value)
                if event.error is not None:
                    self.errors.append(event.error.code)


def _conversation(name: str) -> Conversation:
    if name == "control":
        return Conversation(lab="lab", name=name, token="o", role="oracle")
    return Conversation(lab="lab", name=name, token=CONFIG.credentials[name], role="node")


@pytest.fixture(autouse=True)
def _loud(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a fault that the service has survived fail the test."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


WHATEVER = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
NOW = "now"
TIMES = st.just(NOW) | st.sampled_from([NOW, NOW, NOW, 0.0, 60.0, 1e6, -1.0, 1e12])
QUBITS = st.integers(0, 5) | st.integers(-3, 12)
OFTEN = (
    "pairs", "swap_pairs", "correct_pairs", "measure_pairs", "emit_train", "measure_train",
    "qubit", "gate", "measure", "bell_measure", "discard", "pair", "transmit",
    "receive", "store", "hand_over", "set_link", "turn",
)  # fmt: skip
OPENING = [
    (name, word, [0.0, *arguments])
    for word, arguments in (("qubit", ["r"]), ("qubit", ["r"]), ("pair", ["r", LINK, None]))
    for name in ("alice", "bob")
]
"""Both parties then hold three qubits: alice 0, 2 and 4, bob 1, 3 and 5."""
OPENING_WITH_BATCHES = [
    *OPENING,
    *[(name, "pairs", [0.0, "r", LINK, 3, None]) for _ in range(2) for name in ("alice", "bob")],
    *[
        (name, word, [0.0, "r", LINK, 50])
        for name, word in (("alice", "emit_train"), ("bob", "measure_train"))
    ],
]
"""Both then have the batches -1 and -2, too, and alice remembers train 1."""
BITS = st.integers(0, 20).flatmap(
    lambda n: st.binary(min_size=(n + 7) // 8, max_size=(n + 7) // 8).map(lambda packed: [n, packed])
)
DESPATCHES = st.tuples(
    st.sampled_from(["alice", "bob"]),
    st.sampled_from([1.0, 9.0]),
    st.just("r"),
    st.integers(0, 3),
    st.just("p"),
    st.just("k"),
    st.integers(0, 9),
).map(list)
THREE = st.integers(0, 7).map(lambda bits: [3, bytes([bits << 5])])
CODES = st.lists(st.integers(0, 2), min_size=3, max_size=3).map(bytes)
GATES = [unitary("h", []), unitary("cnot", [])]
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "at": TIMES,
    "run": st.sampled_from(["r", "s", "r/1"]),
    "link": st.sampled_from([LINK, "nowhere"]),
    "qubit": QUBITS,
    "first": QUBITS,
    "second": QUBITS,
    "qubits": st.lists(QUBITS, min_size=1, max_size=3),
    "basis": st.sampled_from("XYZ"),
    "name": st.sampled_from(["h", "x", "cnot", "cz", "swap", "rz", "eve", LINK]),
    "angles": st.lists(st.floats(-4, 4), max_size=1),
    "bits": BITS,
    "bases": BITS | CODES,
    "intensities": st.none() | st.binary(max_size=20),
    "train": st.integers(0, 3),
    "indices": st.sets(st.integers(0, 60), max_size=5).map(
        lambda places: np.array(sorted(places), dtype="<u4").tobytes()
    ),
    "matrix": st.sampled_from([gate.tobytes() for gate in GATES]),
    "target": st.sampled_from([np.eye(size, dtype=np.complex128)[0].tobytes() for size in (2, 4, 8)]),
    "node": st.sampled_from(["alice", "bob", "eve"]),
    "until": st.none() | TIMES,
    "despatched": st.lists(DESPATCHES, max_size=2),
    "waits": st.lists(st.text(max_size=4), max_size=2),
    "count": st.integers(-1, 6),
    "batch": st.integers(-4, 1),
    "other_batch": st.integers(-4, 1),
    "x": BITS | THREE,
    "z": BITS | THREE,
    "enabled": st.booleans(),
    "up": st.booleans(),
    "alpha": st.none() | st.sampled_from([0.1, 0.5]),
    "request": st.integers(0, 30),
    "delivered": st.none() | QUBITS,
}


@st.composite
def sentences(draw: st.DrawFn) -> tuple[str, str, list[Any]]:
    """Draw a request that makes sense, or nearly."""
    name = draw(st.sampled_from(PLAYERS))
    word = draw(st.sampled_from(OFTEN) | st.sampled_from([word for word in OPERATIONS if word != "bye"]))
    arguments = [
        draw(ARGUMENTS.get(argument, WHATEVER) if draw(st.integers(0, 19)) else WHATEVER)
        for argument in OPERATIONS[word].takes
    ]
    return name, word, arguments


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(sentences(), max_size=30), st.booleans())
def test_no_story_however_odd_makes_the_server_fail_or_lose_a_qubit(
    story: list[tuple[str, str, list[Any]]], batches: bool
) -> None:
    table = Table(BATCHES if batches else CONFIG)
    table.tell([*(OPENING_WITH_BATCHES if batches else OPENING), *story])
    assert "internal-error" not in table.errors
    qubits, _, held, handed_over, _, in_flight, *_ = table.census()
    assert sum(held.values()) + handed_over <= qubits <= sum(held.values()) + handed_over + in_flight
    for name in ("alice", "bob"):
        table.say(name, "bye", [])
    for run in ("r", "s"):
        table.say("control", "discard_run", [run])
    qubits, clusters, held, handed_over, reserved, in_flight, _, waiting = table.census()
    assert (qubits, clusters, handed_over, reserved, in_flight, waiting) == (0, 0, 0, 0, 0, 0)


def test_the_opening_of_a_story_with_batches_succeeds() -> None:
    table = Table(BATCHES)
    table.tell(OPENING_WITH_BATCHES)
    assert table.errors == []
    assert table.census()[2] == {"alice": 9, "bob": 9}


def portrait(service: Service) -> list[Any]:
    """Return what matters of a world: who holds what in which state, what was answered and what is to be told."""
    standing = service._standing
    state, ledger = standing.nature.state, standing.nature.ledger
    held = [holding for node in ("alice", "bob") for holding in ledger.of_node(node)] + ledger.of_referee()
    sessions = [
        (key, session.applied, [answer.frame for answer in session._answers], sorted(session._failures))
        for key, session in standing.sessions.items()
    ]
    halves = [
        half for node in ("alice", "bob") for half in standing._dispatch.links.batches._held[node].values()
    ]
    return [
        standing._census(),
        sessions,
        [(h.qubit, h.run, h.touched, h.stored, h.place, state.reduced([h.label]).tobytes()) for h in held],
        [(h.number, h.run, h.touched.tobytes(), h.batch.states.tobytes()) for h in halves],
        standing.nature.clock.now(),
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(sentences(), max_size=30), st.integers(0, 40), st.booleans())
def test_a_world_that_is_recovered_in_mid_story_is_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    story: list[tuple[str, str, list[Any]]],
    picture_at: int,
    batches: bool,
) -> None:
    config = BATCHES if batches else CONFIG
    story = [*(OPENING_WITH_BATCHES if batches else OPENING), *story]
    path = tmp_path_factory.mktemp("story") / "journal"
    journal = Journal(path, config, 0.0)
    table = Table(config, journal)
    table.tell(story[:picture_at])
    journal.work(1e9)  # it is time for a picture
    table.tell(story[picture_at:])
    expected = portrait(table.service)
    journal.close()
    again = Journal(path, config, 0.0)
    found = portrait(Service(config, lambda: 0.0, again))
    again.close()
    assert found == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=64) | WHATEVER.map(encode), max_size=5), st.booleans())
def test_no_bytes_make_the_server_fail_and_a_bystander_is_served(noise: list[bytes], admitted: bool) -> None:
    table = Table()
    line = table.lines["alice"] if admitted else table.service.open(lambda line: None)
    for data in noise:
        table.service.receive(line, data)
    assert table.census()[0] == 0


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**64 - 1), st.integers(-1, 2**31), st.text(max_size=10), WHATEVER)
def test_a_request_with_any_header_is_answered_refused_or_ends_its_own_session_only(
    number: int, received: int, word: str, arguments: Any
) -> None:
    table = Table()
    table.raw("alice", encode([number, received, word, arguments]))
    assert table.census()[6] >= 2
