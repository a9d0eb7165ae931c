"""What is written in a lab file is what the lab has, and what is not written has the documented default."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest

from deploy.lab import App, Runtime
from deploy.topology import Lab
from nodes.runtime.channel import Hop
from shared_state.config import (
    DetectorConfig,
    FibreConfig,
    GateConfig,
    MemoryConfig,
    PulseConfig,
    TapConfig,
    WernerSource,
)

ReadLab = Callable[[str], Lab]

HELLO = "nodes: {alice: , bob: }\nlinks: [{endpoints: [alice, bob], length: 20 km}]\n"


def test_the_shortest_lab_is_ideal_but_for_the_loss_of_its_fibre(read: ReadLab) -> None:
    lab = read(HELLO)
    assert lab.name == "lab"
    assert lab.seed is None
    assert lab.runtime == Runtime(launcher="process", broker="auto", mode=None, scale=1.0, max_qubits=12)
    assert lab.nodes["alice"].devices.memories == MemoryConfig(count=8, t1=inf, t2=inf)
    assert lab.nodes["alice"].devices.gates == GateConfig()
    link = lab.links["alice-bob"]
    assert link.devices.fibre == FibreConfig(20e3, 0.2, 0.0, 2e8)
    assert link.devices.source == WernerSource("werner", 10e3, 1.0)
    assert link.devices.pulses == PulseConfig(1e6)
    assert link.devices.source is not None
    assert link.classical_delay == pytest.approx(100e-6)


def test_every_key_reaches_the_device_it_configures(read: ReadLab, tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    lab = read(
        """
name: metro
seed: 42
runtime:
  {launcher: process, broker: "mqtt://host:1883", clock: {mode: real-time, scale: 0.5}, journal: on, max_qubits: 10}
nodes:
  north: {kind: hub, gates: {single_fidelity: 0.999, two_fidelity: 0.99, readout_fidelity: 0.995}}
  south: {memories: {count: 6, t1: 10 s, t2: 300 ms}}
kinds: {hub: {memories: {count: 2}}}
links:
  - name: trunk
    endpoints: [north, south]
    length: 18 km
    attenuation: 0.21 dB/km
    insertion_loss: 1.5 dB
    velocity: 180000 km/s
    classical: {extra_delay: 1 ms, jitter: 2 ms, loss: 5 %}
    source: {scheme: werner, rate: 2 kHz, fidelity: 97 %}
    qkd: {protocol: bb84, pulse_rate: 10 MHz, detectors: {efficiency: 0.8}, misalignment: 1 %}
taps:
  eve: {link: trunk, at: 9 km, strategy: intercept-resend, fraction: 25 %, enabled: true}
apps:
  builtin: {program: teleport, roles: {alice: north, bob: south}}
  mine: {program: ./mine.py}
"""
    )
    assert (lab.name, lab.seed) == ("metro", 42)
    assert lab.runtime == Runtime(
        "process", "", "mqtt://host:1883", "real-time", 0.5, journal=True, max_qubits=10
    )
    assert lab.nodes["north"].kind == "hub"
    assert lab.nodes["north"].devices.memories == MemoryConfig(count=2)
    assert lab.nodes["north"].devices.gates == GateConfig(
        0.999, 0.99, readout_error_0=1 - 0.995, readout_error_1=1 - 0.995
    )
    assert lab.nodes["south"].devices.memories == MemoryConfig(6, 10.0, 0.3)
    trunk = lab.links["trunk"]
    assert trunk.endpoints == ("north", "south")
    assert trunk.devices.fibre == FibreConfig(18e3, 0.21, 1.5, 1.8e8)
    assert trunk.devices.source == WernerSource("werner", 2e3, 0.97)
    assert trunk.devices.pulses == PulseConfig(10e6, misalignment=0.01, detectors=DetectorConfig(0.8))
    assert trunk.classical_delay == pytest.approx(18e3 / 1.8e8 + 1e-3)
    assert trunk.classical == Hop(trunk.classical_delay, jitter=2e-3, loss=0.05)
    assert lab.taps == {"eve": TapConfig("trunk", fraction=0.25, position=9e3, enabled=True)}
    assert lab.apps["builtin"] == App("builtin", "teleport", {"alice": "north", "bob": "south"})
    assert lab.apps["mine"] == App("mine", (tmp_path / "mine.py").resolve(), {})


def test_the_node_overrides_its_kind_and_the_kind_the_defaults_key_by_key(read: ReadLab) -> None:
    lab = read(
        """
