"""A test waits for events of a lab on other hosts as for those of its own: none is missed, doubled, or too early."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.certificates import Authority
from deploy.control import ControlPlane
from deploy.control_address import OPERATOR, OperatorDocument
from deploy.errors import ControlUnreachable, NotFound
from deploy.event_stream import keeps_none, stream
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.remote_lab import RemoteLab
from deploy.testing.attachments import attachments
from deploy.testing.doing import Doing
from deploy.testing.errors import EventMissing, NotOfThisLab
from deploy.testing.event_record import events_in
from deploy.testing.events import Events
from deploy.testing.lab_thread import LabThread
from deploy.testing.mark import Wanted
from deploy.testing.mirror import Mirror
from deploy.testing.running_lab import RunningLab
from deploy.testing.shelf import Shelf
from deploy.topology import find, load
from nodes.runtime.attendants import attendants
from shared_state.document import write
from shared_state.oracle import Passage, Told
from shared_state.recent_events import OVERHEAD
from tests.deploy.test_event_stream import ALab


class Far:
    """A lab behind a connection that its test holds up, and cuts."""

    def __init__(self, lab: ALab) -> None:
        self.lab = lab
        self.passes = asyncio.Event()
        self.passes.set()
        self.follows = asyncio.Event()
        self.reachable = True
        self._cut = asyncio.Event()

    def cut(self) -> None:
        """Break the connection, and let none be made."""
        self.reachable = False
        self._cut.set()

    def mend(self) -> None:
        """Let connections be made."""
        self.reachable, self._cut = True, asyncio.Event()

    async def told(self) -> Told:
        if not self.reachable:
            raise ControlUnreachable("the lab's control plane at far:1 does not answer")
        return await self.lab.told()

    async def events(self, record: str, after: int) -> AsyncGenerator[Passage, None]:
        self.follows.set()
        coming, cut = aiter(stream(self.lab, record, after, None)), self._cut
        while True:
            each = asyncio.ensure_future(anext(coming))
            broken = asyncio.ensure_future(cut.wait())
            await asyncio.wait([each, broken], return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                each.cancel()
                await asyncio.gather(each, return_exceptions=True)
                raise ControlUnreachable("the lab went down meanwhile, or is cut off")
            broken.cancel()
            await self.passes.wait()
            yield each.result()


@asynccontextmanager
async def mirrored(file: Path, kept: int = 2**20) -> AsyncIterator[tuple[Far, Mirror]]:
    """Keep a mirror of a lab in which something has happened before."""
    lab = ALab(kept)
    async with asyncio.timeout(10):
        await lab.begin()
        await lab.tell(-1)
        far = Far(lab)
        mirror = Mirror(cast(RemoteLab, far), file)
        await mirror.begin("pair")
        async with attendants() as attend:
            attend(mirror.keep())
            yield far, mirror


def numbers(file: Path) -> list[int]:
    return [event["number"] for event in events_in(file)]


async def test_what_happens_from_its_beginning_on_is_in_the_file_behind_a_head(tmp_path: Path) -> None:
    file = tmp_path / "record.jsonl"
    async with mirrored(file) as (far, mirror):
        assert numbers(file) == []
        for number in range(50):
            await far.lab.tell(number)
        await mirror.catch_up()
        assert numbers(file) == list(range(50))
    head, first, *_ = map(json.loads, file.read_text().splitlines())
    assert (head["bellwire_record"], head["lab"]) == (1, "pair")
    assert first == {"at": 0.0, "node": "alice", "session": "", "event": "key.made", "number": 0}


async def test_who_catches_up_waits_for_what_has_happened_and_not_for_more(tmp_path: Path) -> None:
    file = tmp_path / "record.jsonl"
    async with mirrored(file) as (far, mirror):
        await mirror.catch_up()  # nothing has happened
        far.passes.clear()
        await far.lab.tell(0)
        catching_up = asyncio.create_task(mirror.catch_up())
        _, late = await asyncio.wait([catching_up], timeout=0.05)
        assert late
        assert numbers(file) == []
        far.passes.set()
        await catching_up
        assert numbers(file) == [0]


async def test_a_connection_that_is_cut_is_mended_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "record.jsonl"
    async with mirrored(file) as (far, mirror):
        for number in range(0, 10, 2):
            await far.follows.wait()
            await far.lab.tell(number)
            await mirror.catch_up()
            far.follows.clear()
            far.cut()
            await far.lab.tell(number + 1)
            with pytest.raises(ControlUnreachable):
                await mirror.catch_up()
            far.mend()
            await mirror.catch_up()
            assert mirror.hindrance() == ""
        assert numbers(file) == list(range(10))


async def test_while_it_is_cut_it_says_so(tmp_path: Path) -> None:
    async with mirrored(tmp_path / "record.jsonl") as (far, mirror):
        await far.follows.wait()
        far.cut()
        while not mirror.hindrance():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        assert mirror.hindrance().startswith("no events come now: the lab ")


async def test_what_was_gone_before_it_could_be_fetched_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "record.jsonl"
    async with mirrored(file, kept=3 * (OVERHEAD + 70)) as (far, mirror):
        await far.follows.wait()
        far.cut()
        await far.lab.tell(*range(10))
        far.mend()
        await mirror.catch_up()
        assert numbers(file) == [7, 8, 9]
        assert mirror.hindrance() == "7 events were gone before they could be fetched"


async def test_those_of_a_server_that_was_started_anew_follow_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "record.jsonl"
    async with mirrored(file) as (far, mirror):
        await far.lab.tell(0, 1)
        await mirror.catch_up()
        far.cut()
        far.lab = ALab(2**20)
        await far.lab.begin()
        await far.lab.tell(5)
        far.mend()
        await mirror.catch_up()
        assert numbers(file) == [0, 1, 5]
        assert mirror.hindrance() == "the shared-state server was started anew, and forgot what it had told"


async def test_events_that_do_not_come_in_time_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.testing.mirror._WITHIN", 0.05)
    async with mirrored(tmp_path / "record.jsonl") as (far, mirror):
        far.passes.clear()
        await far.lab.tell(0)
        with pytest.raises(
            ControlUnreachable, match=r"2 events have happened, and not all .* within 0\.05 s"
        ):
            await mirror.catch_up()


async def test_a_control_plane_that_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.testing.mirror._WITHIN", 0.05)
    async with mirrored(tmp_path / "record.jsonl") as (far, mirror):
        monkeypatch.setattr(far, "told", asyncio.Event().wait)
        with pytest.raises(
            ControlUnreachable, match=r"how many events have happened was not told within 0\.05 s"
        ):
            await mirror.catch_up()


class Planned(ALab):
    """A lab that says what it is, and may keep no events."""

    def __init__(self) -> None:
        super().__init__(2**20)
        self.plan = plan(load(find("alice-bob")))
        self.silent = False

    async def told(self) -> Told:
        if self.silent:
            raise keeps_none("alice-bob")
        return await super().told()


class Elsewhere:
    """Another host, with a lab and its control plane, and the operator's document of it on this one."""

    def __init__(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        authority = Authority("alice-bob", datetime.now(UTC))
        self._port, self._tls = port, authority.identify("control", ["127.0.0.1"])
        self.document = tmp_path / "operator.json"
        self.document.write_text(
            write(OperatorDocument("alice-bob", "127.0.0.1", port, authority.identify(OPERATOR)))
        )
        self.thread = LabThread(self._up())
        self.lab = self.thread.open()

    def tell(self, *numbers: int) -> None:
        """Let something happen there."""
        self.thread.wait_for(self.lab.tell(*numbers))

    @asynccontextmanager
    async def _up(self) -> AsyncIterator[Planned]:
        lab = Planned()
        await lab.begin()
        async with ControlPlane(cast(Laboratory, lab)).serving_operator(self._port, self._tls):
            yield lab


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    """A lab on another host."""
    there = Elsewhere(tmp_path)
    yield there
    there.thread.close()


@pytest.fixture
def lab(elsewhere: Elsewhere, tmp_path: Path) -> Iterator[RunningLab]:
    """The same lab as tests have it."""
    running = RunningLab(str(elsewhere.document), lambda: made(tmp_path / "mirror"))
    yield running
    running.close()


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


async def test_a_test_finds_the_events_after_its_marks_and_none_before_them(
    elsewhere: Elsewhere, lab: RunningLab
) -> None:
    elsewhere.tell(0)
    events = Events(lab)
    elsewhere.tell(1, 2)
    assert (await events.wait_for("key.made"))["number"] == 1
    for number in range(3, 20):
        elsewhere.tell(number)
        events.mark()
        with pytest.raises(EventMissing, match="none at all has come instead"):
            await events.wait_for("key.made", within=0.01)
        assert [each["number"] for each in events.so_far("key.made")] == list(range(1, number + 1))
    assert (await events.wait_for("key.made", after=0))["number"] == 0


async def test_a_deed_begins_behind_what_has_happened(elsewhere: Elsewhere, lab: RunningLab) -> None:
    events = Events(lab)
    elsewhere.tell(1)

    async def mend() -> None:
        elsewhere.tell(2)

    await Doing(lab, events).do("mend", mend())
    assert (await events.wait_for("key.made"))["number"] == 2


async def test_a_failed_test_shows_the_last_events(elsewhere: Elsewhere, lab: RunningLab) -> None:
    elsewhere.tell(*range(40))
    shown = dict(attachments(lab))
    assert [line.split("number=")[1] for line in shown["lab alice-bob: the last 30 events"].splitlines()] == [
        str(number) for number in range(10, 40)
    ]


async def test_who_waits_on_a_lab_that_has_gone_is_told_and_nothing_more_is_done(
    elsewhere: Elsewhere, lab: RunningLab
) -> None:
    events = Events(lab)
    doing = Doing(lab, events)
    elsewhere.thread.wait_for(gone(elsewhere))
    with pytest.raises(
        EventMissing, match=r"instead; meanwhile events may be missing: the lab's control plane"
    ):
        await events.wait_for("key.made", within=1.0)
    done = list[str]()

    async def cut() -> None:
        done.append("cut")

    with pytest.raises(ControlUnreachable):
        await doing.do("cut", cut())
    assert done == []
    assert [title for title, _ in attachments(lab)] == ["lab alice-bob: the last 0 events"]


async def gone(elsewhere: Elsewhere) -> None:
    """Let the control plane go down."""
    elsewhere.thread._left.set()
    await asyncio.wait([task for task in asyncio.all_tasks() if task is not asyncio.current_task()])


def test_a_lab_that_keeps_no_record_says_so_when_events_are_wanted(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    elsewhere.lab.silent = True
    lab = RunningLab(str(elsewhere.document), lambda: made(tmp_path / "mirror"))
    try:
        events = Events(lab)
        with pytest.raises(NotOfThisLab, match="keeps no record: 'record: off' stands in its file"):
            asyncio.run(events.wait_for("key.made"))
        assert events.mark() == 0
        assert list(attachments(lab)) == []
    finally:
        lab.close()


@pytest.mark.parametrize("fails", [True, False])
def test_the_record_of_a_failed_test_stays_and_the_lab_does(
    elsewhere: Elsewhere, tmp_path: Path, fails: bool
) -> None:
    kept, directory = list[str](), tmp_path / "mirror"
    shelf = Shelf("failed", kept.append)
    shelved = shelf.take(
        Wanted("there", Path()), lambda: RunningLab(str(elsewhere.document), lambda: made(directory))
    )
    elsewhere.tell(1)
    shelved.lab.catch_up()
    if fails:
        shelved.failed.add("test_it")
    shelf.clear()
    assert directory.exists() == fails
    if fails:
        assert numbers(directory / "record.jsonl") == [1]
        assert kept == [f"logs and record of test_it: {directory}"]
    elsewhere.tell(2)


def test_where_no_lab_is_that_is_said(tmp_path: Path, elsewhere: Elsewhere) -> None:
    nowhere: dict[str, Any] = json.loads(elsewhere.document.read_text()) | {"port": 1}
    document = tmp_path / "nowhere.json"
    document.write_text(json.dumps(nowhere))
    with pytest.raises(ControlUnreachable, match="does not answer"):
        RunningLab(str(document), lambda: made(tmp_path / "mirror"))
    with pytest.raises(NotFound):
        RunningLab(str(tmp_path / "missing.json"), lambda: made(tmp_path / "other"))
