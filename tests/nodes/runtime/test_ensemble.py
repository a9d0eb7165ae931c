"""What a role may await while emulated time goes on, and what holds the lab's clock."""

from __future__ import annotations

import asyncio
import socket
import sys
import sysconfig
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from nodes.runtime.ensemble import Ensemble, follow

Role = Callable[["Post"], Coroutine[Any, Any, object]]


class Post:
    """A port: what it waits for, emulated time brings."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._letter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def receive(self) -> None:
        with self._ensemble.waiting("a letter"):
            await self._letter

    async def letters(self) -> AsyncIterator[None]:
        while True:
            await self.receive()
            yield

    def deliver(self) -> None:
        self._letter.set_result(None)


async def rest() -> None:
    """Wait until nothing in the loop can happen by itself."""
    calm = asyncio.Event()
    follow(asyncio.get_running_loop()).then(calm.set)
    await calm.wait()


async def played(role: Role) -> tuple[Ensemble, Post, asyncio.Task[object]]:
    """Play a role until it rests."""
    follow(asyncio.get_running_loop())
    ensemble = Ensemble(lambda: None)
    post = Post(ensemble)
    with ensemble.entered():
        task = asyncio.create_task(role(post))
    await rest()
    return ensemble, post, task


async def a_port(post: Post) -> None:
    await post.receive()


async def a_child_task(post: Post) -> None:
    await asyncio.create_task(post.receive())


async def a_group_of_tasks(post: Post) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(post.receive())
        group.create_task(a_child_task(post))


async def gathered_coroutines(post: Post) -> None:
    await asyncio.gather(post.receive(), a_child_task(post))


async def the_first_of_several(post: Post) -> None:
    await asyncio.wait([asyncio.create_task(post.receive())], return_when=asyncio.FIRST_COMPLETED)


async def a_coroutine_with_a_timeout(post: Post) -> None:
    await asyncio.wait_for(post.receive(), 60)


async def a_block_with_a_timeout(post: Post) -> None:
    async with asyncio.timeout(60):
        await post.receive()


async def gathered_coroutines_with_a_timeout(post: Post) -> None:
    await asyncio.wait_for(asyncio.gather(post.receive(), post.receive()), 60)


async def a_queue_that_a_child_fills(post: Post) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def fill() -> None:
        await post.receive()
        queue.put_nowait(1)

    async with asyncio.TaskGroup() as group:
        group.create_task(fill())
        await queue.get()


async def an_event_that_a_child_sets(post: Post) -> None:
    event = asyncio.Event()

    async def fill() -> None:
        await post.receive()
        event.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(fill())
        await event.wait()


async def a_lock_that_a_child_holds(post: Post) -> None:
    lock = asyncio.Lock()

    async def hold() -> None:
        async with lock:
            await post.receive()

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        await asyncio.sleep(0)
        async with lock:
            pass


async def a_condition_that_a_child_notifies(post: Post) -> None:
    condition = asyncio.Condition()

    async def fill() -> None:
        await post.receive()
        async with condition:
            condition.notify_all()

    async with asyncio.TaskGroup() as group:
        group.create_task(fill())
        async with condition:
            await condition.wait()


async def an_asynchronous_generator(post: Post) -> None:
    async for _ in post.letters():
        return


async def a_generator_around_a_queue(post: Post) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def numbers() -> AsyncIterator[int]:
        while True:
            yield await queue.get()

    async def fill() -> None:
        await post.receive()
        queue.put_nowait(1)

    async with asyncio.TaskGroup() as group:
        group.create_task(fill())
        async for _ in numbers():
            break


@pytest.mark.parametrize(
    "role",
    [
        *(a_port, a_child_task, a_group_of_tasks, gathered_coroutines, the_first_of_several),
        *(a_coroutine_with_a_timeout, a_block_with_a_timeout, gathered_coroutines_with_a_timeout),
        *(a_queue_that_a_child_fills, an_event_that_a_child_sets, a_lock_that_a_child_holds),
        *(a_condition_that_a_child_notifies, an_asynchronous_generator, a_generator_around_a_queue),
    ],
    ids=lambda role: role.__name__,
)
async def test_time_goes_on_for_a_role_that_awaits(role: Role) -> None:
    ensemble, post, task = await played(role)
    assert not task.done()
    assert ensemble.held_by() == ""
    assert set(ensemble.stories()) == {"a letter"}
    post.deliver()
    await task
    assert not ensemble


async def the_wall_clock(post: Post) -> None:
    await asyncio.sleep(3600)


async def a_future_of_its_own(post: Post) -> None:
    await asyncio.get_running_loop().create_future()


async def a_thread(post: Post) -> None:
    go_on = threading.Event()
    try:
        await asyncio.to_thread(go_on.wait)
    finally:
        go_on.set()


async def a_thread_with_a_timeout(post: Post) -> None:
    go_on = threading.Event()
    try:
        await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, go_on.wait), 60)
    finally:
        go_on.set()


async def the_first_of_a_letter_and_a_thread(post: Post) -> None:
    go_on = threading.Event()
    thread = asyncio.get_running_loop().run_in_executor(None, go_on.wait)
    try:
        both: list[asyncio.Future[Any]] = [thread, asyncio.create_task(post.receive())]
        await asyncio.wait(both)
    finally:
        go_on.set()


async def a_stream(post: Post) -> None:
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    try:
        await reader.read()
    finally:
        writer.close()
        there.close()


async def a_subprocess(post: Post) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await process.wait()
    finally:
        process.kill()
        await process.wait()


async def a_queue_in_a_library(post: Post) -> None:
    library = Path(sysconfig.get_path("purelib"), "library.py")
    code = "async def get(queue):\n    return await queue.get()\n"
    names: dict[str, Callable[[asyncio.Queue[int]], Awaitable[int]]] = {}
    exec(compile(code, library, "exec"), names)
    await names["get"](asyncio.Queue())


async def a_letter_beside_a_child_that_sleeps(post: Post) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(the_wall_clock(post))
        await post.receive()


HOLDING = [
    *(the_wall_clock, a_future_of_its_own, a_thread, a_thread_with_a_timeout),
    *(the_first_of_a_letter_and_a_thread, a_stream, a_subprocess, a_queue_in_a_library),
    a_letter_beside_a_child_that_sleeps,
]


@pytest.mark.parametrize("role", HOLDING, ids=lambda role: role.__name__)
async def test_the_clock_is_held_by_a_role_that_awaits(role: Role) -> None:
    ensemble, _, task = await played(role)
    try:
        place = ensemble.held_by()
        assert place.startswith("test_ensemble.py:")
        assert place.endswith(f", in {role.__name__}") or role is a_letter_beside_a_child_that_sleeps
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_failure_reaches_those_who_wait_for_others_and_spares_those_who_wait_for_time() -> None:
    follow(asyncio.get_running_loop())
    ensemble = Ensemble(lambda: None)
    post, later = Post(ensemble), asyncio.get_running_loop().create_future()

    async def wait_for_time() -> str:
        with ensemble.waiting("1 s", timed=True):
            await later
        return "in time"

    async def wait_for_others() -> str:
        try:
            await post.receive()
        except RuntimeError as error:
            return str(error)
        return "a letter"

    with ensemble.entered():
        timed, other = asyncio.create_task(wait_for_time()), asyncio.create_task(wait_for_others())
    await rest()
    assert ensemble.stories() == ["a letter"]
    ensemble.fail(RuntimeError("nothing will come"))
    assert await other == "nothing will come"
    assert not timed.done()
    later.set_result(None)
    assert await timed == "in time"


async def test_a_task_cancelled_for_another_reason_is_cancelled() -> None:
    ensemble, _, task = await played(a_port)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not ensemble


async def test_who_holds_the_clock_too_long_is_told_where_it_does_so() -> None:
    async def role(post: Post) -> str:
        try:
            with ensemble_of[0].answerable():
                await a_letter_beside_a_child_that_sleeps(post)
        except RuntimeError as error:
            return str(error)
        return ""

    follow(asyncio.get_running_loop())
    ensemble_of = [Ensemble(lambda: None)]
    with ensemble_of[0].entered():
        task = asyncio.create_task(role(Post(ensemble_of[0])))
    await rest()
    ensemble_of[0].fail_held(RuntimeError)
    said = await task
    assert said.startswith("test_ensemble.py:")
    assert said.endswith("in the_wall_clock")


async def test_who_only_waits_is_not_told_that_it_holds_the_clock() -> None:
    ensemble, post, task = await played(a_group_of_tasks)
    ensemble.fail_held(RuntimeError)
    post.deliver()
    await task


async def test_calm_comes_when_all_that_can_happen_has_happened() -> None:
    calm = follow(asyncio.get_running_loop())
    heard: list[str] = []

    async def chatter() -> None:
        for number in range(20):
            await asyncio.sleep(0)
            heard.append(str(number))

    task = asyncio.create_task(chatter())
    came = asyncio.Event()
    calm.then(lambda: heard.append("calm"))
    calm.then(came.set)
    await came.wait()
    await task
    assert heard == [*map(str, range(20)), "calm"]


async def test_a_loop_has_one_calm() -> None:
    loop = asyncio.get_running_loop()
    assert follow(loop) is follow(loop)
