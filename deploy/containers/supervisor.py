"""The processes of a lab as containers: one each, on two networks of the lab's own, seen and ended as processes are.

Each is told what it is over standard input, and ends with it: when the lab's supervisor is gone, however that came
about, the engine closes that stream, the containers end, and the engine removes them. No secret is in the image, in a
container's description, in its command or in its environment.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import signal
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import Any, Final, Self, TypeVar

from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig

from deploy.child import Child
from deploy.child_processes import ChildProcesses
from deploy.children import Part
from deploy.containers.attachment import relay
from deploy.containers.engine import asked_to, check_local, connect
from deploy.containers.parts import BROKER_PORT, STATE_PORT, Errand, Plane, errand_of
from deploy.errors import EngineUnusable
from deploy.launcher import Place

ResultT = TypeVar("ResultT")

LAB_LABEL: Final = "bellwire.lab"
DIRECTORY_LABEL: Final = "bellwire.directory"
PART_LABEL: Final = "bellwire.part"
_RUN_LABEL: Final = "bellwire.run"
_HOST_LABEL: Final = "bellwire.host"
_PLANES: Final[tuple[Plane, ...]] = ("classical", "quantum")
_START_DEADLINE: Final = 30.0
_STOP_DEADLINE: Final = 5
_AT_ONCE: Final = 8
_HEALTH_EVERY: Final = 15
_TOLD_WITHIN: Final = 10.0
"""Seconds after the last word of a container in which the engine tells how it has ended."""
_MEMORY: Final = {"broker": "512m", "shared_state": "4g", "nodes": "1g"}
_PROCESSES: Final = 128
_OUTGROWN: Final = "1h"
"""Networks that are older and empty were left by the supervisor of a lab that has no name to be found by."""


@dataclass(slots=True, kw_only=True)
class Container(Child):
    """A process of the lab in a container, whose ``identity`` the engine has given; ``former`` was that of the one
    before."""

    client: APIClient
    identity: str = ""
    former: str = ""
    input: StreamWriter | None = None
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hang_up(self) -> None:
        """Let its standard input end, by which it ends; it may still have something to say."""
        if self.input is not None and not self.input.is_closing():
            with suppress(OSError):  # it has ended meanwhile
                self.input.write_eof()

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; tell whether the container was there to get it."""
        if self.ended.is_set() or not self.identity:
            return False
        try:
            self.client.kill(self.identity, number.name)
        except (DockerException, OSError):  # its end is news that has not come yet
            return False
        return True


