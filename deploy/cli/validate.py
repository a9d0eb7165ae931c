"""``bellwire validate``: is this lab file right, and what does it describe?"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any

import typer

from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, out, print_table, quantity
from deploy.figures import pair_figures
from deploy.lab import Lab
from deploy.topology import find, load
from shared_state.world.fibre import transmission


def command(
    lab: Annotated[str, typer.Argument(metavar="LAB", help="A lab file, or the name of a ready lab.")],
    json: JsonOption = False,
) -> None:
    """Check a lab file and show what it describes. Exit code 3 lists everything that is wrong with it.

    Example: bellwire validate metro.yaml
    """
    valid = load(find(lab))
    if json:
        emit_json("validate", {"valid": True, **_document(valid)})
        return
    out.print(f"[green]{valid.file} is valid.[/] Lab [bold]{valid.name}[/]", soft_wrap=True)
    print_table(
        "Nodes", ["node", "kind", "memories", "T1", "T2"], [_node_row(valid, name) for name in valid.nodes]
    )
    print_table(
        "Links",
        ["link", "from", "to", "length", "transmission", "pairs", "pulses"],
        [_link_row(valid, name) for name in valid.links],
    )


def _document(lab: Lab) -> dict[str, Any]:
    return {
        "lab": lab.name,
        "file": str(lab.file),
        "nodes": [
            {"name": name, "memories": node.devices.memories.count} for name, node in lab.nodes.items()
        ],
        "links": [
            {
                "name": name,
                "endpoints": list(link.endpoints),
                "length_m": link.length,
                "transmission": transmission(link.devices.fibre),
                "classical_delay_s": link.classical_delay,
            }
            for name, link in lab.links.items()
        ],
    }


def _node_row(lab: Lab, name: str) -> list[str]:
    node = lab.nodes[name]
    memories = node.devices.memories
    return [
        name,
        node.kind or "-",
        str(memories.count),
        *(quantity(time, "s") if isfinite(time) else "ideal" for time in (memories.t1, memories.t2)),
    ]


def _link_row(lab: Lab, name: str) -> list[str]:
    link = lab.links[name]
    pairs = pair_figures(lab, link)
    fidelity = "-" if pairs is None or pairs.fidelity is None else f"{pairs.fidelity:.4g}"
    return [
        name,
        *link.endpoints,
        f"{link.length / 1000:g} km",
        f"{transmission(link.devices.fibre):.4g}",
        f"{pairs.scheme} {quantity(pairs.rate, 'Hz')}, F {fidelity}" if pairs else "-",
        quantity(link.devices.pulses.pulse_rate, "Hz"),
    ]
