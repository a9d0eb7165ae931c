"""The tasks in which a node plays its roles, and what each of them waits for.

Time may go on only when all of them wait for something that time brings: a message, a timer, a herald, a click. Whoever
awaits anything else (a file, an answer to an HTTP request, a computation in a thread) holds the clock. So every task
that a role starts is followed, by asyncio's task factory, and every future that it awaits is seen on its way out of the
coroutine.
"""

from __future__ import annotations

import asyncio
import asyncio.locks
import asyncio.queues
import asyncio.taskgroups
import gc
import inspect
import sysconfig
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, Final

import shared_state.line
from nodes.runtime.calm import Calm
from nodes.runtime.guest import Guest

_ENSEMBLE: ContextVar[Ensemble | None] = ContextVar("ensemble", default=None)

_ASYNCIO: Final = str(Path(asyncio.__file__).parent)
_OURS: Final = f"{Path(__file__).parents[1]}/"
_LIBRARIES: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
_OF_CHILDREN: Final = (asyncio.taskgroups.__file__, asyncio.tasks.__file__)
_SERVERS_LINE: Final = shared_state.line.__file__
_BETWEEN_TASKS: Final = (asyncio.locks.__file__, asyncio.queues.__file__)


class Ensemble:
    """The tasks of a node's roles. ``changed`` is called when one of them has begun to wait, or has ended.

    ``guest``: a program that acts by itself here, in tasks that are not followed.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._followed: dict[_Followed, None] = {}
        self._current: _Followed | None = None
        self._told: list[_Followed] = []
        self.guest: Guest | None = None

    def __bool__(self) -> bool:
        """Tell whether any task is there."""
        return bool(self._followed)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Follow the tasks that are created in this block, and all that these create."""
        token = _ENSEMBLE.set(self)
        try:
            yield
        finally:
            _ENSEMBLE.reset(token)

    def is_current(self) -> bool:
        """Tell whether a task of the ensemble is running."""
        return self._current is not None

    @contextmanager
    def waiting(self, story: str, *, timed: bool = False) -> Iterator[None]:
        """Let the current task wait for what emulated time brings; ``story`` says what that is.

        ``timed``: it comes by itself. Whatever else is awaited can be called off by ``fail``.
        """
        task = self._current
        if task is None:
            with nullcontext() if self.guest is None else self.guest.waiting(story, timed=timed):
                yield
            return
        task.story, task.timed = story, timed
        cancelled = task.task.cancelling()
        try:
            yield
        except asyncio.CancelledError:
            # somebody else's cancellation comes first
            if task.failure is None or task.task.uncancel() > cancelled:
                raise
            raise task.failure from None
        finally:
            task.story, task.failure = "", None

    def stories(self) -> list[str]:
        """Return what the tasks wait for that somebody else has to bring about; ``fail`` is for these."""
        self._told = [task for task in self._followed if task.story and not task.timed]
        return [task.story for task in self._told] + ([] if self.guest is None else self.guest.stories())

    def fail(self, error: Exception) -> None:
        """Raise an error in all tasks that wait for what somebody else has to bring about, as told by ``stories``."""
        for task in self._told:
            if task in self._followed and task.story and not task.timed and task.failure is None:
                task.failure = error
                task.task.cancel()
        if self.guest is not None:
            self.guest.fail(error)

    @contextmanager
    def answerable(self) -> Iterator[None]:
        """Let the current task answer for all that it starts in this block: ``fail_held`` raises its error here.

        What is left behind of that at the end is cancelled.
        """
        task = self._current
        if task is None:
            yield
            return
        cancelled = task.task.cancelling()
        try:
            yield
        except asyncio.CancelledError:
            if task.reproach is None or task.task.uncancel() > cancelled:
                raise
            raise task.reproach from None
        finally:
            for other in list(self._followed):
                if other.root is task and other is not task:
                    other.task.cancel()

    def fail_held(self, error: Callable[[str], Exception]) -> None:
        """Raise an error, made from the place in the program, where a task answers for one that holds the clock.

        Who waits for the server itself is spared: its client knows how long that may last.
        """
        for task in [task for task in self._followed if not task.waits()]:
            root = task.root
            if root.reproach is None and not task.asks_server():
                root.reproach = error(task.place())
                root.task.cancel()
        if self.guest is not None:
            self.guest.fail_held(error)

    def held_by(self) -> str:
        """Return where a task awaits something that emulated time does not bring; empty when none does."""
        place = next((task.place() for task in self._followed if not task.waits()), "")
        return place or ("" if self.guest is None else self.guest.held_by())

    def root_of_new(self) -> _Followed | None:
        """Return what answers for a task that is created now; None when that is itself."""
        return None if self._current is None else self._current.root

    def runs(self, task: _Followed) -> None:
        """Note that a task goes on."""
        self._followed[task] = None
        self._current = task

    def rests(self, task: _Followed, *, ended: bool) -> None:
        """Note that a task waits, or has ended."""
        self._current = None
        if ended:
            del self._followed[task]
        self._changed()


