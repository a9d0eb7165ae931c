"""Two hosts on this one: an engine of containers in each of two network namespaces, joined by a wire that can be cut.

They are a swarm of two. Their names and addresses are their own, and nothing of them is left in the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from docker import APIClient
from docker.errors import DockerException

_NEEDED = ("ip", "nsenter", "unshare", "dockerd")
_NETWORK = "10.77.{network}.{host}"
_START_WITHIN = 40.0


def missing() -> str:
    """Say what this machine lacks for two hosts, if anything."""
    if os.geteuid():
        return "two hosts need root, who alone makes network namespaces"
    lacking = [name for name in _NEEDED if shutil.which(name, path=_path()) is None]
    return f"two hosts need {', '.join(lacking)}" if lacking else ""


def _path() -> str:
    return os.environ["PATH"] + ":/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Host:
    """One of the two: its ``name``, its ``address``, its network namespace, its end of the wire and its engine."""

    name: str
    address: str
    namespace: str
    device: str
    engine: APIClient
    socket: Path

    def enter(self, *command: str) -> list[str]:
        """Return a command that runs another one on this host."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *command]


@dataclass(frozen=True, slots=True)
class TwoHosts:
    """Both, as a swarm that the first one manages."""

    first: Host
    second: Host

    def cut(self) -> None:
        """Cut the wire."""
        self._wire("down")

    def heal(self) -> None:
        """Join it again."""
        self._wire("up")
        for host, other in ((self.first, self.second), (self.second, self.first)):
            _run("ip", "-n", host.namespace, "route", "replace", "default", "via", other.address)

    def _wire(self, state: str) -> None:
        _run("ip", "-n", self.first.namespace, "link", "set", self.first.device, state)


@contextmanager
def two_hosts(image: str, engine: APIClient) -> Iterator[TwoHosts]:
    """Give a block two hosts that have the ``image`` of an ``engine``."""
    mark = f"{os.getpid() % 10_000}"
    network = os.getpid() % 200 + 20
    with ExitStack() as held:
        directory = Path(held.enter_context(_scratch()))
        names = [f"bw{mark}{letter}" for letter in "ab"]
        addresses = [_NETWORK.format(network=network, host=number) for number in (1, 2)]
        for name in names:
            _run("ip", "netns", "add", name)
            held.callback(_run, "ip", "netns", "del", name)
        _run("ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1])
        for name, address in zip(names, addresses, strict=True):
            _run("ip", "link", "set", name, "netns", name)
            _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", name)
            for device in ("lo", name):
                _run("ip", "-n", name, "link", "set", device, "up")
        for name, other in zip(names, reversed(addresses), strict=True):
            _run("ip", "-n", name, "route", "add", "default", "via", other)
            for server in _name_servers():  # nobody answers there: who asks is to know at once
                with suppress(subprocess.CalledProcessError):
                    _run("ip", "-n", name, "route", "add", "unreachable", f"{server}/32")
        hosts = []
        for number, (name, address) in enumerate(zip(names, addresses, strict=True)):
            bridge = f"172.{26 + number}.{network}.1/24"
            hosts.append(held.enter_context(_host(directory / name, name, address, bridge)))
        packed = directory / "image.tar"
        with packed.open("wb") as file:
            for part in engine.get_image(image):
                file.write(part)
        for host in hosts:
            with packed.open("rb") as file:
                list(host.engine.load_image(file))
        packed.unlink()
        first, second = hosts
        first.engine.init_swarm(advertise_addr=first.address)
        token = first.engine.inspect_swarm()["JoinTokens"]["Worker"]
        second.engine.join_swarm([f"{first.address}:2377"], token, advertise_addr=second.address)
        yield TwoHosts(first, second)


@contextmanager
def _host(directory: Path, name: str, address: str, bridge: str) -> Iterator[Host]:
    """Start an engine in a network namespace; end it, and all that it has started."""
    directory.mkdir()
    socket = directory / "engine.sock"
    places = f"--data-root {directory}/data --exec-root {directory}/exec -p {directory}/pid"
    command = f"hostname {name}; exec dockerd {places} -H unix://{socket} --bip {bridge}"
    with (directory / "engine.log").open("wb") as log:
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{name}", "unshare", "--uts", "sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | {"PATH": _path()},
            start_new_session=True,
        )
    _wait_for(process, directory / "engine.log")
    client = APIClient(base_url=f"unix://{socket}", version="auto", timeout=60)
    try:
        yield Host(name, address, name, name, client, socket)
    finally:
        with suppress(DockerException):
            client.leave_swarm(force=True)
            for container in client.containers(all=True):
                client.remove_container(container["Id"], force=True)
        client.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an engine says that it listens."""
    deadline, pause = time.monotonic() + _START_WITHIN, Event()
    while "API listen on" not in (said := log.read_text()):
        assert process.poll() is None, f"the engine did not start: {said[-2000:]}"
        assert time.monotonic() < deadline, f"the engine did not start: {said[-2000:]}"
        pause.wait(0.1)


@contextmanager
def _scratch() -> Iterator[str]:
    """Give a block a directory; what engines have left mounted in it is unmounted first."""
    directory = tempfile.mkdtemp(prefix="bw-two-")
    try:
        yield directory
    finally:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((path for path in mounts if path.startswith(directory)), reverse=True):
            with suppress(subprocess.CalledProcessError):
                _run("umount", "--lazy", mount)
        shutil.rmtree(directory, ignore_errors=True)


def _name_servers() -> list[str]:
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    words = [line.split() for line in lines if line.startswith("nameserver")]
    return [
        each[1] for each in words if len(each) > 1 and ":" not in each[1] and not each[1].startswith("127.")
    ]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PATH": _path()})