class Containers(ChildProcesses[Container]):
    """The containers of one lab, of ``image``. Use as an async context manager: leaving ends and removes them all.

    Entering raises ``EngineUnusable`` when there is no engine, or none that has the image.
    """

    broker = Place("0.0.0.0", BROKER_PORT, "broker")
    state = Place("0.0.0.0", STATE_PORT, "state")

    def __init__(self, lab: str, logs: Path, image: str = "") -> None:
        super().__init__()
        self._lab = lab
        self._logs = logs
        self._image = image or own_image()
        self._run = f"{lab}-{token_hex(4)}"
        self._client = connect()
        check_local(self._client)
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="engine")
        self._by_identity: dict[str, Container] = {}
        self._networks: dict[Plane, str] = {}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._group = await asyncio.TaskGroup().__aenter__()
        try:
            await self._ask(self._prepare)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            try:
                await self.stop(*self.children)
            finally:
                await self._ask(self._clear)
            await self._group.__aexit__(None, None, None)
        finally:
            self._workers.shutdown(wait=False)
            self._client.close()

    def start(self, name: str, part: Part) -> Container:
        """Start a container; return at once."""
        former = self.children.get(name)
        child = Container(
            name=name,
            log=self._logs / f"{name}.log",
            restarts=self._restarts(name),
            client=self._client,
            former="" if former is None else former.identity,
        )
        self.children[name] = child
        self._group.create_task(self._live(child, errand_of(part)))
        return child

    def _start_deadline(self) -> float:
        return _START_DEADLINE

    async def _stop(self, child: Container) -> None:
        child.hang_up()
        if child.identity:
            with suppress(EngineUnusable):  # it has ended meanwhile
                await self._ask(partial(self._stop_now, child))
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _STOP_DEADLINE):
                await child.ended.wait()
        if not child.ended.is_set():  # what is left is removed with the lab's networks
            self._end(child, 128 + signal.SIGKILL)

    async def _live(self, child: Container, errand: Errand) -> None:
        """Be a container from its creation to its end."""
        try:
            connection = await self._ask(lambda: self._create(child, errand))
            reader, child.input = await asyncio.open_connection(sock=connection)
            child.input.write(errand.document.encode() + b"\n")
            if child.name in self._stopping:
                raise EngineUnusable("it was stopped before it was started")
            await self._ask(lambda: self._begin(child, errand))
            if child.name in self._stopping:
                child.hang_up()
            await self._hear(child, reader)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the end of this container alone
            if child.input is not None:
                child.input.close()
            child.failure = str(error) or type(error).__name__
            child.heard.set()
            self._end(child, 125)

    async def _hear(self, child: Container, reader: StreamReader) -> None:
        """Keep its log until it ends; the first line of its standard output says that it is ready."""
        descriptor = os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as log:
            await relay(reader, lambda line: child.ready.set(), log.write)
        child.heard.set()
        if child.input is not None:
            child.input.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_TOLD_WITHIN):
                await child.ended.wait()
        if not child.ended.is_set():
            child.failure = "it has ended, and its engine does not say how"
            self._end(child, 125)

    async def _note_end(self, child: Container, code: int) -> None:
        await child.heard.wait()
        self._end(child, code)

    def _end(self, child: Container, code: int) -> None:
        if child.ended.is_set():
            return
        child.exitcode = code if code < 128 else 128 - code
        child.ended.set()
        self._by_identity.pop(child.identity, None)
        if child.name not in self._stopping:
            self._died.put_nowait(child)

    async def _ask(self, question: Callable[[], ResultT]) -> ResultT:
        """Ask the engine, which blocks, in a thread; it is asked a few questions at a time."""
        asked = self._loop.run_in_executor(self._workers, question)
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            await asyncio.wait([asked])  # what has begun is done, and can then be undone
            raise

    # what follows blocks, and runs in the workers

    def _prepare(self) -> None:
        with asked_to("make the lab's networks"):
            self._sweep()
            try:
                self._client.inspect_image(self._image)
            except ImageNotFound:
                raise EngineUnusable(
                    f"the engine has no image '{self._image}': make it with 'bellwire image build'"
                ) from None
            for plane in _PLANES:
                made = self._client.create_network(
                    f"bellwire-{self._run}-{plane}", driver="bridge", labels=self._labels(plane)
                )
                self._networks[plane] = made["Id"]
        self._events = self._client.events(
            filters={"label": f"{_RUN_LABEL}={self._run}", "event": "die"}, decode=True
        )
        Thread(target=self._follow, name="engine events", daemon=True).start()

    def _sweep(self) -> None:
        """Remove what a killed supervisor has left: of the lab with this directory, which is ours now, or long ago."""
        left_here = {"label": f"{DIRECTORY_LABEL}={self._logs.parent}"}
        for container in self._client.containers(all=True, filters=left_here):
            with suppress(APIError):  # being removed
                self._client.remove_container(container["Id"], force=True)
        self._remove_networks(network["Id"] for network in self._client.networks(filters=left_here))
        gone = [
            network["Id"]
            for network in self._client.networks(filters={"label": f"{_HOST_LABEL}={socket.gethostname()}"})
            if not Path(network["Labels"].get(DIRECTORY_LABEL, "/")).exists()
        ]
        self._remove_networks(gone)
        self._client.prune_networks({"label": LAB_LABEL, "until": _OUTGROWN})

    def _remove_networks(self, networks: Iterable[str]) -> None:
        """Remove networks; one that somebody else has put something into is left to him."""
        for network in networks:
            with suppress(APIError):
                self._client.remove_network(network)

    def _stop_now(self, child: Container) -> None:
        with asked_to(f"stop the container of '{child.name}'"):
            self._client.stop(child.identity, timeout=_STOP_DEADLINE)

    def _follow(self) -> None:
        """Tell of the ends of containers, in a thread of its own, until the stream is closed."""
        with suppress(Exception):  # however the library says that it was closed under it
            for event in self._events:
                attributes = event["Actor"]["Attributes"]
                self._loop.call_soon_threadsafe(
                    self._note_death, event["Actor"]["ID"], int(attributes["exitCode"])
                )

    def _note_death(self, identity: str, code: int) -> None:
        child = self._by_identity.get(identity)
        if child is not None and not child.ended.is_set():
            self._group.create_task(self._note_end(child, code))

    def _create(self, child: Container, errand: Errand) -> Any:
        """Make the container and attach to it; return the connection."""
        with asked_to(f"make the container of '{child.name}'"):
            if child.former:  # which has the ports still until it is gone
                with suppress(NotFound):
                    self._client.wait(child.former, timeout=_STOP_DEADLINE, condition="removed")
            made = self._client.create_container(
                self._image,
                command=errand.command("-"),
                name=f"bellwire-{self._run}-{child.name}" + (f"-{child.restarts}" if child.restarts else ""),
                hostname=child.name,
                user=f"{os.getuid()}:{os.getgid()}",
                stdin_open=True,
                healthcheck={"test": ["CMD-SHELL", errand.health], "interval": _HEALTH_EVERY * 10**9},
                labels=self._labels(child.name),
                ports=[errand.port] * bool(errand.port) + list(errand.publishes),
                networking_config=self._client.create_networking_config(
                    {self._networks[errand.planes[0]]: self._endpoint(child)}
                ),
                host_config=self._client.create_host_config(**_confinement(errand)),
            )
            child.identity = made["Id"]
            self._by_identity[child.identity] = child
            for plane in errand.planes[1:]:
                self._client.connect_container_to_network(
                    child.identity, self._networks[plane], aliases=[child.name]
                )
            streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self._client.attach_socket(child.identity, streams)
            connection = attached._sock.dup()  # the library's own stays open as long as anything remembers it
            attached._response.close()
            connection.setblocking(False)
            return connection

    def _begin(self, child: Container, errand: Errand) -> None:
        with asked_to(f"start the container of '{child.name}'"):
            self._client.start(child.identity)
            with suppress(NotFound):  # it has ended, and is gone
                found = self._client.inspect_container(child.identity)
                child.pid = found["State"]["Pid"]
                bound = (found["NetworkSettings"]["Ports"] or {}).get(f"{errand.port}/tcp")
                if bound:
                    child.port = int(bound[0]["HostPort"])

    def _clear(self) -> None:
        """Remove the networks, and what the engine has not yet removed by itself."""
        with asked_to("remove the lab's containers and networks"):
            left = self._client.containers(all=True, filters={"label": f"{_RUN_LABEL}={self._run}"})
            for container in left:
                with suppress(APIError):  # being removed
                    self._client.remove_container(container["Id"], force=True)
                with suppress(APIError, OSError):  # until then it is in the networks
                    self._client.wait(container["Id"], timeout=_STOP_DEADLINE, condition="removed")
            self._remove_networks(self._networks.values())
        if hasattr(self, "_events"):
            self._events.close()

    def _endpoint(self, child: Container) -> dict[str, Any]:
        config: dict[str, Any] = self._client.create_endpoint_config(aliases=[child.name])
        return config

    def _labels(self, what: str) -> dict[str, str]:
        return {
            LAB_LABEL: self._lab,
            _RUN_LABEL: self._run,
            DIRECTORY_LABEL: str(self._logs.parent),
            _HOST_LABEL: socket.gethostname(),
            PART_LABEL: what,
        }


def own_image() -> str:
    """Return the image that belongs to this version."""
    return f"bellwire:{importlib.metadata.version('bellwire')}"


def _confinement(errand: Errand) -> dict[str, Any]:
    """Return what a container may do and use: nothing that its errand does not need."""
    local = [errand.port] * bool(errand.port)
    return {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": _MEMORY[errand.module],
        "pids_limit": _PROCESSES,
        "tmpfs": {"/tmp": "rw,nosuid,nodev,size=256m,mode=1777"},
        "binds": dict(_binds(errand)),
        "port_bindings": dict.fromkeys(local, ("127.0.0.1",))
        | {port: ("127.0.0.1", port) for port in errand.publishes},
        "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "4m"}),
        "auto_remove": True,
    }


def _binds(errand: Errand) -> Iterator[tuple[str, dict[str, str]]]:
    for paths, mode in ((errand.reads, "ro"), (errand.writes, "rw")):
        for path in paths:
            yield str(path.resolve()), {"bind": str(path), "mode": mode}
