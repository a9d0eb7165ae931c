"""What key managers ask each other over the bus: lost and repeated messages, silent nodes, and strangers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from broker.faulty import FaultyBus, RandomFaults
from broker.memory import MemoryBroker
from nodes.errors import ProtocolViolation
from nodes.keys.errors import PeerUnreachable
from nodes.keys.messages import Announce, Announced, AskLevel, Declined, Level
from nodes.runtime import key_plane
from nodes.runtime.attendants import attendants
from nodes.runtime.channel import Channel, Hop
from nodes.runtime.coin import make_coin
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.key_plane import PROTOCOL, BusKeyPlane
from nodes.runtime.mail import PostOffice
from nodes.runtime.run_request import RunRequest
from shared_state.config import WorldConfig

LAB = "lab"


@dataclass
class Manager:
    """Answers with a level; keeps what it was asked."""

    level: int
    asked: list[tuple[str, object]] = field(default_factory=list)

    async def answer(self, sender: str, request: object) -> object:
        self.asked.append((sender, request))
        match request:
            case AskLevel():
                return Level(self.level)
            case Announce(block="unheard of"):
                raise ProtocolViolation("no such block")
            case Announce():
                return Announced("known")
        return Declined("it is of no use")


@dataclass
class Party:
    """One node: its office, its plane, its manager."""

    office: PostOffice
    plane: BusKeyPlane
    manager: Manager


@asynccontextmanager
async def parties(
    *names: str, faults: RandomFaults | None = None, delay: float = 0.0, strangers: tuple[str, ...] = ()
) -> AsyncIterator[dict[str, Party]]:
    """Nodes over one bus, each with a way to every other one; no way leads to ``strangers`` on the bus."""
    broker, loop = MemoryBroker(), asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        attend = await stack.enter_async_context(attendants())
        found = {}
        for number, name in enumerate([*names, *strangers]):
            bus = broker.bus(name, LAB, announcements=True)
            carried = bus if faults is None else FaultyBus(bus, faults)
            office = PostOffice(await stack.enter_async_context(carried), LAB)
            channels = {
                other: Channel([Hop(delay)], make_coin(1, name, other)) for other in names if other != name
            }

            async def until(time: float) -> None:
                await asyncio.sleep(max(0.0, time - loop.time()))

            plane, manager = BusKeyPlane(office, loop.time, until, channels), Manager(number)
            for work in (office.sort(), office.dispatch(), plane.serve(manager.answer)):
                attend(work)
            found[name] = Party(office, plane, manager)
        yield found


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again after 20 ms, and up to a hundred times."""
    monkeypatch.setattr(key_plane, "_PATIENCE", 0.02)
    monkeypatch.setattr(key_plane, "_ATTEMPTS", 100)


async def test_a_question_is_answered_by_who_is_asked() -> None:
    async with parties("a", "b", "c") as there:
        answers = await asyncio.gather(*(there["a"].plane.ask(node, AskLevel()) for node in "bcbc"))
        assert answers == [Level(1), Level(2), Level(1), Level(2)]
        assert there["b"].manager.asked == [("a", AskLevel())] * 2


@pytest.mark.usefixtures("hurried")
async def test_lost_and_repeated_messages_change_no_answer() -> None:
    faults = RandomFaults(np.random.default_rng(1), drop=0.5, duplicate=0.3, delay=0.3, longest=0.01)
    async with parties("a", "b", faults=faults) as there:
        async with asyncio.timeout(20):
            answers = await asyncio.gather(
                *(there["a"].plane.ask("b", Announce(str(n), n)) for n in range(30))
            )
        assert answers == [Announced("known")] * 30
        asked = there["b"].manager.asked
        assert len(asked) > 30, "some have arrived more than once"
        assert {request.block for _, request in asked if isinstance(request, Announce)} == set(
            map(str, range(30))
        )


