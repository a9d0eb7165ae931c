"""What no key of a lab file can know alone: names that refer to each other, values that must fit together.

The checks work on the values as written, valid or not, and pass over what is malformed, so that all problems
of a file can be told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from deploy.complaints import Complaint
from deploy.errors import ValueInvalid
from deploy.fields import NAME_PATTERN
from deploy.source import KeyPath, Value
from deploy.units import LENGTH, TIME, Dimension
from deploy.wording import quoted, unknown

STANDARD_KINDS: Final = ("endnode", "repeater", "trusted-node")
"""Kinds that a node may have without an entry in ``kinds``: words for the reader, without equipment."""


def check(lab: Value, file: Path) -> Iterator[Complaint]:
    """Find what does not fit together in ``lab``, which was read from ``file``."""
    yield from _name(lab, file)
    yield from _links(lab)
    yield from _kinds(lab)
    yield from _memories(lab)
    yield from _taps(lab)
    yield from _apps(lab, file.parent)


def is_file(program: str) -> bool:
    """Tell a program's path from the name of a built-in one."""
    return program.endswith(".py") or "/" in program


def _name(lab: Value, file: Path) -> Iterator[Complaint]:
    if _at(lab, "name") is None and re.fullmatch(NAME_PATTERN, file.stem, re.ASCII) is None:
        better = re.sub("[^A-Za-z0-9]+", "-", file.stem).strip("-")[:63] or "lab"
        what = f"the lab has no name, and the file's, {quoted(file.stem)}, cannot be one"
        yield Complaint((), f"{what}; write name: {better}")


def _links(lab: Value) -> Iterator[Complaint]:
    nodes = _table(_at(lab, "nodes"))
    first: dict[str, int] = {}
    for index, link in enumerate(_list(_at(lab, "links"))):
        here: KeyPath = ("links", index)
        ends = _list(_at(link, "endpoints"))
        for place, end in enumerate(ends):
            if nodes and isinstance(end, str) and end not in nodes:
                yield Complaint((*here, "endpoints", place), unknown("node", end, nodes))
        if len(ends) == 2 and ends[0] == ends[1] and isinstance(ends[0], str):
            yield Complaint((*here, "endpoints"), f"a link from {quoted(ends[0])} to itself; name two nodes")
        if _at(link, "fibre") is not None and _at(link, "attenuation") is not None:
            yield Complaint((*here, "fibre"), "both fibre and attenuation; write one of them", of_key=True)
        name = _link_name(link)
        if name is not None and first.setdefault(name, index) != index:
            message = f"two links are called {quoted(name)}; give this one a name of its own"
            yield Complaint((*here, "name"), message)


def _kinds(lab: Value) -> Iterator[Complaint]:
    kinds = {*_table(_at(lab, "kinds")), *STANDARD_KINDS}
    for name, node in _table(_at(lab, "nodes")).items():
        kind = _at(node, "kind")
        if isinstance(kind, str) and kind not in kinds:
            yield Complaint(("nodes", name, "kind"), unknown("kind", kind, kinds))


class _Written(NamedTuple):
    """A memory's time as one node gets it: ``depth`` 0 from the node itself, 1 its kind, 2 the defaults."""

    depth: int
    path: KeyPath
    text: str
    seconds: float


def _memories(lab: Value) -> Iterator[Complaint]:
    """Hold every node to t2 <= 2 t1, as physics does. The more specific of the two keys gets the blame."""
    blamed: set[KeyPath] = set()
    for name in _table(_at(lab, "nodes")):
        t1, t2 = _memory_time(lab, name, "t1"), _memory_time(lab, name, "t2")
        if t1 is None or t2 is None or t2.seconds <= 2.0 * t1.seconds:
            continue
        blame = min((t2, t1), key=lambda written: written.depth)
        if blame.path not in blamed:
            blamed.add(blame.path)
            what = f"the t2 of {t2.text} is more than twice the t1 of {t1.text} in node {quoted(name)}"
            advice = f"write a t2 of at most {2.0 * t1.seconds:g} s, or a longer t1"
            yield Complaint(blame.path, f"{what}; {advice}")


def _memory_time(lab: Value, node: str, key: str) -> _Written | None:
    layers: tuple[tuple[str, ...], ...] = (
        ("nodes", node),
        ("kinds", str(_at(lab, "nodes", node, "kind"))),
        ("defaults",),
    )
    for depth, layer in enumerate(layers):
        path = (*layer, "memories", key)
        text = _at(lab, *path)
        if text is not None:
            seconds = _quantity(TIME, text)
            return None if seconds is None else _Written(depth, path, str(text), seconds)
    return None


def _taps(lab: Value) -> Iterator[Complaint]:
    links = {_link_name(link): link for link in reversed(_list(_at(lab, "links")))}
    for name, tap in _table(_at(lab, "taps")).items():
        link = _at(tap, "link")
        if not isinstance(link, str):
            continue
        if link not in links:
            yield Complaint(("taps", name, "link"), unknown("link", link, filter(None, links)))
            continue
        length, at = (_quantity(LENGTH, _at(*where)) for where in ((links[link], "length"), (tap, "at")))
        if length is not None and at is not None and at > length:
            what = f"{_at(tap, 'at')} is beyond the end of link {quoted(link)}"
            yield Complaint(("taps", name, "at"), f"at: {what}; write at: {length / 1e3:g} km or less")


def _apps(lab: Value, folder: Path) -> Iterator[Complaint]:
    nodes = _table(_at(lab, "nodes"))
    for name, app in _table(_at(lab, "apps")).items():
        for role, node in _table(_at(app, "roles")).items():
            if nodes and isinstance(node, str) and node not in nodes:
                yield Complaint(("apps", name, "roles", role), unknown("node", node, nodes))
        program = _at(app, "program")
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
    if (name := _at(link, "name")) is not None:
        return name if isinstance(name, str) else None
    match _at(link, "endpoints"):
        case [str(first), str(second)]:
            return f"{first}-{second}"
    return None


def _at(value: Value, *path: str) -> Value:
    """Return what is written at ``path`` below ``value``, None if nothing is."""
    for step in path:
        value = _table(value).get(step)
    return value


def _table(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _quantity(dimension: Dimension, text: Value) -> float | None:
    try:
        return dimension.parse(text) if isinstance(text, str) else None
    except ValueInvalid:
        return None
