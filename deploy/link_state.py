"""What a lab that is up tells of a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LinkState:
    """A link now. ``settings``: as the lab file would say it; ``changed``: the keys that say something else there."""

    name: str
    endpoints: tuple[str, str]
    up: bool
    settings: dict[str, Any]
    changed: tuple[str, ...]
