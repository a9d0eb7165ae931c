"""Fuzz the whole server, guided by coverage: requests that make sense or nearly, and plain noise.

    pip install atheris
    python tests/fuzz/fuzz_service.py -max_total_time=3600 [CORPUS]

Half of the inputs meet connections that have been let in, one at each end of a link; a bystander must be served after
each.
An uncaught exception, a fault that the service has logged, or an input that takes longer than ``SLOW`` seconds is a
finding, and atheris keeps the input. No part of the tests: atheris has wheels for Linux only.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import atheris
import numpy as np

with atheris.instrument_imports(include=["shared_state"]):
    from shared_state.config import (
        FibreConfig,
        GateConfig,
        LinkDevices,
        MemoryConfig,
        NodeDevices,
        ServerConfig,
        WernerSource,
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
    "batch": [-1, -2],
    "other_batch": [-1, -2],
    "count": [1, 3, 50],
    "bits": [[3, b"\xa0"]],
    "bases": [[3, b"\xa0"], b"\0\1\2"],
    "x": [[3, b"\xa0"]],
    "z": [[3, b"\x60"]],
    "intensities": [None, b"\0\0\0"],
    "train": [1, 2],
    "indices": [b"", b"\0\0\0\0\5\0\0\0"],
    "matrix": [np.eye(size, dtype=np.complex128).tobytes() for size in (2, 4)],
    "delivered": [None, 0, -1],
    "until": [None, 1.0],
    "despatched": [[], [["bob", 1.0, "r", 0, "p", "k", 9]]],
    "waits": [[], ["a herald"]],
}
NODE = NodeDevices(MemoryConfig(16, t1=1.0, t2=0.5), GateConfig(0.99, 0.98), MemoryConfig(2))
WORLD = WorldConfig(
    nodes={"alice": NODE, "bob": NODE},
    links={
        "alice-bob": LinkDevices(
            ("alice", "bob"), FibreConfig(1000.0), WernerSource(rate=100.0, fidelity=0.9)
        )
    },
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
    clients = [Conversation(lab="lab", name=name, token=name[0], role="node") for name in ("alice", "bob")]
    lines = [service.open(_silent) for _ in clients]
    if source.ConsumeBool():
        for line, client in zip(lines, clients, strict=True):
            service.receive(line, client.hello())
    while source.remaining_bytes():
        speaker = source.ConsumeIntInRange(0, 1)
        noise = not source.ConsumeIntInRange(0, 7)
        said = source.ConsumeBytes(32) if noise else _sentence(source, clients[speaker])
        began = time.perf_counter()
        while service.receive(lines[speaker], said):
            said = b""
            if service.has_work:
                service.work()
        took = time.perf_counter() - began
        if took > SLOW:
            raise AssertionError(f"a request took {took:.3f} s")
    bystander, heard = Conversation(lab="lab", name="control", token="o", role="oracle"), []
    other = service.open(lambda connection: heard.extend(bystander.receive(connection.take_output())))
    service.receive(other, bystander.hello())
    service.receive(other, bystander.request("census", [])[1])
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
