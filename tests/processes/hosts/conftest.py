"""Two hosts on one machine: two network namespaces, joined by a wire that can be cut.

Their names are the test's own, so tests may run beside each other, and all of it is removed afterwards: the wire goes
with the namespaces.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from broker.programs.choose import find_mosquitto

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

_PATIENCE = 30.0
ROOT = Path(__file__).parents[3]


def reason_to_skip() -> str:
    """Say why there cannot be two hosts here, nothing where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces take root on Linux"
    if missing := [program for program in ("ip", "nsenter") if shutil.which(program) is None]:
        return f"{missing[0]} is not installed"
    if find_mosquitto() is None:
        return "mosquitto is not installed"
    probe = f"bw{token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode:
        return "network namespaces are not allowed here"
    _ip("netns", "del", probe)
    return ""


@dataclass(frozen=True)
class Host:
    """One of the two: the command ``bellwire`` there, and its ``address``."""

    namespace: str
    address: str
    interface: str
    bellwire: Bellwire

    def enter(self, *command: str) -> tuple[str, ...]:
        """Return a command as it is run there."""
        return ("nsenter", f"--net=/run/netns/{self.namespace}", *command)

    def start_program(self, file: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a Python program there."""
        own = {"BELLWIRE_HOME": str(self.bellwire.home), "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            self.enter(sys.executable, str(file), *arguments),
            env=os.environ | own | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@dataclass(frozen=True)
class Hosts:
    """``here``, where the lab is, and ``there``."""

    here: Host
    there: Host

    def cut(self) -> None:
        """Cut the wire: neither end is told more than that no carrier is there."""
        _ip("-n", self.there.namespace, "link", "set", self.there.interface, "down")

    def heal(self) -> None:
        """Mend it; return when packets come through again."""
        _ip("-n", self.there.namespace, "link", "set", self.there.interface, "up")
        probe = (
            "import socket, sys\nwith socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:\n s.settimeout(0.3)\n"
            f" sys.exit(s.connect_ex(('{self.here.address}', 9)) not in (0, 111))"
        )
        deadline = time.monotonic() + _PATIENCE
        while subprocess.run(self.there.enter(sys.executable, "-c", probe), check=False).returncode:
            assert time.monotonic() < deadline, "the wire is not mended"


def _said(process: subprocess.Popen[str], what: str) -> str:
    """Return what a process says on standard error up to ``what``; fail when it ends before, or takes too long."""
    assert process.stderr is not None
    said, deadline = b"", time.monotonic() + _PATIENCE
    while what.encode() not in said:
        ready, _, _ = select.select([process.stderr], [], [], max(0.0, deadline - time.monotonic()))
        # not by readline: what that has read beyond its line is nothing that select would tell of
        more = os.read(process.stderr.fileno(), 1 << 16) if ready else b""
        assert more, f"{what!r} was not said: {said.decode(errors='replace')}"
        said += more
    return said.decode(errors="replace")


@pytest.fixture
def said() -> Callable[[subprocess.Popen[str], str], str]:
    """Wait for what a process says on standard error."""
    return _said


@pytest.fixture
def hosts(tmp_path: Path, bellwire: Bellwire, ends: Callable[[Sequence[int]], None]) -> Iterator[Hosts]:
    """Two hosts; at the end no process of either is left, and no namespace."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    name = f"bw{token_hex(3)}"
    subnet = f"10.{77 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
    with ExitStack() as undone:
        for side in ("a", "b"):
            _ip("netns", "add", name + side)
            undone.callback(_ip, "netns", "del", name + side)
            _ip("-n", name + side, "link", "set", "lo", "up")
        _ip(
            "-n",
            name + "a",
            "link",
            "add",
            name + "a",
            "type",
            "veth",
            "peer",
            name + "b",
            "netns",
            name + "b",
        )
        made = []
        for side, number in (("a", 1), ("b", 2)):
            _ip("-n", name + side, "address", "add", f"{subnet}.{number}/24", "dev", name + side)
            _ip("-n", name + side, "link", "set", name + side, "up")
            command = ("nsenter", f"--net=/run/netns/{name + side}", sys.executable, "-m", "deploy")
            other = type(bellwire)(Path(tempfile.mkdtemp(prefix="bw-")), tmp_path, command)
            undone.callback(other.clear)
            made.append(Host(name + side, f"{subnet}.{number}", name + side, other))
        yield Hosts(*made)
        for host in made:
            ends(host.bellwire.processes())
            assert host.bellwire.left_over() == []


def _is_quiet(host: Host) -> bool:
    return not host.bellwire.processes()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
