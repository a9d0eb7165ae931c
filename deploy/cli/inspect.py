"""``bellwire inspect``: what the devices of a lab will do on average."""

from __future__ import annotations

from math import isfinite
from typing import Annotated

import typer

from deploy.cli.inspection import inspection
from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, print_table, quantity
from deploy.figures import click_figures, fibre_figures, pair_figures
from deploy.lab import Lab, Link, Node
from deploy.topology import find, load


def command(
    lab: Annotated[
        str, typer.Option("--lab", metavar="FILE", help="A lab file, or the name of a ready lab.")
    ],
    json: JsonOption = False,
) -> None:
    """Show what to expect of a lab's fibres, sources, pulses and nodes. Nothing is started, no dice are thrown.

    Transmission is that of the fibre alone; detection includes the receiver's detectors. A rate is the source's,
    while both ends always ask; a fidelity is that with Phi+, as made and after aging until each end knows.

    Example: bellwire inspect --lab delft-thehague

    Example: bellwire inspect --lab metro.yaml --json
    """
    valid = load(find(lab))
    if json:
        emit_json("inspect", inspection(valid))
        return
    links = valid.links.values()
    print_table("Fibres", _FIBRE_COLUMNS, [_fibre_row(link) for link in links])
    print_table("Pairs", _PAIR_COLUMNS, [row for link in links for row in _pair_rows(valid, link)])
    print_table("Pulses", _PULSE_COLUMNS, [row for link in links for row in _pulse_rows(link)])
    print_table(
        "Memories", _MEMORY_COLUMNS, [row for node in valid.nodes.values() for row in _memory_rows(node)]
    )
    print_table("Gates", _GATE_COLUMNS, [_gate_row(node) for node in valid.nodes.values()])


_FIBRE_COLUMNS = ["link", "from", "to", "length", "loss", "transmission", "detection", "delay"]
_PAIR_COLUMNS = [
    "link",
    "scheme",
    "success",
    "attempt every",
    "rate",
    "F as made",
    "F once known",
    "known after",
]
_PULSE_COLUMNS = ["link", "pulses", "encoding", "photons", "click in Z", "click in X"]
_MEMORY_COLUMNS = ["node", "kind", "memory", "qubits", "T1", "T2", "cut-off"]
_GATE_COLUMNS = [
    "node",
    "F one qubit",
    "F two qubits",
    "0 read as 1",
    "1 read as 0",
    "two-qubit gate",
    "readout",
]


def _fibre_row(link: Link) -> list[str]:
    fibre = fibre_figures(link)
    return [
        link.name,
        *link.endpoints,
        f"{link.length / 1000:g} km",
        f"{fibre.loss_db:.4g} dB",
        f"{fibre.transmission:.4g}",
        f"{fibre.detection:.4g}",
        quantity(fibre.delay, "s"),
    ]


def _pair_rows(lab: Lab, link: Link) -> list[list[str]]:
    pairs = pair_figures(lab, link)
    if pairs is None:
        return []
    return [
        [
            link.name,
            pairs.scheme,
            _number(pairs.success_probability),
            _time(pairs.cycle),
            quantity(pairs.rate, "Hz"),
            _number(pairs.fidelity_as_made),
            _number(pairs.fidelity),
            _time(pairs.known_after),
        ]
    ]


def _pulse_rows(link: Link) -> list[list[str]]:
    pulses = link.devices.pulses
    return [
        [
            link.name,
            quantity(pulses.pulse_rate, "Hz"),
            pulses.encoding,
            "single" if clicks.mean is None else f"{clicks.mean:g}",
            _number(clicks.z),
            _number(clicks.x),
        ]
        for clicks in click_figures(link)
    ]


def _memory_rows(node: Node) -> list[list[str]]:
    kinds = {"memories": node.devices.memories, "storage": node.devices.storage}
    return [
        [
            node.name,
            node.kind or "-",
            kind,
            str(memory.count),
            *(quantity(time, "s") if isfinite(time) else "ideal" for time in (memory.t1, memory.t2)),
            quantity(memory.cutoff, "s") if isfinite(memory.cutoff) else "-",
        ]
        for kind, memory in kinds.items()
        if memory is not None
    ]


def _gate_row(node: Node) -> list[str]:
    gates = node.devices.gates
    figures = (gates.single_fidelity, gates.two_fidelity, gates.readout_error_0, gates.readout_error_1)
    times = (gates.two_duration, gates.readout_duration)
    return [node.name, *(f"{figure:g}" for figure in figures), *(quantity(time, "s") for time in times)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _time(value: float | None) -> str:
    return "-" if value is None else quantity(value, "s")
