"""The lab ``field-systems`` beside the rates that are published of its links: a section of the physics report."""

from __future__ import annotations

from typing import Final

from deploy.topology import load, shipped
from nodes.validation import field_systems
from shared_state.validation.findings import Findings

NAME: Final = "field-systems"


async def compare(seed: int) -> Findings:
    """Compare every link of the lab that ships."""
    links = load(shipped()[NAME]).links
    return await field_systems.field_systems({name: link.devices for name, link in links.items()}, seed)
