"""One thing that was looked at on this machine: how it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "missing", "trouble"]
"""missing: Bellwire works without it, and cannot do what it is for; trouble: it does not work as things are."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of ``subject``; ``fix`` is empty where nothing is to be done."""

    subject: str
    state: State
    found: str
    fix: str = ""
