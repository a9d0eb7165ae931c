"""A laboratory as its lab file describes it: every default filled in, every value in SI units, all frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from nodes.agreement import LinkAgreement
from nodes.keys.service import Limits
from nodes.keys.site import Pair
from nodes.runtime.channel import Hop
from nodes.runtime.kme_config import KmeTls
from shared_state.config import ClockMode, LinkDevices, NodeDevices, TapConfig

LauncherName: TypeAlias = Literal["process", "docker"]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a lab listens that is reached from other hosts: broker, shared-state server, and the door at which nodes
    join. 0 takes a free port."""

    broker: int = 8883
    state: int = 7083
    join: int = 7085


@dataclass(frozen=True, slots=True)
class Runtime:
    """How the lab is run.

    ``launcher``: as processes of this host, or as containers, of the image ``image`` (empty for this version's own).
    ``broker`` is ``auto``, ``embedded``, ``mosquitto`` or ``mqtt://host[:port]``. ``mode`` None leaves the choice of
    the clock to the command, ``journal`` None that of the journal and ``record`` None that of the record; ``scale``
    is emulated seconds per wall second, in real-time mode only, and ``patience`` for how many wall seconds a node may
    keep its turn without a word, in virtual mode only. ``host``: the name or address by which other hosts reach this
    one, empty for a lab on the loopback address; with it, the ``ports``.
    """

    launcher: LauncherName = "process"
    image: str = ""
    broker: str = "auto"
    mode: ClockMode | None = None
    scale: float = 1.0
    journal: bool | None = None
    record: bool | None = None
    max_qubits: int = 12
    patience: float = 60.0
    host: str = ""
    ports: Ports = field(default_factory=Ports)


@dataclass(frozen=True, slots=True)
class KeyService:
    """Delivery of keys at one node by ETSI GS QKD 014, to the applications ``saes``.

    ``port`` 0 takes a free one. ``deliver_reproducible``: keys made with the lab's seed, too.
    """

    saes: tuple[str, ...]
    port: int = 0
    limits: Limits = field(default_factory=Limits)
    deliver_reproducible: bool = False
    tls: KmeTls = "classical"


@dataclass(frozen=True, slots=True)
class Node:
    """One party. ``kind`` is the word under which the lab file groups it, None when it gives none.

    ``key_service``: how it delivers keys to applications, None when it does not. ``external``: it is run by somebody
    else than the lab.
    """

    name: str
    kind: str | None
    devices: NodeDevices
    key_service: KeyService | None = None
    external: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """What connects two nodes: the quantum devices and the classical channel beside them.

    ``extra_delay`` in seconds is what a classical message takes on top of the propagation through the fibre, ``jitter``
    in seconds the width of what comes on top of both, ``message_loss`` the probability that it must be sent again.
    ``weight``: what the link counts for ways of the least weight. ``qkd``: how keys are made on it.
    ``written``: how the lab file says all that, as texts by key.
    """

    name: str
    devices: LinkDevices
    extra_delay: float = 0.0
    jitter: float = 0.0
    message_loss: float = 0.0
    weight: float = 1.0
    qkd: LinkAgreement = field(default_factory=LinkAgreement)
    written: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def endpoints(self) -> tuple[str, str]:
        """Name the two nodes, in the order of the lab file."""
        return self.devices.endpoints

    @property
    def length(self) -> float:
        """Return the length of the fibre in metres."""
        return self.devices.fibre.length

    @property
    def classical_delay(self) -> float:
        """Return the seconds a classical message needs at least: length / velocity + extra delay."""
        return self.length / self.devices.fibre.velocity + self.extra_delay

    @property
    def classical(self) -> Hop:
        """Return the classical channel."""
        return Hop(self.classical_delay, self.jitter, self.message_loss)


@dataclass(frozen=True, slots=True)
class App:
    """A program and who plays its roles.

    ``program`` is the name of a built-in program or the absolute path of a Python file; ``roles`` maps each
    role to a node.
    """

    name: str
    program: str | Path
    roles: dict[str, str]


@dataclass(frozen=True, slots=True)
class KeyManagement:
    """How keys reach applications: ``pair`` of every two nodes with applications; ``compromised`` trusted nodes."""

    pair: Pair = field(default_factory=Pair)
    compromised: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lab:
    """One laboratory, read from ``file``. The dictionaries are keyed by name, in the order of the file.

    ``controller``: who finds ways for pairs.
    """

    name: str
    file: Path
    seed: int | None
    runtime: Runtime
    nodes: dict[str, Node]
    links: dict[str, Link]
    taps: dict[str, TapConfig]
    apps: dict[str, App]
    controller: Literal["built-in", "external"] = "built-in"
    keys: KeyManagement = field(default_factory=KeyManagement)