defaults: {memories: {count: 1, t1: 1 s, t2: 10 ms}, gates: {two_fidelity: 0.9}}
kinds: {big: {memories: {count: 2, t2: 20 ms}, gates: {readout_fidelity: 0.8}}}
nodes:
  plain:
  kindred: {kind: big}
  special: {kind: big, memories: {count: 3}, gates: {two_fidelity: 1}}
  word: {kind: repeater}
"""
    )
    memories = {name: node.devices.memories for name, node in lab.nodes.items()}
    assert memories["plain"] == memories["word"] == MemoryConfig(1, 1.0, 0.01)
    assert memories["kindred"] == MemoryConfig(2, 1.0, 0.02)
    assert memories["special"] == MemoryConfig(3, 1.0, 0.02)
    assert lab.nodes["plain"].devices.gates == GateConfig(two_fidelity=0.9)
    assert lab.nodes["special"].devices.gates == GateConfig(
        two_fidelity=1.0, readout_error_0=1 - 0.8, readout_error_1=1 - 0.8
    )


@pytest.mark.parametrize(
    ("memories", "expected"),
    [
        ("{t1: 1 s}", MemoryConfig(8, 1.0, 2.0)),
        ("{t2: 1 s}", MemoryConfig(8, inf, 1.0)),
        ("{t1: 1 s, t2: 2 s}", MemoryConfig(8, 1.0, 2.0)),
    ],
)
def test_coherence_lasts_as_long_as_relaxation_allows_unless_said_otherwise(
    read: ReadLab, memories: str, expected: MemoryConfig
) -> None:
    assert read(f"nodes: {{a: {{memories: {memories}}}}}").nodes["a"].devices.memories == expected


@pytest.mark.parametrize(("fibre", "attenuation"), [("spool", 0.2), ("deployed", 0.32), ("urban", 0.5)])
def test_a_fibre_preset_is_an_attenuation(read: ReadLab, fibre: str, attenuation: float) -> None:
    lab = read(f"nodes: {{a: , b: }}\nlinks: [{{endpoints: [a, b], length: 1 km, fibre: {fibre}}}]")
    assert lab.links["a-b"].devices.fibre.attenuation_db_per_km == attenuation


@pytest.mark.parametrize(
    ("keys", "makes_pairs"),
    [
        ("", True),
        (", source: {}", True),
        (", qkd: {protocol: bb84}", False),
        (", source: {rate: 1 kHz}, qkd: {}", True),
    ],
)
def test_a_link_with_qkd_and_no_source_makes_no_pairs(read: ReadLab, keys: str, makes_pairs: bool) -> None:
    lab = read(f"nodes: {{a: , b: }}\nlinks: [{{endpoints: [a, b], length: 1 km{keys}}}]")
    assert (lab.links["a-b"].devices.source is not None) is makes_pairs


def test_a_word_that_yaml_could_take_for_something_else_is_a_name(read: ReadLab) -> None:
    lab = read(
        "nodes: {no: , on: , 007: , 1e3: , null: , True: }\n"
        "links: [{endpoints: [no, on], length: 1 km}, {endpoints: [007, True], length: 1 km}]\n"
        "apps: {off: {program: yes, roles: {y: no}}}"
    )
    assert list(lab.nodes) == ["no", "on", "007", "1e3", "null", "True"]
    assert list(lab.links) == ["no-on", "007-True"]
    assert lab.apps["off"] == App("off", "yes", {"y": "no"})


def test_a_key_that_is_left_empty_is_not_written(read: ReadLab) -> None:
    lab = read(
        "name:\nseed:\nruntime:\nkinds: {x: }\nnodes: {a: {memories: {t1: }, kind: }}\nlinks:\ntaps:\napps:\n"
    )
    assert lab.nodes["a"].devices.memories == MemoryConfig()
    assert lab.links == {}


def test_aliases_stand_for_what_they_name(read: ReadLab) -> None:
    lab = read("nodes: {a: &same {memories: {count: 3}}, b: *same}")
    assert lab.nodes["a"].devices == lab.nodes["b"].devices


def test_a_lab_cannot_be_changed(read: ReadLab) -> None:
    lab = read(HELLO)
    with pytest.raises(AttributeError):
        lab.name = "other"  # type: ignore[misc]  # the claim is that this fails
