"""What no key of a lab file can know alone: names that refer to each other, values that must fit together.

The checks work on the values as written, valid or not, and pass over what is malformed, so that all problems
of a file can be told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.complaints import Complaint
from deploy.fields import NAME_PATTERN
from deploy.link_checks import check_links
from deploy.lookup import at, elements, quantity, table
from deploy.node_checks import check_nodes
from deploy.runtime_checks import check_runtime
from deploy.source import KeyPath, Value
from deploy.units import LENGTH
from deploy.wording import quoted, unknown

STANDARD_KINDS: Final = ("endnode", "repeater", "trusted-node")
"""Kinds that a node may have without an entry in ``kinds``: words for the reader, without equipment."""


def check(lab: Value, file: Path) -> Iterator[Complaint]:
    """Find what does not fit together in ``lab``, which was read from ``file``."""
    yield from _name(lab, file)
    yield from check_runtime(lab)
    yield from _links(lab)
    yield from _kinds(lab)
    yield from check_nodes(lab)
    yield from check_links(lab)
    yield from _key_management(lab)
    yield from _taps(lab)
    yield from _apps(lab, file.parent)


def is_file(program: str) -> bool:
    """Tell a program's path from the name of a built-in one."""
    return program.endswith(".py") or "/" in program


def _name(lab: Value, file: Path) -> Iterator[Complaint]:
    if at(lab, "name") is None and re.fullmatch(NAME_PATTERN, file.stem, re.ASCII) is None:
        better = re.sub("[^A-Za-z0-9]+", "-", file.stem).strip("-")[:63] or "lab"
        what = f"the lab has no name, and the file's, {quoted(file.stem)}, cannot be one"
        yield Complaint((), f"{what}; write name: {better}")


def _key_management(lab: Value) -> Iterator[Complaint]:
    nodes = table(at(lab, "nodes"))
    if at(lab, "keys", "parameters") is not None and at(lab, "keys", "source") in (None, "qkd"):
        what = "parameters of ML-KEM, which the source qkd does not use"
        yield Complaint(
            ("keys", "parameters"), f"{what}; write source: hybrid, or leave these out", of_key=True
        )
    for place, name in enumerate(elements(at(lab, "keys", "compromised"))):
        if isinstance(name, str) and name not in nodes:
            yield Complaint(("keys", "compromised", place), unknown("node", name, nodes))


def _links(lab: Value) -> Iterator[Complaint]:
    nodes = table(at(lab, "nodes"))
    first: dict[str, int] = {}
    for index, link in enumerate(elements(at(lab, "links"))):
        here: KeyPath = ("links", index)
        ends = elements(at(link, "endpoints"))
        for place, end in enumerate(ends):
            if nodes and isinstance(end, str) and end not in nodes:
                yield Complaint((*here, "endpoints", place), unknown("node", end, nodes))
        if len(ends) == 2 and ends[0] == ends[1] and isinstance(ends[0], str):
            yield Complaint((*here, "endpoints"), f"a link from {quoted(ends[0])} to itself; name two nodes")
        if at(link, "fibre") is not None and at(link, "attenuation") is not None:
            yield Complaint((*here, "fibre"), "both fibre and attenuation; write one of them", of_key=True)
        name = _link_name(link)
        if name is not None and first.setdefault(name, index) != index:
            message = f"two links are called {quoted(name)}; give this one a name of its own"
            yield Complaint((*here, "name"), message)


def _kinds(lab: Value) -> Iterator[Complaint]:
    kinds = {*table(at(lab, "kinds")), *STANDARD_KINDS}
    for name, node in table(at(lab, "nodes")).items():
        kind = at(node, "kind")
        if isinstance(kind, str) and kind not in kinds:
            yield Complaint(("nodes", name, "kind"), unknown("kind", kind, kinds))


def _taps(lab: Value) -> Iterator[Complaint]:
    links = {_link_name(link): link for link in reversed(elements(at(lab, "links")))}
    for name, tap in table(at(lab, "taps")).items():
        link = at(tap, "link")
        if not isinstance(link, str):
            continue
        if link not in links:
            yield Complaint(("taps", name, "link"), unknown("link", link, filter(None, links)))
            continue
        length, position = (quantity(LENGTH, at(*where)) for where in ((links[link], "length"), (tap, "at")))
        if length is not None and position is not None and position > length:
            what = f"{at(tap, 'at')} is beyond the end of link {quoted(link)}"
            yield Complaint(("taps", name, "at"), f"at: {what}; write at: {length / 1e3:g} km or less")


def _apps(lab: Value, folder: Path) -> Iterator[Complaint]:
    nodes = table(at(lab, "nodes"))
    for name, app in table(at(lab, "apps")).items():
        for role, node in table(at(app, "roles")).items():
            if nodes and isinstance(node, str) and node not in nodes:
                yield Complaint(("apps", name, "roles", role), unknown("node", node, nodes))
        program = at(app, "program")
        if isinstance(program, str) and is_file(program) and not _exists(folder / program):
            what = f"no program file {quoted(program)} in {folder}"
            yield Complaint(("apps", name, "program"), f"{what}; write its path relative to the lab file")


def _exists(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # the name is too long, or its folder may not be read
        return False


def _link_name(link: Value) -> str | None:
    """Return the name of a link as ``deploy.resolution`` gives it, None if the link is malformed."""
    if (name := at(link, "name")) is not None:
        return name if isinstance(name, str) else None
    match at(link, "endpoints"):
        case [str(first), str(second)]:
            return f"{first}-{second}"
    return None