async def test_who_does_not_answer_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_plane, "_PATIENCE", 0.01)
    async with parties("a", "b") as there:
        with pytest.raises(PeerUnreachable, match="'nobody'"):
            await there["a"].plane.ask("nobody", AskLevel())
        with pytest.raises(PeerUnreachable, match="'b'"):
            await there["a"].plane.ask("b", Announce("unheard of", 1))
        assert len(there["b"].manager.asked) == 5
        assert await there["a"].plane.ask("b", AskLevel()) == Level(1), "and goes on serving"


async def post(
    party: Party, recipient: str, kind: str, body: dict[str, object], arrives_at: float = 0.0
) -> None:
    """Say something to a key manager that no key manager would."""
    await party.office.post(recipient, PROTOCOL, "f" * 32, kind, body, (0.0, arrives_at))


@pytest.mark.usefixtures("hurried")
async def test_strangers_and_nonsense_are_not_heard_and_do_no_harm() -> None:
    async with parties("a", "b", strangers=("control", "mallory")) as there:
        for stranger in ("control", "mallory"):
            await post(there[stranger], "b", "AskLevel", {})
        await post(there["a"], "b", "AskLevel", {"of": "what?"})
        await post(there["a"], "b", "Announce", {"block": 7, "units": "many"})
        await post(there["a"], "b", "Level", {"units": 10**9})
        await post(there["a"], "b", "Reveal", {})
        async with asyncio.timeout(10):
            assert await there["a"].plane.ask("b", AskLevel()) == Level(1)
        assert there["b"].manager.asked == [("a", AskLevel())]


@pytest.mark.usefixtures("hurried")
async def test_only_who_is_asked_can_answer() -> None:
    async with parties("a", "b", "c") as there:
        asking = asyncio.create_task(there["a"].plane.ask("b", Announce("unheard of", 1)))
        await asyncio.sleep(0)
        ((_, session),) = there["a"].plane._asked
        level = (PROTOCOL, session, "Level", {"units": 10**9}, (0.0, 0.0))
        async with asyncio.timeout(10):
            await there["c"].office.post("a", *level)
            await there["a"].plane.ask("c", AskLevel())
            assert not asking.done()
            await there["b"].office.post("a", *level)
            assert await asking == Level(10**9)


@pytest.mark.usefixtures("hurried")
async def test_a_question_for_a_time_far_ahead_takes_no_place_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_plane, "_LONGEST_WAIT", 0.05)
    monkeypatch.setattr(key_plane, "_MOST_ANSWERING", 2)
    async with parties("a", "b") as there:
        for _ in range(2):
            await post(there["a"], "b", "AskLevel", {}, arrives_at=1e12)
        async with asyncio.timeout(5):
            assert await there["a"].plane.ask("b", AskLevel()) == Level(1)


async def test_question_and_answer_take_as_long_as_light() -> None:
    loop = asyncio.get_running_loop()
    async with parties("a", "b", delay=0.03) as there:
        asked_at = loop.time()
        await there["a"].plane.ask("b", AskLevel())
        assert loop.time() - asked_at >= 0.06


async def test_a_program_of_the_same_name_does_not_get_in_the_way(
    chain: Callable[..., WorldConfig], tmp_path: Path
) -> None:
    program = tmp_path / f"{PROTOCOL}.py"
    program.write_text(
        "from dataclasses import dataclass\nfrom nodes.ports import Peer\n"
        "@dataclass(frozen=True)\nclass AskLevel:\n    pass\n"
        "async def alice(bob: Peer):\n    await bob.send(AskLevel())\n    return 'asked'\n"
        "async def bob(alice: Peer):\n    await alice.receive(AskLevel)\n    return 'heard'\n"
    )
    async with in_memory_lab(chain("alice", "bob")) as lab:
        result = await lab.run(RunRequest(str(program), {"alice": "alice", "bob": "bob"}, 3))
    assert result.returned == [{"alice": "asked", "bob": "heard"}] * 3
