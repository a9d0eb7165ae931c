"""From what is written in a lab file to what it means: defaults filled in, names made, paths absolute."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from deploy.checks import is_file
from deploy.lab import App, Lab, Link, Node, Runtime
from deploy.labfile import AppKeys, Equipment, LabFile, LinkKeys, NodeKeys, TapKeys
from shared_state.config import (
    DetectorConfig,
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PulseConfig,
    TapConfig,
    WernerSource,
)

FIBRES: Final = {"spool": 0.2, "deployed": 0.32, "urban": 0.5}
"""Attenuation in dB/km of the fibre presets: on a spool, in the ground between cities, in a city."""


def resolve(written: LabFile, file: Path) -> Lab:
    """Return the lab that ``written``, read from ``file`` and free of problems, means."""
    links = [_link(link) for link in written.links]
    return Lab(
        name=written.name or file.stem,
        file=file.resolve(),
        seed=written.seed,
        runtime=_runtime(written),
        nodes={name: _node(name, node or NodeKeys(), written) for name, node in written.nodes.items()},
        links={link.name: link for link in links},
        taps={name: _tap(tap) for name, tap in written.taps.items()},
        apps={name: _app(name, app, file.parent) for name, app in written.apps.items()},
    )


def _runtime(written: LabFile) -> Runtime:
    runtime = written.runtime
    return Runtime(
        **_given(
            launcher=runtime.launcher,
            broker=runtime.broker,
            mode=runtime.clock.mode,
            scale=runtime.clock.scale,
            max_qubits=runtime.max_qubits,
        )
    )


def _node(name: str, node: NodeKeys, lab: LabFile) -> Node:
    kind = lab.kinds.get(node.kind) if node.kind else None
    layers = (lab.defaults, kind or Equipment(), node)
    memories = _merged(*(layer.memories.written() for layer in layers))
    if "t1" in memories:
        # Without pure dephasing, the longest coherence that physics allows.
        memories.setdefault("t2", 2.0 * memories["t1"])
    gates = _merged(*(layer.gates.written() for layer in layers))
    if "readout_fidelity" in gates:
        gates["readout_error_0"] = gates["readout_error_1"] = 1.0 - gates.pop("readout_fidelity")
    return Node(name, node.kind, NodeDevices(MemoryConfig(**memories), GateConfig(**gates)))


def _merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Merge key by key, a later layer over an earlier one."""
    return {key: value for layer in layers for key, value in layer.items()}


def _given(**values: Any) -> dict[str, Any]:
    """Leave out what was not written, so that the default of the device it configures applies."""
    return {key: value for key, value in values.items() if value is not None}


def _link(link: LinkKeys) -> Link:
    preset = FIBRES[link.fibre] if link.fibre else None
    fibre = _given(
        length=link.length,
        attenuation_db_per_km=link.attenuation if preset is None else preset,
        insertion_loss_db=link.insertion_loss,
        velocity=link.velocity,
    )
    pulses = _given(
        pulse_rate=link.qkd.pulse_rate,
        detectors=DetectorConfig(**link.qkd.detectors.written()),
        misalignment=link.qkd.misalignment,
    )
    devices = LinkDevices(
        endpoints=link.endpoints,
        fibre=FibreConfig(**fibre),
        # Who writes qkd and no source has a fibre for pulses; who writes neither wants a link that does all.
        source=WernerSource(**link.source.written())
        if link.source.written() or not link.qkd.written()
        else None,
        pulses=PulseConfig(**pulses),
    )
    return Link(
        name=link.name or "-".join(link.endpoints),
        devices=devices,
        extra_delay=link.classical.extra_delay or 0.0,
    )


def _tap(tap: TapKeys) -> TapConfig:
    optional = _given(strategy=tap.strategy, fraction=tap.fraction, position=tap.at, enabled=tap.enabled)
    return TapConfig(link=tap.link, **optional)


def _app(name: str, app: AppKeys, folder: Path) -> App:
    program = (folder / app.program).resolve() if is_file(app.program) else app.program
    return App(name, program, dict(app.roles))
