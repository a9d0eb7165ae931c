"""Whatever lives on a thread of its own is entered, used from any event loop and left, and nothing of it stays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.errors import LabFailed
from deploy.testing import lab_thread
from deploy.testing.lab_thread import LabThread


class Story(list[str]):
    """What has happened, in order."""

    @asynccontextmanager
    async def lab(self, fails: str = "") -> AsyncIterator[str]:
        """Be a lab."""
        self.append("entered")
        if fails == "entering":
            raise RuntimeError("it does not come up")
        try:
            yield "the lab"
        finally:
            self.append("left")
            if fails == "leaving":
                raise RuntimeError("it does not go down")

    async def work(self) -> str:
        """Take for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.append("work ended")
        return ""


@pytest.fixture
def story() -> Story:
    return Story()


def labs() -> list[str]:
    """Return the threads on which labs live."""
    return [thread.name for thread in threading.enumerate() if thread.name == "bellwire lab"]


async def test_it_is_used_from_another_loop_and_from_none(story: Story) -> None:
    async def name() -> str:
        return threading.current_thread().name

    thread = LabThread(story.lab())
    assert thread.open() == "the lab"
    assert await thread.do("ask", name()) == "bellwire lab"
    assert await asyncio.to_thread(lambda: asyncio.run(thread.do("ask", name()))) == "bellwire lab"
    assert thread.wait_for(name()) == "bellwire lab"
    thread.close()
    assert story == ["entered", "left"]
    assert labs() == []


def test_what_cannot_be_entered_raises_why_and_leaves_no_thread(story: Story) -> None:
    with pytest.raises(RuntimeError, match="it does not come up"):
        LabThread(story.lab(fails="entering")).open()
    assert labs() == []


def test_what_cannot_be_left_raises_why_and_leaves_no_thread(story: Story) -> None:
    thread = LabThread(story.lab(fails="leaving"))
    thread.open()
    with pytest.raises(RuntimeError, match="it does not go down"):
        thread.close()
    assert labs() == []


async def test_work_that_is_cancelled_where_it_is_awaited_is_cancelled_where_it_is_done(story: Story) -> None:
    thread = LabThread(story.lab())
    thread.open()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await thread.do("work", story.work())
    assert thread.unfinished() == []
    thread.close()
    assert story == ["entered", "work ended", "left"]


async def test_what_nobody_awaits_is_told_and_called_off_before_the_lab_goes(story: Story) -> None:
    thread = LabThread(story.lab())
    thread.open()
    working = asyncio.ensure_future(thread.do("work", story.work()))
    await asyncio.sleep(0)
    assert thread.unfinished() == ["work"]
    await asyncio.to_thread(thread.close)
    with pytest.raises(asyncio.CancelledError):
        await working
    assert story == ["entered", "work ended", "left"]


async def test_what_has_failed_is_remembered_in_words(story: Story) -> None:
    async def fail() -> None:
        raise ValueError("no such thing")

    thread = LabThread(story.lab())
    thread.open()
    with pytest.raises(ValueError, match="no such thing"):
        await thread.do("look", fail())
    assert thread.failures == ["'look' failed: no such thing"]
    thread.close()


async def test_what_does_not_end_is_told_after_a_while(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = LabThread(story.lab())
    thread.open()
    working = asyncio.ensure_future(thread.do("stare", story.work()))
    await asyncio.sleep(0)
    with monkeypatch.context() as patched:
        patched.setattr(lab_thread, "_WITHIN", 0.05)
        with pytest.raises(
            LabFailed, match=r"cleaning has not ended within 0.05 s; still being done: 'stare'"
        ):
            thread.wait_for(story.work(), "cleaning")
    await asyncio.to_thread(thread.close)
    with pytest.raises(asyncio.CancelledError):
        await working
