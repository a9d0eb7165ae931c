"""Fuzz the whole server, guided by coverage: requests that make sense or nearly, and plain noise.

    pip install atheris
    python tests/fuzz/fuzz_service.py -max_total_time=3600 [CORPUS]

Half of the inputs meet a connection that has been let in; a bystander must be served after each.
An uncaught exception, a fault that the service has logged, or an input that takes longer than ``SLOW`` seconds is a
finding, and atheris keeps the input. No part of the tests: atheris has wheels for Linux only.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import atheris

with atheris.instrument_imports(include=["shared_state"]):
    from shared_state.config import (
        FibreConfig,
        GateConfig,
        LinkDevices,
        MemoryConfig,
        NodeDevices,
        ServerConfig,
        WorldConfig,
    )
    from shared_state.connection import Connection
    from shared_state.conversation import Conversation
    from shared_state.service import Service
    from shared_state.vocabulary import OPERATIONS

SLOW = 0.1
FITTING: dict[str, list[Any]] = {
    "at": [0.0, 0.5, 1.0],
    "run": ["r", "s"],
    "link": ["alice-bob"],
    "name": ["h", "cnot", "rz", "swap"],
    "basis": ["X", "Y", "Z"],
    "qubits": [[0], [0, 2], [2, 4]],
    "angles": [[], [0.5]],
}
NODE = NodeDevices(MemoryConfig(4, t1=1.0, t2=0.5), GateConfig(0.99, 0.98), MemoryConfig(2))
WORLD = WorldConfig(
    nodes={"alice": NODE, "bob": NODE},
    links={"alice-bob": LinkDevices(("alice", "bob"), FibreConfig(1000.0))},
    max_qubits=5,
    seed=1,
)
CONFIG = ServerConfig("lab", WORLD, {"alice": "a", "bob": "b"}, "o")


class _Fault(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(record.getMessage())


def _silent(connection: Connection) -> None:
    connection.take_output()


def _one_input(data: bytes) -> None:
    source = atheris.FuzzedDataProvider(data)
    service = Service(CONFIG, lambda: 0.0)
    line, client = service.open(_silent), Conversation(lab="lab", name="alice", token="a", role="node")
    if source.ConsumeBool():
        service.receive(line, client.hello())
    while source.remaining_bytes():
        said = _sentence(source, client) if source.ConsumeIntInRange(0, 7) else source.ConsumeBytes(32)
        began = time.perf_counter()
        while service.receive(line, said):
            said = b""
        took = time.perf_counter() - began
        if took > SLOW:
            raise AssertionError(f"a request took {took:.3f} s")
    bystander, heard = Conversation(lab="lab", name="bob", token="b", role="node"), []
    other = service.open(lambda connection: heard.extend(bystander.receive(connection.take_output())))
    service.receive(other, bystander.hello())
    service.receive(other, bystander.request("qubit", [0.0, "run"])[1])
    assert len(heard) == 2, heard


def _sentence(source: Any, client: Conversation) -> bytes:
    """Make a request of an operation that there is, with arguments that fit it, or do not."""
    word = source.PickValueInList(list(OPERATIONS))
    return client.request(word, [_argument(source, argument) for argument in OPERATIONS[word].takes])[1]


def _argument(source: Any, name: str) -> Any:
    match source.ConsumeIntInRange(0, 9):
        case 0:
            return [_argument(source, name) for _ in range(source.ConsumeIntInRange(0, 3))]
        case 1:
            return source.ConsumeInt(8)
        case 2:
            return source.ConsumeFloat()
        case 3:
            return source.ConsumeBytes(64)
        case 4:
            return [source.ConsumeInt(2), source.ConsumeBytes(8)]
    if name in FITTING:
        return source.PickValueInList(FITTING[name])
    return source.ConsumeIntInRange(0, 6)


if __name__ == "__main__":
    logging.getLogger("shared_state").addHandler(_Fault())
    logging.raiseExceptions = True
    atheris.Setup(sys.argv, _one_input)
    atheris.Fuzz()
