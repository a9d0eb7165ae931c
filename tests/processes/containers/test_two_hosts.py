"""A lab over two hosts, as a swarm: all that is done on one host is done between them, and a cut wire is overcome."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from deploy.containers.engine import connect
from tests.processes.containers.two_hosts import TwoHosts, missing, two_hosts

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire, Finished

pytestmark = [
    pytest.mark.processes,
    pytest.mark.containers,
    pytest.mark.timeout(300),
]

SENT = "/opt/bellwire/nodes/ports.py"  # a file that is there, at Alice's
READY_WITHIN = 90.0
ENTANGLED, QUANTUM = 1 / 2, 2 / 3
"""What no state without entanglement passes, of a pair and of teleportation. How far beyond a lab in real time comes
depends on how long qubits wait in their memories, and so on how busy this machine is."""


@pytest.fixture(scope="module")
def hosts(image: str) -> Iterator[TwoHosts]:
    """Two hosts; skipped where they cannot be made."""
    if reason := missing():
        pytest.skip(reason)
    client = connect()
    try:
        with two_hosts(image, client) as both:
            yield both
    finally:
        client.close()


class Operator:
    """Who uses the lab from the first host, as a user would."""

    def __init__(self, bellwire: Bellwire, hosts: TwoHosts, document: Path) -> None:
        self._bellwire = bellwire
        self._hosts = hosts
        self._document = document

    def __call__(self, *words: object) -> Finished:
        """Run a command to its end."""
        return self._bellwire.on(self._hosts.first.enter(), *words, "-l", self._document)

    def at_last(self, *words: object) -> Finished:
        """Run a command until it succeeds: a node that was cut off is taken for lost, and is started again."""
        deadline = time.monotonic() + READY_WITHIN
        while (done := self(*words)).code:
            assert time.monotonic() < deadline, done.err
        return done

    def nodes(self) -> dict[str, str]:
        """Return the state of each node, empty while the control plane does not answer."""
        told = self._bellwire.on(self._hosts.first.enter(), "ps", self._document, "--json")
        return {} if told.code else {row["name"]: row["state"] for row in told.document["processes"]}

    def until(self, holds: Callable[[dict[str, str]], bool]) -> None:
        """Wait until something holds of the nodes, of which no event tells outside of the lab."""
        deadline, pause = time.monotonic() + READY_WITHIN, Event()
        while not holds(self.nodes()):
            assert time.monotonic() < deadline, self._story()
            pause.wait(0.3)

    def _story(self) -> str:
        engine = self._hosts.first.engine
        tasks = [(task["Spec"]["ContainerSpec"]["Args"], task["Status"]) for task in engine.tasks()]
        return json.dumps(tasks[:12], default=str)


@contextmanager
def deployed(
    bellwire: Bellwire, hosts: TwoHosts, lab: str, directory: Path, *places: str
) -> Iterator[Operator]:
    """Deploy a lab as its user would; ``places`` are the parties that are on the second host."""
    first, second = hosts.first, hosts.second
    parties = ["broker", "state", "control", "alice", "charlie", "bob"]
    where = [f"{name}={second.name if name in places else first.name}" for name in parties]
    options = [word for place in where for word in ("--place", place)]
    made = bellwire("export", "swarm", lab, "-o", directory, *options, "--host", first.address)
    assert made.code == 0, made.err
    stack = ["docker", "-H", f"unix://{first.socket}", "stack"]
    name = "lab"
    deploy = [*stack, "deploy", "--resolve-image", "never", "-c", str(directory / "stack.yaml"), name]
    subprocess.run(deploy, check=True, capture_output=True, timeout=60)
    try:
        operator = Operator(bellwire, hosts, directory / "operator.json")
        operator.until(lambda nodes: len(nodes) == 3 and set(nodes.values()) == {"ready"})
        yield operator
    finally:
        subprocess.run([*stack, "rm", name], check=True, capture_output=True, timeout=60)


def test_a_lab_over_two_hosts_does_what_a_lab_does_and_a_cut_wire_is_overcome(
    hosts: TwoHosts, bellwire: Bellwire, tmp_path: Path
) -> None:
    with deployed(bellwire, hosts, "alice-charlie-bob", tmp_path / "lab", "bob") as ask:
        swapped = ask("run", "swap", "--rounds", "20", "--json").document
        assert swapped["roles"]["bob"] == "bob"
        assert swapped["fidelity_mean"] > ENTANGLED
        assert ask("entangle", "alice", "bob", "-n", "20", "--json").document["pairs"] == 20
        teleported = ask("run", "teleport", "--rounds", "20", "--json").document
        assert teleported["fidelity_mean"] > QUANTUM
        made = ask("qkd", "charlie", "bob", "--json").document
        assert made["secret_bits"] > 0
        sent = file_sent(ask)
        assert sent["sha256"]
        played = ask("events", "--event", "part.played", "--node", "bob").out.splitlines()
        runs = {json.loads(line)["session"] for line in played}
        (mark,) = {run.rpartition("-")[0] for run in runs}  # of this control party
        assert runs >= {f"{mark}-1", f"{mark}-3"}

        hosts.cut()
        began = time.monotonic()
        waiting = ask("run", "teleport", "--rounds", "20", "--deadline", "4", "--json")
        assert time.monotonic() - began < 60
        assert waiting.code != 0
        assert "bob" in waiting.err
        assert ask("run", "teleport", "--role", "bob=charlie", "--rounds", "5", "--deadline", "10").code == 0
        hosts.heal()
        again = ask.at_last("run", "teleport", "--rounds", "20", "--deadline", "10", "--json").document
        assert again["fidelity_mean"] > QUANTUM


def file_sent(ask: Operator) -> dict[str, Any]:
    """Send a file from one host to the other; return the report of whoever has verified it."""
    roles = ("--role", "alice=charlie", "--role", "bob=bob")
    parameters = ("--param", f"source={SENT}", "--param", "destination=/tmp/arrived")
    [returned] = ask("run", "send", *roles, *parameters, "--json").document["results"]
    report = returned["bob"]["transfer"]
    assert isinstance(report, dict)
    return report
