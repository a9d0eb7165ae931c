"""From what is written in a lab file to what it means: defaults filled in, names made, paths absolute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import expm1, inf
from pathlib import Path
from typing import Any, Final

from deploy.checks import is_file
from deploy.lab import App, KeyManagement, KeyService, Lab, Link, Node, Ports, Runtime
from deploy.labfile import AppKeys, KeyManagementKeys, LabFile
from deploy.link_keys import LinkKeys, QkdKeys, SourceKeys, TapKeys
from deploy.lookup import table
from deploy.node_keys import Equipment, Etsi014Keys, MemoryKeys, NodeKeys
from deploy.presets import MEMORIES, NODES, SCHEMES, SOURCES, Values
from deploy.source import Value
from nodes.agreement import LinkAgreement
from nodes.keys.service import Limits
from nodes.keys.site import Pair
from nodes.runtime.agreements import agreement_of
from shared_state.config import (
    DetectorConfig,
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PulseConfig,
    SourceConfig,
    TapConfig,
)

_PULSES: Final = {field.name for field in fields(PulseConfig)} - {"detectors"}
_PQC_STOCK: Final = Limits().max_key_per_request
"""What no trusted node relays comes out of the stock, and so much may be asked for at once."""
FIBRES: Final = {"spool": 0.2, "deployed": 0.32, "urban": 0.5}
"""Attenuation in dB/km of the fibre presets: on a spool, in the ground between cities, in a city."""


def resolve(written: LabFile, file: Path, links_as_text: Sequence[Value]) -> Lab:
    """Return the lab that ``written``, read from ``file`` and free of problems, means.

    ``links_as_text``: its links as they stand in the file.
    """
    links = [link_of(link, table(text)) for link, text in zip(written.links, links_as_text, strict=True)]
    return Lab(
        name=written.name or file.stem,
        file=file.resolve(),
        seed=written.seed,
        runtime=_runtime(written),
        nodes={name: _node(name, node or NodeKeys(), written) for name, node in written.nodes.items()},
        links={link.name: link for link in links},
        taps={name: _tap(tap) for name, tap in written.taps.items()},
        apps={name: _app(name, app, file.parent) for name, app in written.apps.items()},
        controller=written.network.controller or "built-in",
        keys=_keys(written.keys),
    )


def _keys(written: KeyManagementKeys) -> KeyManagement:
    source = written.source or "qkd"
    stock = written.stock if written.stock is not None else _PQC_STOCK * (source != "qkd")
    pair = Pair(source, low_water=stock, **_given(parameters=written.parameters))
    return KeyManagement(pair, tuple(written.compromised or ()))


def _runtime(written: LabFile) -> Runtime:
    runtime = written.runtime
    return Runtime(
        **_given(
            launcher=runtime.launcher,
            image=runtime.image,
            broker=runtime.broker,
            mode=runtime.clock.mode,
            scale=runtime.clock.scale,
            patience=runtime.clock.patience,
            journal=None if runtime.journal is None else runtime.journal == "on",
            record=None if runtime.record is None else runtime.record == "on",
            max_qubits=runtime.max_qubits,
            host=runtime.host,
            ports=Ports(**runtime.ports.written()),
        )
    )


def _node(name: str, node: NodeKeys, lab: LabFile) -> Node:
    kind = lab.kinds.get(node.kind) if node.kind else None
    layers = (lab.defaults, kind or Equipment(), node)
    hardware = next((layer.hardware for layer in reversed(layers) if layer.hardware), None)
    base = NODES[hardware] if hardware else {"memories": {}, "storage": {}, "gates": {}}
    storage = _memory(base["storage"], [layer.storage for layer in layers])
    gates = {**base["gates"], **_merged(*(layer.gates.written() for layer in layers))}
    if "readout_fidelity" in gates:
        error = 1.0 - gates.pop("readout_fidelity")
        gates = {**gates, "readout_error_0": error, "readout_error_1": error}
    devices = NodeDevices(
        MemoryConfig(**_memory(base["memories"], [layer.memories for layer in layers])),
        GateConfig(**gates),
        MemoryConfig(**storage) if storage else None,
    )
    service = node.services.etsi014
    key_service = None if service is None else _key_service(service)
    return Node(name, node.kind, devices, key_service, bool(node.external))


def _key_service(etsi014: Etsi014Keys) -> KeyService:
    written = etsi014.written()
    limits = {field.name: written.pop(field.name) for field in fields(Limits) if field.name in written}
    return KeyService(saes=written.pop("sae"), limits=Limits(**limits), **written)


def _memory(hardware: Values, layers: Sequence[MemoryKeys]) -> dict[str, Any]:
    written = _merged(*(layer.written() for layer in layers))
    preset: Values = MEMORIES[written.pop("preset")] if "preset" in written else hardware
    memory = {**preset, **written}
    if memory.get("t1", inf) < inf:
        # Without pure dephasing, the longest coherence that physics allows.
        memory.setdefault("t2", 2.0 * memory["t1"])
    return memory


def _merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Merge key by key, a later layer over an earlier one."""
    return {key: value for layer in layers for key, value in layer.items()}


