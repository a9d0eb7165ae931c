"""A picture of the whole world: everything that is not a connection, and not the wall clock.

Most of a large world are holdings and small matrices, so these are written down by functions of their own.
"""

from __future__ import annotations

import copyreg
import gc
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared_state.clock import LabClock, RealTimeClock
from shared_state.connection import Connection
from shared_state.ledger import Holding

_FIELDS: Final = tuple(field.name for field in fields(Holding))
_held: Final = attrgetter(*_FIELDS)


def own_clock() -> LabClock:
    """Stand in a picture for the clock of whoever views it."""
    raise NotImplementedError("only a viewer knows its clock")


def no_connection() -> None:
    """Stand in a picture for a connection: who views it has none."""


def _holding() -> Holding:
    return Holding(0)


def _hold(holding: Holding, values: tuple[Any, ...]) -> None:
    """Give a holding its values, among them a partner whose partner it is."""
    for name, value in zip(_FIELDS, values, strict=True):
        setattr(holding, name, value)


def _matrix(shape: tuple[int, ...], elements: bytes) -> NDArray[np.complex128]:
    return np.frombuffer(bytearray(elements), dtype=np.complex128).reshape(shape)


def _drawn(array: NDArray[Any]) -> str | tuple[Any, ...]:
    """Reduce the matrix of a cluster to its elements; every other array as numpy does."""
    if array.dtype == np.complex128 and array.flags.c_contiguous:
        return _matrix, (array.shape, array.tobytes())
    return array.__reduce_ex__(pickle.HIGHEST_PROTOCOL)


class _Painter(pickle.Pickler):
    dispatch_table: dict[type, Callable[[Any], Any]] = {  # noqa: RUF012 - pickle reads it from the class, and only reads
        **copyreg.dispatch_table,
        Connection: lambda _: (no_connection, ()),
        RealTimeClock: lambda _: (own_clock, ()),
        Holding: lambda holding: (_holding, (), _held(holding), None, None, _hold),
        np.ndarray: lambda array: _drawn(array),
    }


class _Viewer(pickle.Unpickler):
    def __init__(self, data: bytes, clock: LabClock) -> None:
        super().__init__(io.BytesIO(data))
        self._clock = clock

    def find_class(self, module: str, name: str) -> Any:
        """Put this process' own clock in its place."""
        found = super().find_class(module, name)
        return (lambda: self._clock) if found is own_clock else found


def paint(world: object) -> bytes:
    """Return a picture of a world of plain objects."""
    picture = io.BytesIO()
    with _no_garbage():
        _Painter(picture, pickle.HIGHEST_PROTOCOL).dump(world)
    return picture.getvalue()


def view(picture: bytes, clock: LabClock) -> Any:
    """Return the world of a picture; ``clock`` takes the place of one that follows the wall clock.

    Only for pictures that this server has painted: reading one runs what it says.
    """
    with _no_garbage():
        return _Viewer(picture, clock).load()


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the collector from looking through a million objects of which none can be garbage, again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