class _Followed(Coroutine[Any, Any, Any]):
    """A coroutine that tells its ensemble what it awaits."""

    def __init__(self, ensemble: Ensemble, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._ensemble = ensemble
        self._coroutine = coroutine
        self._awaited: object = None
        self.task: asyncio.Task[Any]
        self.story = ""
        self.timed = False
        self.failure: Exception | None = None
        self.root = ensemble.root_of_new() or self
        self.reproach: Exception | None = None
        self.__name__ = getattr(coroutine, "__name__", "coroutine")
        self.__qualname__ = getattr(coroutine, "__qualname__", "coroutine")

    def send(self, value: Any) -> Any:
        """Let it go on."""
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Raise an error where it waits."""
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        """End it."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("a followed coroutine belongs to its task")

    def waits(self) -> bool:
        """Tell whether it waits for what emulated time brings, or for tasks that are followed themselves."""
        if self.story:
            return True
        return _of_tasks(self._awaited) or _between_tasks(list(_chain(self._coroutine)))

    def asks_server(self) -> bool:
        """Tell whether it waits for an answer of the state server."""
        return any(frame.f_code.co_filename == _SERVERS_LINE for frame in _chain(self._coroutine))

    def place(self) -> str:
        """Say where it waits."""
        own = [frame for frame in _chain(self._coroutine) if not _of_library(frame.f_code.co_filename)]
        if not own:
            return f"{self.__qualname__} awaits {self._awaited!r:.80}"
        return f"{Path(own[-1].f_code.co_filename).name}:{own[-1].f_lineno}, in {own[-1].f_code.co_name}"

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        self._ensemble.runs(self)
        ended = True
        try:
            self._awaited = step(*arguments)
            ended = False
        finally:
            self._ensemble.rests(self, ended=ended)
        return self._awaited


class _Follower:
    """asyncio's task factory for a loop in which ensembles are followed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.calm = Calm(loop)
        self._former = loop.get_task_factory()

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Future[Any]:
        context = options.get("context")
        ensemble = _ENSEMBLE.get() if context is None else context.get(_ENSEMBLE)
        followed = coroutine if ensemble is None else _Followed(ensemble, coroutine)
        task: asyncio.Future[Any] = (
            asyncio.Task(followed, loop=loop, **options)
            if self._former is None
            else self._former(loop, followed, **options)
        )
        if isinstance(followed, _Followed) and isinstance(task, asyncio.Task):
            followed.task = task
        return task


def follow(loop: asyncio.AbstractEventLoop) -> Calm:
    """Let ensembles follow the tasks of this loop from now on; return the one ``Calm`` of the loop.

    It stays: two that watched each other's callbacks would never find the loop at rest.
    """
    follower = loop.get_task_factory()
    if not isinstance(follower, _Follower):
        follower = _Follower(loop)
        loop.set_task_factory(follower)
    return follower.calm


def _chain(awaitable: object) -> Iterator[FrameType]:
    """Return the frames of the coroutines and asynchronous generators that await each other, the innermost last."""
    while True:
        if inspect.iscoroutine(awaitable):
            frame, awaitable = awaitable.cr_frame, awaitable.cr_await
        elif inspect.isasyncgen(awaitable):
            frame, awaitable = awaitable.ag_frame, awaitable.ag_await
        else:
            # a step of an asynchronous generator: nothing but the garbage collector tells of which
            generators = (
                filter(inspect.isasyncgen, gc.get_referents(awaitable)) if awaitable is not None else iter(())
            )
            awaitable = next(generators, None)
            if awaitable is None:
                return
            continue
        if frame is not None:
            yield frame


def _of_tasks(awaited: object) -> bool:
    """Tell whether a future is a task that is followed, or ``asyncio.gather`` of nothing else."""
    children: Any = getattr(awaited, "_children", None)
    if children is not None:
        return all(map(_of_tasks, children))
    return isinstance(awaited, asyncio.Task) and isinstance(awaited.get_coro(), _Followed)


def _between_tasks(chain: list[FrameType]) -> bool:
    """Tell whether the innermost coroutine waits for other tasks of the role: for its children, or at a queue or lock.

    A queue inside a library may wait for a socket.
    """
    codes = [frame.f_code for frame in chain]
    if not codes:
        return False
    innermost = codes[-1].co_filename
    if innermost in _OF_CHILDREN:
        variables = chain[-1].f_locals
        match codes[-1].co_name:
            case "__aexit__" | "_aexit":
                return True
            case "_wait":
                return all(map(_of_tasks, variables["fs"]))
            case "wait_for":
                return _of_tasks(variables["fut"])
        return False
    if innermost not in _BETWEEN_TASKS:
        return False
    outside = [code.co_filename for code in codes if not code.co_filename.startswith(_ASYNCIO)]
    return bool(outside) and not _of_library(outside[-1])


@lru_cache(maxsize=1024)
def _of_library(filename: str) -> bool:
    return filename.startswith(_LIBRARIES) and not filename.startswith(_OURS)
