"""An engine of containers as one lab uses it: two networks, a container for each part, what the engine tells of them.

Every call blocks. Whatever is made carries labels that say whose it is, so that what a killed lab has left is found.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import Any, Final, NamedTuple

from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig

from deploy.containers.engine import asked_to, check_local, connect
from deploy.containers.image import is_current
from deploy.containers.parts import Errand, Plane, own_image
from deploy.errors import EngineUnusable

LAB_LABEL: Final = "bellwire.lab"
DIRECTORY_LABEL: Final = "bellwire.directory"
PART_LABEL: Final = "bellwire.part"
_RUN_LABEL: Final = "bellwire.run"
_HOST_LABEL: Final = "bellwire.host"
_PLANES: Final[tuple[Plane, ...]] = ("classical", "quantum")
STOP_DEADLINE: Final = 5
"""Seconds that a container has to end by itself."""
_HEALTH_EVERY: Final = 15
_MEMORY: Final = {"broker": "512m", "shared_state": "4g", "nodes": "1g"}
_PROCESSES: Final = 128
_OUTGROWN: Final = "1h"
"""Networks that are older and empty were left by the supervisor of a lab that has no name to be found by."""


class Made(NamedTuple):
    """A container that has not been started: its ``identity``, and the connection to its standard streams."""

    identity: str
    streams: socket.socket


class Begun(NamedTuple):
    """A container that runs: its process on the host, and where it listens for who asks from there, 0 for nowhere."""

    pid: int
    port: int


class LabEngine:
    """The engine for the lab that lives in ``directory``, its containers all of one ``image``.

    Every method but ``kill`` raises ``EngineUnusable`` when the engine refuses, the constructor when none answers.
    """

    def __init__(self, lab: str, directory: Path, image: str) -> None:
        self._lab = lab
        self._directory = directory
        self._image = image
        self._run = f"{lab}-{token_hex(4)}"
        self._networks: dict[Plane, str] = {}
        self._events: Any = None
        self._client = connect()
        check_local(self._client)

    def prepare(self, died: Callable[[str, int], None]) -> None:
        """Remove what a killed lab has left here, and make the networks. ``died`` is called in another thread, with
        identity and exit code of each container that has ended."""
        with asked_to("make the lab's networks"):
            self._sweep()
            self._check_image()
            for plane in _PLANES:
                made = self._client.create_network(
                    f"bellwire-{self._run}-{plane}", driver="bridge", labels=self._labels(plane)
                )
                self._networks[plane] = made["Id"]
        self._events = self._client.events(
            filters={"label": f"{_RUN_LABEL}={self._run}", "event": "die"}, decode=True
        )
        Thread(target=self._follow, args=(died,), name="engine events", daemon=True).start()

    def create(self, name: str, errand: Errand, restarts: int, former: str) -> Made:
        """Make the container of ``name`` and attach to it; ``former`` was the one before, which has the ports still
        until it is gone."""
        with asked_to(f"make the container of '{name}'"):
            if former:
                with suppress(NotFound):
                    self._client.wait(former, timeout=STOP_DEADLINE, condition="removed")
            made = self._client.create_container(
                self._image,
                command=errand.command("-"),
                name=f"bellwire-{self._run}-{name}" + (f"-{restarts}" if restarts else ""),
                hostname=name,
                user=f"{os.getuid()}:{os.getgid()}",
                stdin_open=True,
                healthcheck={"test": ["CMD-SHELL", errand.health], "interval": _HEALTH_EVERY * 10**9},
                labels=self._labels(name),
                ports=[errand.port] * bool(errand.port) + list(errand.publishes),
                networking_config=self._client.create_networking_config(
                    {self._networks[errand.planes[0]]: self._client.create_endpoint_config(aliases=[name])}
                ),
                host_config=self._client.create_host_config(**_confinement(errand)),
            )
            identity = str(made["Id"])
            for plane in errand.planes[1:]:
                self._client.connect_container_to_network(identity, self._networks[plane], aliases=[name])
            return Made(identity, self._attach(identity))

    def begin(self, name: str, identity: str, port: int) -> Begun:
        """Start a container, which listens at ``port``, 0 for nowhere."""
        with asked_to(f"start the container of '{name}'"):
            self._client.start(identity)
            try:
                found = self._client.inspect_container(identity)
            except NotFound:  # it has ended, and is gone
                return Begun(0, 0)
            bound = (found["NetworkSettings"]["Ports"] or {}).get(f"{port}/tcp")
            return Begun(found["State"]["Pid"], int(bound[0]["HostPort"]) if bound else 0)

    def stop(self, name: str, identity: str) -> None:
        """Ask a container to end, and end it when it does not."""
        with asked_to(f"stop the container of '{name}'"):
            self._client.stop(identity, timeout=STOP_DEADLINE)

    def kill(self, identity: str, number: signal.Signals) -> bool:
        """Send a signal to a container; tell whether it was there to get it."""
        try:
            self._client.kill(identity, number.name)
        except (DockerException, OSError):  # its end is news that has not come yet
            return False
        return True

    def clear(self) -> None:
        """Remove the networks, and what the engine has not yet removed by itself; tell of no more ends."""
        with asked_to("remove the lab's containers and networks"):
            left = self._client.containers(all=True, filters={"label": f"{_RUN_LABEL}={self._run}"})
            for container in left:
                with suppress(APIError):  # being removed
                    self._client.remove_container(container["Id"], force=True)
                with suppress(APIError, OSError):  # until then it is in the networks
                    self._client.wait(container["Id"], timeout=STOP_DEADLINE, condition="removed")
            self._remove_networks(self._networks.values())
        if self._events is not None:
            self._events.close()

    def close(self) -> None:
        """Let go of the engine."""
        self._client.close()

    def _check_image(self) -> None:
        try:
            found = self._client.inspect_image(self._image)
        except ImageNotFound:
            raise EngineUnusable(
                f"the engine has no image '{self._image}': make it with 'bellwire image build'"
            ) from None
        if self._image == own_image() and not is_current(found):
            raise EngineUnusable(
                f"the image '{self._image}' is of other sources than this program's, so its nodes would not do the "
                "same: make it anew with 'bellwire image build'"
            )

    def _attach(self, identity: str) -> socket.socket:
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = self._client.attach_socket(identity, streams)
        connection: socket.socket = (
            attached._sock.dup()
        )  # the library's own stays open while anything remembers it
        attached._response.close()
        connection.setblocking(False)
        return connection

    def _sweep(self) -> None:
        """Remove what a killed supervisor has left: of the lab with this directory, which is ours now, or long ago."""
        left_here = {"label": f"{DIRECTORY_LABEL}={self._directory}"}
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

    def _follow(self, died: Callable[[str, int], None]) -> None:
        with suppress(Exception):  # however the library says that the stream was closed under it
            for event in self._events:
                died(event["Actor"]["ID"], int(event["Actor"]["Attributes"]["exitCode"]))

    def _labels(self, what: str) -> dict[str, str]:
        return {
            LAB_LABEL: self._lab,
            _RUN_LABEL: self._run,
            DIRECTORY_LABEL: str(self._directory),
            _HOST_LABEL: socket.gethostname(),
            PART_LABEL: what,
        }


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
