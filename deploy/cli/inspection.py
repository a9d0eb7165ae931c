"""The JSON document of ``bellwire inspect``: every figure in SI units, with the unit in its key."""

from __future__ import annotations

from typing import Any

from deploy.figures import click_figures, fibre_figures, pair_figures
from deploy.lab import Lab, Link, Node
from shared_state.config import MemoryConfig


def inspection(lab: Lab) -> dict[str, Any]:
    """Return what to expect of a lab's links and nodes. Ideal times are infinite, single photons have no mean."""
    return {
        "lab": lab.name,
        "file": str(lab.file),
        "links": [_link_document(lab, link) for link in lab.links.values()],
        "nodes": [_node_document(node) for node in lab.nodes.values()],
    }


def _link_document(lab: Lab, link: Link) -> dict[str, Any]:
    fibre, pairs, pulses = fibre_figures(link), pair_figures(lab, link), link.devices.pulses
    return {
        "name": link.name,
        "endpoints": list(link.endpoints),
        "length_m": link.length,
        "loss_db": fibre.loss_db,
        "transmission": fibre.transmission,
        "detection_probability": fibre.detection,
        "delay_s": fibre.delay,
        "classical_delay_s": link.classical_delay,
        "classical_jitter_s": link.jitter,
        "classical_loss": link.message_loss,
        "pairs": pairs
        and {
            "scheme": pairs.scheme,
            "success_probability": pairs.success_probability,
            "cycle_s": pairs.cycle,
            "rate_hz": pairs.rate,
            "fidelity_as_made": pairs.fidelity_as_made,
            "fidelity": pairs.fidelity,
            "known_after_s": pairs.known_after,
        },
        "pulses": {
            "pulse_rate_hz": pulses.pulse_rate,
            "encoding": pulses.encoding,
            "clicks": [
                {"mean_photon_number": clicks.mean, "probability_z": clicks.z, "probability_x": clicks.x}
                for clicks in click_figures(link)
            ],
        },
    }


def _node_document(node: Node) -> dict[str, Any]:
    devices, gates = node.devices, node.devices.gates
    return {
        "name": node.name,
        "kind": node.kind,
        "memories": _memory_document(devices.memories),
        "storage": devices.storage and _memory_document(devices.storage),
        "gates": {
            "single_fidelity": gates.single_fidelity,
            "two_fidelity": gates.two_fidelity,
            "two_qubit_noise": gates.two_qubit_noise,
            "readout_error_0": gates.readout_error_0,
            "readout_error_1": gates.readout_error_1,
            "bell_success": gates.bell_success,
            "single_duration_s": gates.single_duration,
            "two_duration_s": gates.two_duration,
            "readout_duration_s": gates.readout_duration,
            "initialisation_duration_s": gates.initialisation_duration,
        },
    }


def _memory_document(memory: MemoryConfig) -> dict[str, Any]:
    """Describe one kind of memory; an ideal time is infinite, and null in JSON."""
    return {
        "count": memory.count,
        "t1_s": memory.t1,
        "t2_s": memory.t2,
        "dephasing": memory.dephasing,
        "depolarising_time_s": memory.depolarising_time,
        "initialisation_fidelity": memory.initialisation_fidelity,
        "cutoff_s": memory.cutoff,
        "attempt_dephasing": memory.attempt_dephasing,
    }
