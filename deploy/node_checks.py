"""What must fit together in a node's equipment, presets and defaults included, and in the services of all nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from deploy.complaints import Complaint
from deploy.lookup import at, elements, quantity, table
from deploy.presets import MEMORIES, NODES
from deploy.source import KeyPath, Value
from deploy.units import FRACTION, TIME
from deploy.wording import quoted
from nodes.keys.service import Limits


class _Written(NamedTuple):
    """A key as one node gets it: ``depth`` 0 from the node itself, 1 its kind, 2 the defaults, 3 a preset."""

    depth: int
    path: KeyPath
    text: str


def check_nodes(lab: Value) -> Iterator[Complaint]:
    """Find equipment that physics does not allow, or that is stated twice. Each key is blamed once."""
    blamed: set[KeyPath] = set()
    for name in table(at(lab, "nodes")):
        for complaint in (
            *_memory(lab, name, "memories"),
            *_memory(lab, name, "storage"),
            *_readout(lab, name),
        ):
            if complaint.path not in blamed:
                blamed.add(complaint.path)
                yield complaint
    yield from _key_services(lab)


def _memory(lab: Value, node: str, section: str) -> Iterator[Complaint]:
    """Hold a memory to t2 <= 2 t1 and to channels that exist. The more specific key gets the blame."""
    t1, t2 = _time(lab, node, section, "t1"), _time(lab, node, section, "t2")
    shape = _key(lab, node, section, "dephasing")
    if shape is not None and shape.text == "gaussian":
        if t1 is not None and t1[1] < inf:
            what = f"gaussian dephasing has no t1, and that of node {quoted(node)} is {t1[0].text}"
            yield Complaint(min(shape, t1[0]).path, f"{what}; leave t1 out, or write dephasing: markovian")
    elif t1 is not None and t2 is not None and t2[1] > 2.0 * t1[1]:
        what = f"the t2 of {t2[0].text} is more than twice the t1 of {t1[0].text} in node {quoted(node)}"
        advice = f"write a t2 of at most {2.0 * t1[1]:g} s, or a longer t1"
        blame = t2[0] if t2[0].depth <= t1[0].depth else t1[0]
        yield Complaint(blame.path, f"{what}; {advice}")
    for key, low, high in (("attempt_dephasing", 0.0, 0.5), ("initialisation_fidelity", 0.5, 1.0)):
        written = _key(lab, node, section, key)
        value = quantity(FRACTION, written.text) if written is not None and written.depth < 3 else None
        if written is not None and value is not None and not low <= value <= high:
            yield Complaint(written.path, f"{key}: {written.text} is out of range; write {low:g} to {high:g}")


def _readout(lab: Value, node: str) -> Iterator[Complaint]:
    fidelity = _key(lab, node, "gates", "readout_fidelity")
    for key in ("readout_error_0", "readout_error_1"):
        error = _key(lab, node, "gates", key)
        if fidelity is not None and error is not None and error.depth < 3:
            what = f"both readout_fidelity and {key} apply to node {quoted(node)}"
            yield Complaint(min(fidelity, error).path, f"{what}; write one of them", of_key=True)


def _key_services(lab: Value) -> Iterator[Complaint]:
    """Hold SAE IDs and ports to one node each, and sizes of keys to their order."""
    saes: dict[str, str] = {}
    ports: dict[str, str] = {}
    for node in table(at(lab, "nodes")):
        path = ("nodes", node, "services", "etsi014")
        service = at(lab, *path)
        for place, sae in enumerate(elements(at(service, "sae"))):
            if isinstance(sae, str) and sae in saes:
                what = f"SAE {quoted(sae)} is at node {quoted(saes[sae])} already"
                yield Complaint((*path, "sae", place), f"{what}; write another ID")
            saes.setdefault(str(sae), node)
        port = at(service, "port")
        if isinstance(port, str) and port.strip() in ports:
            what = f"port: {port} is taken by node {quoted(ports[port.strip()])}"
            yield Complaint((*path, "port"), f"{what}; write another one, or none to take a free one")
        elif isinstance(port, str):
            ports[port.strip()] = node
        yield from _key_sizes(service, path)


def _key_sizes(service: Value, path: KeyPath) -> Iterator[Complaint]:
    default = Limits()
    sizes = {}
    for name in ("min_key_size", "key_size", "max_key_size"):
        written = at(service, name)
        if written is not None and re.fullmatch(r"\s*\d{1,9}\s*", str(written), re.ASCII) is None:
            return
        sizes[name] = getattr(default, name) if written is None else int(str(written))
    least, usual, most = sizes.values()
    if not least <= usual <= most:
        blamed = next(
            name for name in ("key_size", "max_key_size", "min_key_size") if at(service, name) is not None
        )
        what = f"{blamed}: keys have {usual} bits by default, {least} at least and {most} at most"
        yield Complaint((*path, blamed), f"{what}; write min_key_size <= key_size <= max_key_size")


def _time(lab: Value, node: str, section: str, key: str) -> tuple[_Written, float] | None:
    written = _key(lab, node, section, key)
    if written is None:
        return None
    seconds = float(written.text[:-2]) if written.depth == 3 else quantity(TIME, written.text)
    return None if seconds is None else (written, seconds)


def _key(lab: Value, node: str, section: str, key: str) -> _Written | None:
    layers: tuple[tuple[str, ...], ...] = (
        ("nodes", node),
        ("kinds", str(at(lab, "nodes", node, "kind"))),
        ("defaults",),
    )
    for depth, layer in enumerate(layers):
        path = (*layer, section, key)
        text = at(lab, *path)
        if text is not None:
            return _Written(depth, path, str(text))
    for layer in layers:
        preset, hardware = at(lab, *layer, section, "preset"), at(lab, *layer, "hardware")
        for path, values in (
            ((*layer, section, "preset"), MEMORIES.get(str(preset))),
            ((*layer, "hardware"), NODES.get(str(hardware), {}).get(section)),
        ):
            if values is not None and key in values:
                value = values[key]
                return _Written(3, path, f"{value:g} s" if isinstance(value, float) else str(value))
    return None
