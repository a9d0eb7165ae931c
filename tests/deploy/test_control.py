"""The control plane carries jobs, progress, results and errors between a command and a lab that is up."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.control import ControlPlane
from deploy.errors import ControlUnreachable, DeployError, NotFound, ProcessDied, Reported
from deploy.eve import Eve
from deploy.jobs import Job
from deploy.laboratory import Laboratory, ProcessStatus
from deploy.link_state import LinkState
from deploy.remote_lab import RemoteLab
from deploy.wording import unknown
from nodes.runtime.lag import LagFigures
from nodes.runtime.run_request import RunResult

RESULT = RunResult(
    "run-1", "teleport", {"alice": "a"}, 2, {"fidelity_mean": 1.0}, [{"alice": None}], [["a", "b"]], 0.5, 0.1
)

LATE = LagFigures(count=1000, mean=1e-4, p99=2e-3, worst=0.1, behind=True)


class FakeLab:
    """A lab that does what its test says."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.links: dict[str, bool] = {"ab": True}
        self.faults: list[tuple[str, dict[str, Any]]] = []
        self.told: dict[str, Any] = {}
        self.error: Exception | None = None
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        self.waits = False

    async def run(self, job: Job, progress: Callable[[int], None]) -> RunResult:
        """Note the job, tell of two rounds, and return or raise."""
        self.jobs.append(job)
        self.begun.set()
        try:
            progress(1)
            progress(2)
            if self.waits:
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
            return RESULT
        finally:
            self.ended.set()

    async def carry_out(self, what: str, arguments: dict[str, Any]) -> Any:
        """Note what is done, and how a link is that is there."""
        self.faults.append((what, arguments))
        if what == "set_link":
            if arguments["name"] not in self.links:
                raise NotFound(unknown("link", arguments["name"], self.links))
            self.links[arguments["name"]] = arguments["up"]
        return self.told.get(what)

    async def failed(self) -> Exception:
        """Return the error, once there is one."""
        if self.error is None:
            await asyncio.Event().wait()
        assert self.error is not None
        return self.error

    def status(self) -> list[ProcessStatus]:
        """Return one process."""
        return [ProcessStatus("alice", 7, "ready", 0), ProcessStatus("bob", 8, "ready", 0, lag=LATE)]


@pytest.fixture
def socket() -> Iterator[Path]:
    """A path short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="bw-") as directory:
        yield Path(directory) / "control.sock"


@asynccontextmanager
async def serving(lab: FakeLab, socket: Path) -> AsyncIterator[RemoteLab]:
    """Serve a lab and give the command's view of it."""
    async with asyncio.timeout(5), ControlPlane(cast(Laboratory, lab)).serving(socket):
        yield RemoteLab(socket)


async def test_a_job_arrives_as_it_was_sent_and_its_result_comes_back(socket: Path) -> None:
    lab, judged = FakeLab(), list[int]()
    job = Job("teleport", {"alice": "a"}, 2, {"p": "1"}, 3.0, "eve")
    async with serving(lab, socket) as remote:
        assert await remote.run(job, judged.append) == RESULT
    assert (lab.jobs, judged) == ([job], [1, 2])


