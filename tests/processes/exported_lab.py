"""An exported lab whose parties are processes on this host: each is told what its container would be told.

Of that nothing is changed but where a party is found, and where it keeps its files.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.elsewhere import ControlConfig
from deploy.exports.bundle import Service, bundle
from deploy.plan import plan
from deploy.topology import read
from nodes.runtime.config import Access, NodeConfig
from shared_state.config import ClockMode, ServerConfig
from shared_state.document import read as read_document
from shared_state.document import write
from shared_state.oracle import Census, OracleClient

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

_HERE = "127.0.0.1"
_SERVERS = ("broker", "state")


class ExportedLab:
    """The lab of a lab file's text, in a directory of its own. ``operator`` is the path of its operator's document."""

    def __init__(self, text: str, directory: Path, bellwire: Bellwire, mode: ClockMode = "real-time") -> None:
        self._directory = directory
        self._bellwire = bellwire
        self._ports = dict(zip((*_SERVERS, "control"), _free_ports(3), strict=True))
        made = bundle(
            plan(read(text, directory / "pair.yaml"), mode=mode), text, "bellwire", directory, [_HERE]
        )
        self._services = {service.name: service for service in made.services}
        self.operator = directory / "operator.json"
        self.operator.write_text(write(replace(made.operator, port=self._ports["control"])))
        self._running: dict[str, subprocess.Popen[str]] = {}

    @contextmanager
    def started(self) -> Iterator[None]:
        """Run it inside the block, in which it can be used."""
        with ExitStack() as running:
            running.callback(self._end)
            for name in (*_SERVERS, *(set(self._services) - {*_SERVERS, "control"})):
                self.start(name)
            self.start_control()
            yield

    def start(self, name: str) -> None:
        """Start a party; wait until a server serves."""
        self._start(name)
        if name in _SERVERS:
            assert (said := self._running[name].stdout) is not None
            assert said.readline(), f"{name} does not get ready"

    @contextmanager
    def kept_up(self) -> Iterator[None]:
        """Start every party again that ends inside the block, a moment later, as an engine of containers does."""
        over = threading.Event()
        keepers = [threading.Thread(target=self._keep_up, args=(name, over)) for name in self._running]
        for keeper in keepers:
            keeper.start()
        try:
            yield
        finally:
            over.set()
            for keeper in keepers:
                keeper.join()

    def _keep_up(self, name: str, over: threading.Event) -> None:
        while not over.wait(0.2):
            if self._running[name].poll() is not None:
                self._running[name].communicate()
                self._start(name)

    async def census(self) -> Census:
        """Count what is in the quantum world, when no control party is there."""
        config = read_document(ControlConfig, (self._directory / "control.json").read_text())
        access = config.state
        oracle = await OracleClient.connect(
            access.host, access.port, lab=config.lab, name="control", token=access.secret, tls=access.tls
        )
        wire: Any = oracle._line._wire
        connection = wire.get_extra_info("socket")
        async with oracle:
            census = await oracle.census()
        async with asyncio.timeout(5):
            while connection.fileno() >= 0:  # noqa: ASYNC110 - nothing tells that TLS has ended
                await asyncio.sleep(0.01)
        return census

    def send(self, name: str, what: signal.Signals) -> None:
        """Send a signal to a party; a deadly one to all its processes at once, as to a container's."""
        _send(self._running[name], what)

    def start_control(self) -> None:
        """Start the control party, and wait until it serves the operator."""
        self._start("control")
        self._bellwire.wait_for(lambda: self._bellwire("ps", self.operator).code == 0, within=60)

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End a party; return its exit code."""
        process = self._running.pop(name)
        _send(process, how)
        try:
            return process.wait(20)
        finally:
            process.kill()
            process.communicate()

    def _end(self) -> None:
        for name in reversed(list(self._running)):
            self.end(name)

    def _start(self, name: str) -> None:
        document = self._directory / f"{name}.json"
        document.write_text(self._told(self._services[name]))
        log = (self._directory / f"{name}.log").open("a")
        with log:
            self._running[name] = subprocess.Popen(
                [sys.executable, *self._services[name].errand.command(str(document))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env=os.environ | {"BELLWIRE_HOME": str(self._bellwire.home), "OPENBLAS_NUM_THREADS": "1"},
            )

    def _told(self, service: Service) -> str:
        told = service.secrets[service.name]
        match service.name:
            case "broker":
                shutil.rmtree(self._folder("broker"))  # a container that is started again finds its own empty
                here = {
                    "host": _HERE,
                    "port": self._ports["broker"],
                    "directory": str(self._folder("broker")),
                }
                return json.dumps(json.loads(told) | here)
            case "state":
                return write(
                    replace(read_document(ServerConfig, told), host=_HERE, port=self._ports["state"])
                )
            case "control":
                config = read_document(ControlConfig, told)
                broker = {party: self._found(access, "broker") for party, access in config.broker.items()}
                state, port = self._found(config.state, "state"), self._ports["control"]
                return write(replace(config, broker=broker, state=state, port=port))
        node = read_document(NodeConfig, told)
        keys = replace(node.keys, store=str(self._folder(node.name) / "store.sqlite"))
        broker_access, state_access = (
            self._found(node.broker, "broker"),
            self._found(node.shared_state, "state"),
        )
        return write(replace(node, broker=broker_access, shared_state=state_access, keys=keys))

    def _found(self, access: Access, server: str) -> Access:
        return replace(access, host=_HERE, port=self._ports[server])

    def _folder(self, name: str) -> Path:
        folder = self._directory / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def _free_ports(count: int) -> list[int]:
    with ExitStack() as taken:
        return [taken.enter_context(socket.create_server((_HERE, 0))).getsockname()[1] for _ in range(count)]


def _send(process: subprocess.Popen[str], what: signal.Signals) -> None:
    if what == signal.SIGKILL:
        os.killpg(process.pid, what)
    else:
        process.send_signal(what)
