"""A picture of the whole world: everything that is not a connection, and not the wall clock."""

from __future__ import annotations

import io
import pickle
from typing import Any

from shared_state.clock import LabClock, RealTimeClock
from shared_state.connection import Connection


class _Painter(pickle.Pickler):
    def persistent_id(self, obj: Any) -> str | None:
        """Leave out what another process has of its own."""
        if isinstance(obj, Connection):
            return "connection"
        return "clock" if isinstance(obj, RealTimeClock) else None


class _Viewer(pickle.Unpickler):
    def __init__(self, data: bytes, clock: LabClock) -> None:
        super().__init__(io.BytesIO(data))
        self._clock = clock

    def persistent_load(self, pid: Any) -> Any:
        """Put this process' own in its place; a connection is gone."""
        return self._clock if pid == "clock" else None


def paint(world: object) -> bytes:
    """Return a picture of a world of plain objects."""
    picture = io.BytesIO()
    _Painter(picture, pickle.HIGHEST_PROTOCOL).dump(world)
    return picture.getvalue()


def view(picture: bytes, clock: LabClock) -> Any:
    """Return the world of a picture; ``clock`` takes the place of one that follows the wall clock.

    Only for pictures that this server has painted: reading one runs what it says.
    """
    return _Viewer(picture, clock).load()
