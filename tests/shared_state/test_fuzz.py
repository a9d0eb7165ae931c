"""Whatever is said to the server, it answers or refuses; it never fails, and nobody else notices.

The same properties under a coverage-guided fuzzer: ``python tests/fuzz/fuzz_service.py`` (see its docstring).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

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
from shared_state.service import Service
from shared_state.vocabulary import OPERATIONS
from shared_state.wire import MAX_HELLO, MAX_REQUEST, encode

LINK = "alice-bob"
NODE = NodeDevices(
    MemoryConfig(4, t1=1.0, t2=0.5, cutoff=50.0), GateConfig(0.99, 0.98), MemoryConfig(2, t2=3.0)
)
WORLD = WorldConfig(
    nodes={"alice": NODE, "bob": NODE},
    links={LINK: LinkDevices(("alice", "bob"), FibreConfig(1000.0), WernerSource(rate=100.0, fidelity=0.9))},
    taps={"eve": TapConfig(LINK, position=500.0)},
    max_qubits=5,
    seed=1,
)
CONFIG = ServerConfig("lab", WORLD, {"alice": "a", "bob": "b"}, "o")
PLAYERS = ("alice", "bob", "control")


class Table:
    """A service with three parties at it, all in step."""

    def __init__(self) -> None:
        self.service = Service(CONFIG, lambda: 0.0)
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
    "qubit",
    "gate",
    "measure",
    "bell_measure",
    "discard",
    "pair",
    "transmit",
    "receive",
    "store",
    "hand_over",
)
OPENING = [
    (name, word, [0.0, *arguments])
    for word, arguments in (("qubit", ["r"]), ("qubit", ["r"]), ("pair", ["r", LINK]))
    for name in ("alice", "bob")
]
"""Both parties then hold three qubits: alice 0, 2 and 4, bob 1, 3 and 5."""
BITS = st.integers(0, 20).flatmap(
    lambda n: st.binary(min_size=(n + 7) // 8, max_size=(n + 7) // 8).map(lambda packed: [n, packed])
)
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "at": TIMES,
    "run": st.sampled_from(["r", "s", "r/1"]),
    "link": st.sampled_from([LINK, "nowhere"]),
    "qubit": QUBITS,
    "first": QUBITS,
    "second": QUBITS,
    "qubits": st.lists(QUBITS, min_size=1, max_size=3),
    "basis": st.sampled_from("XYZ"),
    "name": st.sampled_from(["h", "x", "cnot", "cz", "swap", "rz", "eve"]),
    "angles": st.lists(st.floats(-4, 4), max_size=1),
    "bits": BITS,
    "bases": BITS,
    "count": st.integers(-1, 6),
    "batch": st.integers(-4, 1),
    "other": st.integers(-4, 1),
    "x": BITS,
    "z": BITS,
    "enabled": st.booleans(),
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
@given(st.lists(sentences(), max_size=30))
def test_no_story_however_odd_makes_the_server_fail_or_lose_a_qubit(
    story: list[tuple[str, str, list[Any]]],
) -> None:
    table = Table()
    for moment, (name, word, arguments) in enumerate([*OPENING, *story]):
        table.say(name, word, [0.1 * moment if argument == NOW else argument for argument in arguments])
    assert "internal-error" not in table.errors
    qubits, _, held, handed_over, _, in_flight, *_ = table.census()
    assert sum(held.values()) + handed_over <= qubits <= sum(held.values()) + handed_over + in_flight
    for name in ("alice", "bob"):
        table.say(name, "bye", [])
    for run in ("r", "s"):
        table.say("control", "discard_run", [run])
    qubits, clusters, held, handed_over, reserved, in_flight, _, waiting = table.census()
    assert (qubits, clusters, handed_over, reserved, in_flight, waiting) == (0, 0, 0, 0, 0, 0)


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


@pytest.mark.parametrize("admitted", [False, True])
def test_a_frame_longer_than_the_limit_is_refused_before_it_is_kept(admitted: bool) -> None:
    table = Table()
    refused: list[bool] = []
    line = table.lines["alice"] if admitted else table.service.open(lambda line: refused.append(line.closing))
    limit = MAX_REQUEST if admitted else MAX_HELLO
    table.service.receive(line, (limit + 1).to_bytes(4, "big"))
    assert line.closing
    table.service.receive(line, bytes(1000))
    assert table.census()[0] == 0


def test_a_client_is_told_that_its_request_is_too_large() -> None:
    conversation = _conversation("alice")
    with pytest.raises(Exception, match="exceeds the limit"):
        conversation.request("unitary", [0.0, bytes(MAX_REQUEST), [0]])
    assert conversation.unapplied == 0
