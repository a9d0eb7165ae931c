"""How a message about a lab file quotes what was written and suggests what may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def quoted(text: str) -> str:
    """Quote ``text`` for one line of a terminal: control characters escaped, a long text cut off."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def escaped(text: str) -> str:
    """Write ``text`` as ``quoted`` does, without the quotes."""
    return quoted(text)[1:-1]


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that there is no ``kind`` called ``name``, and which of the ``known`` is likely meant."""
    names = sorted(known)
    folded = {each.lower(): each for each in reversed(names)}
    if close := get_close_matches(name.lower(), folded, n=1):
        return f"unknown {kind} {quoted(name)}; did you mean {quoted(folded[close[0]])}?"
    return f"unknown {kind} {quoted(name)}; {one_of(names)}"


def one_of(names: Iterable[str]) -> str:
    """Say which words can be written, the first dozen of many."""
    match [*names]:
        case []:
            return "there is none here"
        case [only]:
            return f"write {only}"
        case several:
            return f"write one of {', '.join(several[:12])}{', ...' if len(several) > 12 else ''}"


def flow(value: Any) -> str:
    """Write ``value`` as YAML on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case bool():
            return str(value).lower()
        case None:
            return ""
    return str(value)
