"""What is called back at a time has a turn that the server has granted for it, whatever else was on its way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nodes.runtime.calm import Calm
from nodes.runtime.process import event_loop
from nodes.runtime.turns import Post, TurnTaker
from shared_state.client import NodeClient
from shared_state.wire import Message


class Server:
    """The server's side of a node's turns: what was asked of it, and has no answer yet."""

    def __init__(self) -> None:
        self.turns: asyncio.Queue[asyncio.Future[Message]] = asyncio.Queue()
        self.marks: asyncio.Queue[asyncio.Future[Message]] = asyncio.Queue()
        self.client = cast(
            NodeClient,
            SimpleNamespace(
                now=lambda: 0.0,
                hand_answers_over_by=lambda choose: None,
                end_turn=lambda *stated: self._asked(self.turns),
                wake=lambda time: None,
                sync=lambda: self._asked(self.marks),
            ),
        )

    def _asked(self, questions: asyncio.Queue[asyncio.Future[Message]]) -> asyncio.Future[Message]:
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        questions.put_nowait(answer)
        return answer


async def ended(server: Server) -> asyncio.Future[Message]:
    """Wait until the node has ended its turn; return what takes the next one."""
    async with asyncio.timeout(2):
        return await server.turns.get()


def turn(number: int) -> Message:
    return [1.0, [], "", number]


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "one after the other"])
def test_a_turn_that_was_on_its_way_is_not_the_one_that_was_asked_for(together: bool) -> None:
    async def act() -> list[str]:
        server, story = Server(), list[str]()
        taker = TurnTaker(server.client, Calm(asyncio.get_running_loop()), cast(Post, Any))
        serving = asyncio.create_task(taker.serve())
        granted = await ended(server)
        asking = asyncio.create_task(taker.call_at(1.0, lambda: story.append("called")))
        mark = await server.marks.get()
        granted.set_result(turn(7))  # which the server had granted before it knew
        if not together:
            await asyncio.sleep(0)
        mark.set_result(None)
        again = await ended(server)
        await asking
        story.append("by chance")
        again.set_result(turn(7))  # it was ended before the mark was heard, and goes on
        right = await ended(server)
        story.append("going on")
        right.set_result(turn(8))
        await ended(server)
        serving.cancel()
        await asyncio.wait([serving])
        return story

    with asyncio.Runner(loop_factory=event_loop) as runner:
        assert runner.run(act()) == ["by chance", "going on", "called"]
