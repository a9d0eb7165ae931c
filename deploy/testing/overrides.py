"""What a test wants otherwise than it stands in the lab file, laid over the file's values.

Sections and nodes are merged key by key; a link is found by its name (``ex-dc``, which without a ``name`` is its two
ends) and merged like them. Anything else takes the place of what was there; None takes it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from deploy.errors import LabFileInvalid, Problem
from deploy.source import Value, parse
from deploy.testing.errors import MarkInvalid
from deploy.wording import unknown


def overridden(text: str, file: str, overrides: Mapping[str, Any]) -> str:
    """Return the text of a lab file with some values otherwise. Raise ``MarkInvalid`` for a link that it lacks."""
    source = parse(file, text).value
    if not isinstance(source, dict):
        return text
    merged = dict(source)
    for key, change in overrides.items():
        if key == "links" and isinstance(change, dict):
            merged[key] = _links(source.get(key), change)
        else:
            merged = _merged(merged, {key: change})
    # every scalar is text: which words a reader of YAML takes for numbers is not asked
    return yaml.safe_dump(merged, sort_keys=False, allow_unicode=True)


def in_mark(error: LabFileInvalid, file: str) -> LabFileInvalid:
    """Say that problems are of what the mark has changed: lines and columns are those of no file."""
    place = f"{file}, with the overrides of pytest.mark.lab"
    return LabFileInvalid([Problem(place, 0, 0, problem.message) for problem in error.problems])


def _merged(there: Value, change: Any) -> Any:
    if not isinstance(change, dict):
        return _text(change)
    merged: dict[str, Any] = dict(there) if isinstance(there, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _links(there: Value, changes: Mapping[str, Any]) -> list[Any]:
    links = list(there) if isinstance(there, list) else []
    names = [_name_of(link) for link in links]
    for name, change in changes.items():
        if name not in names:
            raise MarkInvalid(f"pytest.mark.lab, overrides: {unknown('link', name, filter(None, names))}")
        place = names.index(name)
        links[place] = _merged(links[place], change)
    return [link for link, name in zip(links, names, strict=True) if changes.get(name, ...) is not None]


def _name_of(link: Value) -> str:
    """Return the name of a link as ``deploy.resolution`` gives it; empty for what is no link."""
    match link:
        case {"name": str(name)}:
            return name
        case {"endpoints": [str(one), str(other)]}:
            return f"{one}-{other}"
    return ""


def _text(value: Any) -> Any:
    """Write a value as a lab file has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list():
            return [_text(each) for each in value]
        case dict():
            return {key: _text(each) for key, each in value.items()}
    return value