async def test_who_is_at_work_gives_signs_of_life_and_who_gives_none_is_given_up(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.control.SIGN_OF_LIFE_EVERY", 0.02)
    monkeypatch.setattr("deploy.remote_lab.SILENT_FOR_AT_MOST", 0.2)
    lab = FakeLab()
    lab.waits = True
    async with serving(lab, socket) as remote:
        running = asyncio.ensure_future(remote.run(Job("teleport")))
        done, _ = await asyncio.wait([running], timeout=0.5)
        assert not done
        monkeypatch.setattr("deploy.control.SIGN_OF_LIFE_EVERY", 60.0)
        with pytest.raises(ControlUnreachable, match=r"has said nothing for 0\.2 s: its process is stopped"):
            await running
        await lab.ended.wait()


async def test_an_error_comes_back_with_its_message_and_exit_code(socket: Path) -> None:
    lab = FakeLab()
    lab.error = ProcessDied("bob", "was ended by signal 9", ["last line"])
    async with serving(lab, socket) as remote:
        with pytest.raises(Reported, match="process 'bob' was ended by signal 9") as reported:
            await remote.run(Job("teleport"))
    assert reported.value.exit_code == 5
    assert "last line" in str(reported.value)


async def test_the_status_of_all_processes_is_told(socket: Path) -> None:
    async with serving(FakeLab(), socket) as remote:
        alice, bob = await remote.status()
    assert alice == {"name": "alice", "pid": 7, "state": "ready", "port": 0, "restarts": 0, "lag": None}
    assert LagFigures(**bob["lag"]) == LATE


async def test_a_link_is_cut_and_mended(socket: Path) -> None:
    lab = FakeLab()
    async with serving(lab, socket) as remote:
        for up in (False, True):
            await remote.set_link("ab", up)
            assert lab.links == {"ab": up}


async def test_a_link_that_the_lab_lacks_comes_back_as_not_found(socket: Path) -> None:
    async with serving(FakeLab(), socket) as remote:
        with pytest.raises(Reported, match="unknown link 'AB'; did you mean 'ab'") as reported:
            await remote.set_link("AB", False)
    assert reported.value.exit_code == NotFound.exit_code


LINK = {"name": "ab", "endpoints": ("a", "b"), "up": True, "settings": {"length": "1 km"}, "changed": ()}
EVE = {
    "name": "eve",
    "link": "ab",
    "strategy": "intercept-resend",
    "fraction": 0.5,
    "at": 9.0,
    "enabled": True,
    "report": {"pulses": 1, "kept": 0, "resent": 0},
}


async def test_every_fault_gets_through_and_its_outcome_comes_back(socket: Path) -> None:
    lab = FakeLab()
    lab.told = {"link": LINK, "links": [LINK], "eves": [EVE], "attach_eve": "eve", "now": 3}
    async with serving(lab, socket) as remote:
        await remote.change_link("ab", {"length": "2 km"})
        await remote.reset_link("ab")
        await remote.flap_link("ab", 0.1, 0.2, 3)
        assert await remote.attach_eve("ab", fraction=0.5, at="9 km") == "eve"
        await remote.detach_eve("eve")
        await remote.partition({"b", "a"}, ["c"], planes="quantum")
        await remote.heal()
        for act in (remote.kill, remote.pause, remote.resume):
            await act("a")
        await remote.pass_time(0.5)
        assert await remote.now() == 3.0
        assert await remote.link("ab") == LinkState("ab", ("a", "b"), True, {"length": "1 km"}, ())
        assert await remote.links() == [await remote.link("ab")]
        assert await remote.eves() == [Eve(**cast(Any, EVE))]
    assert lab.faults[:11] == [
        ("change_link", {"name": "ab", "changes": {"length": "2 km"}}),
        ("reset_link", {"name": "ab"}),
        ("flap_link", {"name": "ab", "down": 0.1, "up": 0.2, "times": 3}),
        ("attach_eve", {"link": "ab", "strategy": "intercept-resend", "fraction": 0.5, "at": "9 km"}),
        ("detach_eve", {"name": "eve"}),
        ("partition", {"groups": [["a", "b"], ["c"]], "planes": "quantum"}),
        ("heal", {}),
        ("kill", {"node": "a"}),
        ("pause", {"node": "a"}),
        ("resume", {"node": "a"}),
        ("pass_time", {"seconds": 0.5}),
    ]


async def test_a_lab_is_told_to_go_down(socket: Path) -> None:
    control = ControlPlane(cast(Laboratory, FakeLab()))
    async with asyncio.timeout(5), control.serving(socket):
        await RemoteLab(socket).down()
        await control.until_down()


async def test_a_lab_that_fails_is_not_waited_for(socket: Path) -> None:
    lab = FakeLab()
    lab.error = ProcessDied("bob", "was ended by signal 9", [])
    control = ControlPlane(cast(Laboratory, lab))
    async with asyncio.timeout(5), control.serving(socket):
        with pytest.raises(ProcessDied, match="process 'bob'"):
            await control.until_down()


async def test_the_run_of_a_client_that_goes_away_ends(socket: Path) -> None:
    lab = FakeLab()
    lab.waits = True
    async with serving(lab, socket) as remote:
        running = asyncio.ensure_future(remote.run(Job("teleport")))
        await lab.begun.wait()
        running.cancel()
        await lab.ended.wait()
        assert await remote.status()


@pytest.mark.parametrize(
    "request_line",
    [
        b"garbage\n",
        b'{"do": "dance"}\n',
        b"[]\n",
        b"\n",
        b'{"do": "run", "job": {"x": 1}}\n',
        b'{"do": "link", "name": "ab", "up": 0}\n',
    ],
)
async def test_a_request_that_makes_no_sense_is_answered_with_an_error(
    socket: Path, request_line: bytes
) -> None:
    async with serving(FakeLab(), socket) as remote:
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(request_line)
        answer: dict[str, Any] = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        assert answer["error"]["exit_code"] == 1
        assert await remote.status()


async def test_where_no_lab_listens_the_control_plane_is_unreachable(socket: Path) -> None:
    with pytest.raises(ControlUnreachable, match="does not answer"):
        await RemoteLab(socket).status()


async def test_a_socket_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="cannot listen on"):
        async with serving(FakeLab(), tmp_path / ("x" * 120)):
            pass
