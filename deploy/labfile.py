"""What may be written in a lab file: its sections and keys, with their meaning, as pydantic models.

A section holds what was written and nothing more: ``deploy.resolution`` fills in the defaults. Values arrive
as texts (``deploy.source``) and are in SI units once read, but for losses, which stay in decibels.
A key that is left empty counts as not written.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deploy.fields import Broker, Host, Name, NodeName, Program
from deploy.lab import LauncherName
from deploy.link_keys import LinkKeys, TapKeys
from deploy.node_keys import Equipment, NodeKeys
from deploy.section import Section, key, required, section, table
from shared_state.config import ClockMode


class AppKeys(Section):
    """A program, and who plays its roles."""

    program: Program = required(
        "Name of a program, or path of a Python file relative to the lab file.", "teleport"
    )
    roles: dict[Name, str] = table("The node that plays each role.", {"alice": "alice", "bob": "bob"})


class ClockKeys(Section):
    """How emulated time passes."""

    mode: ClockMode | None = key(
        "real-time: with the wall clock; virtual: from event to event. Default: the command chooses.",
        "virtual",
    )
    scale: float | None = key(
        "Emulated seconds per wall second, in real-time mode only. Default 1.", 1, gt=0, allow_inf_nan=False
    )
    patience: float | None = key(
        "Wall seconds for which a node may keep its turn without a word, in virtual mode only; then the lab goes on "
        "without it. Default 60.",
        60,
        gt=0,
        allow_inf_nan=False,
    )


class PortKeys(Section):
    """Where a lab of processes listens that is reached from other hosts; 0 takes a free port."""

    broker: int | None = key("The broker's, under TLS. Default 8883.", 8883, ge=0, le=65535)
    state: int | None = key("The shared-state server's, under TLS. Default 7083.", 7083, ge=0, le=65535)
    join: int | None = key(
        "That at which nodes of other hosts are told what they are. Default 7085.", 7085, ge=0, le=65535
    )


class RuntimeKeys(Section):
    """How the lab is run."""

    launcher: LauncherName | None = key(
        "What each party runs as: process, an operating-system process; docker, a container. Default process.",
        "docker",
    )
    host: Host | None = key(
        "Name or address of this host by which other hosts reach it: the broker and the shared-state server of a lab "
        "of processes listen there, under TLS with certificates on both sides. Needs Mosquitto. Default: the loopback "
        "address, without TLS.",
        "10.77.0.1",
    )
    ports: PortKeys = section("Where a lab with a host listens.", {"broker": 8883}, PortKeys())
    image: str | None = key(
        "The containers' image, with launcher docker. Default bellwire:VERSION, which 'bellwire image build' makes.",
        "bellwire:0.1.0",
    )
    broker: Broker | None = key(
        "auto: Mosquitto if installed, else embedded; mqtt://host:port: one that is there. Default auto.",
        "auto",
    )
    clock: ClockKeys = section("Emulated time.", {"mode": "virtual"}, ClockKeys())
    journal: Literal["on", "off"] | None = key(
        "on: the shared-state server writes every operation down before it acknowledges it, and is started again when "
        "it dies. Default: on for a lab that is up in the background, else off.",
        "on",
    )
    record: Literal["on", "off"] | None = key(
        "on: the shared-state server writes down every event of a lab that is up, for 'bellwire events'. Default on; "
        "other commands record where --record says so.",
        "on",
    )
    max_qubits: int | None = key(
        "Largest number of qubits entangled with each other; the memory for n is 16 * 4^n bytes. Default 12.",
        12,
        ge=1,
        le=13,
    )


class NetworkKeys(Section):
    """How the entanglement network is run."""

    controller: Literal["built-in", "external"] | None = key(
        "Who finds ways for pairs. external: a program that connects to the lab's broker as 'controller', see "
        "'bellwire controller'. Default built-in.",
        "external",
    )


class KeyManagementKeys(Section):
    """How keys reach applications at nodes that no link connects, and what protects them."""

    source: Literal["qkd", "pqc", "hybrid"] | None = key(
        "qkd: from links, and over trusted nodes. pqc: from ML-KEM alone. hybrid: both, combined so that either alone "
        "protects. Default qkd.",
        "hybrid",
    )
    parameters: Literal["ML-KEM-768", "ML-KEM-1024"] | None = key(
        "Of the post-quantum key exchange, where source uses one. Default ML-KEM-768.", "ML-KEM-768"
    )
    stock: int | None = key(
        "Keep so many keys of 256 bits in store for every two nodes with applications, by relay over trusted nodes or "
        "by ML-KEM. Default 0: relay when keys are asked for; 128 where source is pqc or hybrid.",
        64,
        ge=0,
        le=1_000_000,
    )
    compromised: tuple[str, ...] | None = key(
        "Trusted nodes into which somebody has broken, who reads every key that they relay. Default none.",
        ["exchange"],
    )


class LabFile(Section):
    """A Bellwire lab."""

    name: Name | None = key("Name of the lab. Default: the file's name without its ending.", "metro")
    seed: int | None = key("Seed of all chance in the lab. Default: a new one each time.", 42, ge=0, lt=2**63)
    runtime: RuntimeKeys = section("What the lab runs on.", {"broker": "auto"}, RuntimeKeys())
    defaults: Equipment = section(
        "What every node is equipped with.", {"memories": {"count": 4}}, Equipment()
    )
    kinds: dict[Name, Equipment | None] = table(
        "Equipment that nodes of one kind share.", {"repeater": {"memories": {"count": 8}}}
    )
    nodes: Annotated[dict[NodeName, NodeKeys | None], Field(min_length=1)] = required(
        "The parties of the lab; a name alone is a node without imperfections.", {"alice": None, "bob": None}
    )
    links: tuple[LinkKeys, ...] = Field(
        default=(),
        description="The connections between nodes.",
        examples=[[{"endpoints": ["alice", "bob"], "length": "20 km"}]],
    )
    network: NetworkKeys = section("The entanglement network.", {"controller": "built-in"}, NetworkKeys())
    keys: KeyManagementKeys = section("Key management.", {"source": "hybrid"}, KeyManagementKeys())
    taps: dict[Name, TapKeys] = table(
        "Eavesdroppers.", {"eve": {"link": "alice-bob", "at": "10 km", "enabled": False}}
    )
    apps: dict[Name, AppKeys] = table(
        "Programs.", {"teleport": {"program": "teleport", "roles": {"alice": "alice", "bob": "bob"}}}
    )
