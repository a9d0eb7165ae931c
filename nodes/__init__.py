"""The parties of a quantum internet. ``async with nodes.connect("alice") as me`` is one of them, in any program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nodes.runtime.connecting import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    """Load what a program needs to connect when it connects: whoever imports a protocol loads no transport."""
    if name != "connect":
        raise AttributeError(f"module 'nodes' has no attribute '{name}'")
    from nodes.runtime.connecting import connect

    return connect