def _given(**values: Any) -> dict[str, Any]:
    """Leave out what was not written, so that the default of the device it configures applies."""
    return {key: value for key, value in values.items() if value is not None}


def link_of(link: LinkKeys, text: Mapping[str, Any]) -> Link:
    """Return the link that ``link`` means; ``text`` is how it was written."""
    preset = FIBRES[link.fibre] if link.fibre else None
    fibre = _given(
        length=link.length,
        attenuation_db_per_km=link.attenuation if preset is None else preset,
        insertion_loss_db=link.insertion_loss,
        velocity=link.velocity,
    )
    devices = LinkDevices(
        endpoints=link.endpoints,
        fibre=FibreConfig(**fibre),
        # Who writes qkd and no source has a fibre for pulses; who writes neither wants a link that does all.
        source=_source(link.source) if link.source.written() or not link.qkd.written() else None,
        pulses=_pulses(link.qkd),
    )
    return Link(
        name=link.name or "-".join(link.endpoints),
        devices=devices,
        qkd=_agreement(link.qkd, devices.pulses),
        extra_delay=link.classical.extra_delay or 0.0,
        jitter=link.classical.jitter or 0.0,
        message_loss=link.classical.loss or 0.0,
        weight=1.0 if link.weight is None else link.weight,
        written=text,
    )


def _source(source: SourceKeys) -> SourceConfig:
    preset = dict(SOURCES[source.hardware]) if source.hardware else {}
    written = source.written()
    written.pop("hardware", None)
    if "dark_count" in written:
        expected = written.pop("dark_count") * written.pop("window")
        written["dark_count_probability"] = -expm1(-expected)
    values = {**preset, **written}
    return SCHEMES[values.get("scheme", "werner")](**values)


def _pulses(qkd: QkdKeys) -> PulseConfig:
    written = {name: value for name, value in qkd.written().items() if name in _PULSES}
    if "intensities" in written:
        count = len(written["intensities"])
        written.setdefault("intensity_probabilities", (1.0 / count,) * count)
    detectors = qkd.detectors.written()
    if "dark_count" in detectors:
        rate = written.get("pulse_rate", PulseConfig().pulse_rate)
        detectors["dark_count_probability"] = -expm1(-detectors.pop("dark_count") / rate)
    return PulseConfig(detectors=DetectorConfig(**detectors), **written)


def _agreement(qkd: QkdKeys, pulses: PulseConfig) -> LinkAgreement:
    agreed = {field.name for field in fields(LinkAgreement)}
    device = {field.name for field in fields(PulseConfig)}
    return agreement_of(pulses, **{k: v for k, v in qkd.written().items() if k in agreed - device})


def _tap(tap: TapKeys) -> TapConfig:
    written = tap.written()
    if "at" in written:
        written["position"] = written.pop("at")
    return TapConfig(**written)


def _app(name: str, app: AppKeys, folder: Path) -> App:
    program = (folder / app.program).resolve() if is_file(app.program) else app.program
    return App(name, program, dict(app.roles))
