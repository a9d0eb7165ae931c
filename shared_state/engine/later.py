"""Values that are determined already and known later: what a measurement of a large cluster finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Later(Generic[T]):
    """A value that follows from what has been asked for, and is known when the work for it is done.

    Who listens must not act on the joint state: it is in the middle of its work.
    """

    __slots__ = ("_known", "_listeners")

    def __init__(self) -> None:
        self._known: tuple[T] | None = None
        self._listeners: list[Callable[[T], object]] = []

    @classmethod
    def at_once(cls, value: T) -> Later[T]:
        """Return a value that is known."""
        later = cls()
        later._known = (value,)
        return later

    @property
    def known(self) -> bool:
        """Tell whether the work for the value is done."""
        return self._known is not None

    @property
    def value(self) -> T:
        """Return the value. Raises RuntimeError when it is not known yet."""
        if self._known is None:
            raise RuntimeError("the value is not known yet: the joint state has to be worked on.")
        return self._known[0]

    def become(self, value: T) -> None:
        """Let the value be known, and tell who listens."""
        self._known = (value,)
        if self._listeners:
            listeners, self._listeners = self._listeners, []
            for listener in listeners:
                listener(value)

    def when_known(self, listener: Callable[[T], object]) -> None:
        """Call ``listener`` with the value, now or when it is known."""
        if self._known is None:
            self._listeners.append(listener)
        else:
            listener(self._known[0])

    def map(self, function: Callable[[T], U]) -> Later[U]:
        """Return what ``function`` makes of the value."""
        mapped: Later[U] = Later()
        self.when_known(lambda value: mapped.become(function(value)))
        return mapped
