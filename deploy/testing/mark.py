"""What ``@pytest.mark.lab`` says: which lab a test wants, and how it is to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args

from deploy.testing.errors import MarkInvalid
from deploy.wording import one_of, unknown
from shared_state.config import ClockMode

Scope = Literal["function", "module", "session"]
SCOPES: Final = get_args(Scope)
CLOCKS: Final = get_args(ClockMode)
_EXAMPLE: Final = '@pytest.mark.lab("metro.yaml", seed=7, clock="virtual")'


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lab that a test wants: one lab file, name of a ready lab, or text of a lab file.

    ``folder`` is the test file's: paths begin there. ``scope``: the test has the lab for itself (function), or shares
    it with those of its module or of the run that want the same. ``overrides``, as JSON, are what is otherwise than in
    the file: see ``deploy.testing.overrides``.
    """

    lab: str
    folder: Path
    seed: int | None = None
    clock: ClockMode | None = None
    scope: Scope = "function"
    overrides: str = "{}"

    @property
    def is_text(self) -> bool:
        """Tell whether the lab file's text stands in the mark itself."""
        return "\n" in self.lab


def wanted(arguments: tuple[object, ...], keywords: Mapping[str, object], folder: Path) -> Wanted:
    """Read what a mark says. Raise ``MarkInvalid``."""
    names = [field.name for field in fields(Wanted) if field.name != "folder"]
    if stray := next((name for name in keywords if name not in names), None):
        raise MarkInvalid(f"pytest.mark.lab: {unknown('argument', stray, names)}")
    if len(arguments) > 1 or (arguments and "lab" in keywords):
        raise MarkInvalid(f"pytest.mark.lab takes one lab; the rest has names: {_EXAMPLE}")
    given: dict[str, Any] = {**({"lab": arguments[0]} if arguments else {}), **keywords}
    if not isinstance(lab := given.get("lab"), str | Path) or not str(lab):
        raise MarkInvalid(
            f"pytest.mark.lab wants a lab file, the name of a ready lab or a lab file's text: {_EXAMPLE}"
        )
    _check_choice("scope", given.get("scope", "function"), SCOPES)
    if given.get("clock") is not None:
        _check_choice("clock", given["clock"], CLOCKS)
    seed = given.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
        raise MarkInvalid(f"pytest.mark.lab: seed={seed!r}; write a whole number from 0")
    overrides = given.get("overrides") or {}
    try:
        text = json.dumps(overrides, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise MarkInvalid(
            f"pytest.mark.lab: overrides are texts, numbers, lists and dicts ({error})"
        ) from None
    if not isinstance(overrides, dict):
        raise MarkInvalid(
            'pytest.mark.lab: overrides is a dict like {"links": {"ex-dc": {"length": "40 km"}}}'
        )
    return Wanted(**{**given, "lab": str(lab), "overrides": text}, folder=folder)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise MarkInvalid(f"pytest.mark.lab: {name}={value!r}; {one_of(choices)}")
