"""The pytest plugin as somebody else's project has it: runs of pytest of its own, in a directory of theirs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes
pytest_plugins = ["pytester"]

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = --strict-markers -p no:cacheprovider
filterwarnings = error
"""
PAIR = """
name: pair
runtime: {broker: embedded}
nodes: {alice: , bob: }
links:
  - {endpoints: [alice, bob], length: 20 km}
"""
ENDLESS = """
import asyncio
from nodes.ports import Clock
async def alice(clock: Clock): await asyncio.Event().wait()
"""
MARK = 'import asyncio, pytest\nPAIR = pytest.mark.lab("pair.yaml"%s)\n'


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project that tests its software in a lab file of its own."""
    pytester.makeini(INI)
    pytester.path.joinpath("pair.yaml").write_text(PAIR)
    return pytester


def run(project: pytest.Pytester, text: str, *options: str, shared: str = "") -> pytest.RunResult:
    """Run the text as a test file, in which PAIR is the mark of the lab."""
    project.makepyfile((MARK % (f', scope="{shared}"' if shared else "")) + text)
    return project.runpytest_subprocess(*options)


def kept(result: pytest.RunResult) -> list[Path]:
    """Return the directories that a run says it has kept."""
    said = re.findall(r"^logs and record(?: of \S+)*: (/.*)$", result.stdout.str(), re.MULTILINE)
    return [Path(each) for each in said]


def test_a_run_that_uses_no_lab_imports_nothing_of_bellwire_but_the_plugin(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
import sys
def test_nothing_is_imported():
    mine = {name for name in sys.modules if name.partition(".")[0] in ("shared_state", "broker", "nodes", "deploy")}
    assert mine <= {"deploy", *("deploy.testing" + part for part in ("", ".plugin", ".session", ".budget"))}
""",
    )
    result.assert_outcomes(passed=1)
    assert "flake budget" not in result.stdout.str()


def test_a_lab_runs_programs_breaks_and_tells_its_events(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@PAIR
async def test_teleportation(lab):
    result = await lab.run("teleport", rounds=100)
    lab.stats.assert_fidelity(result, at_least=0.9)
    assert (await lab.oracle.census()).qubits == 0
    assert {each.name for each in await lab.status()} == {"alice", "bob", "broker", "state"}
    assert any("node.ready" in line for line in lab.node("alice").logs())

@PAIR
def test_a_test_that_is_no_coroutine(lab):
    assert asyncio.run(lab.run("teleport", rounds=3)).rounds == 3

@PAIR
async def test_a_cut_link(lab):
    await lab.link("alice-bob").down()
    told = await lab.events.wait_for("link.set", link="alice-bob", up=False)
    assert told["up"] is False
    assert not (await lab.link("alice-bob").state()).up
    with pytest.raises(Exception, match="link 'alice-bob' is down"):
        await lab.run("teleport")
    await lab.link("alice-bob").up()
    assert (await lab.run("teleport")).figures["fidelity_mean"] > 0.99

@PAIR
async def test_a_killed_node_and_a_paused_one(lab):
    await lab.node("bob").kill()
    assert "signal 9" in (await lab.node("bob").status()).state
    await lab.node("bob").resume()
    await lab.node("alice").pause()
    assert (await lab.node("alice").status()).state == "paused"
    await lab.node("alice").resume()
    assert (await lab.run("teleport")).rounds == 1

@PAIR
async def test_eve_and_a_longer_fibre(lab):
    clean = (await lab.run("qkd", roles={"alice": "alice", "bob": "bob"}, pulses=20000)).returned[0]["bob"]
    name = await lab.eve.attach("alice-bob", fraction=1.0, at="9 km")
    spied = (await lab.run("qkd", roles={"alice": "alice", "bob": "bob"}, pulses=20000)).returned[0]["bob"]
    assert [eve.name for eve in await lab.eve.list()] == [name]
    assert not clean["aborted"] and spied["aborted"]
    await lab.events.wait_for("key.alarm", node="bob")
    await lab.eve.detach(name)
    await lab.link("alice-bob").set(length="40 km")
    assert (await lab.link("alice-bob").state()).changed == ("length",)

@PAIR
async def test_a_partition(lab):
    await lab.partition(["alice"], ["bob"])
    assert not (await lab.link("alice-bob").state()).up
    await lab.heal()
    assert (await lab.run("teleport")).rounds == 1

OURS = {"nodes": {"alice": {"external": "true"}, "bob": {"external": True}}}
@pytest.mark.lab("pair.yaml", clock="real-time", overrides=OURS)
async def test_nodes_of_ones_own(lab):
    import nodes
    async with (nodes.connect(document=lab.document("alice")) as alice,
                nodes.connect(document=lab.document("bob")) as bob):
        mine, its = await asyncio.gather(alice.pair("bob"), bob.pair("alice"))
        assert await mine.qubit.measure() == await its.qubit.measure()

@PAIR
async def test_what_is_not_there(lab):
    with pytest.raises(Exception, match="lab 'pair' waits for no node 'alice'; write"):
        lab.document("alice")
    with pytest.raises(Exception, match="unknown node 'alcie'; did you mean 'alice'"):
        lab.node("alcie")
    with pytest.raises(Exception, match="unknown link 'bob-alice'"):
        lab.link("bob-alice")
    with pytest.raises(Exception, match="delivers no keys"):
        lab.kme("vpn")
""",
    )
    result.assert_outcomes(passed=8)
    assert (
        "flake budget: 1 statistical assertion, false-alarm probability 1.0e-06 in all" in result.stdout.str()
    )
    assert kept(result) == []


def test_a_failed_test_shows_logs_and_events_and_keeps_them(project: pytest.Pytester) -> None:
    failing = """
@PAIR
async def test_fails(lab):
    await lab.run("teleport", rounds=3)
    assert (await lab.events.wait_for("key.alarm", node="bob", within=0.3))
"""
    result = run(project, failing)
    result.assert_outcomes(failed=1)
    said = result.stdout.str()
    assert "EventMissing: no event 'key.alarm node=bob' within 0.3 s; instead came" in said
    for title in ("lab pair: log of alice", "lab pair: log of bob", "lab pair: the last 30 events"):
        assert title in said
    assert "part.started   run-1    program=teleport role=alice rounds=3" in said
    assert "virtual time, to do it again: seed=" in said
    (directory,) = kept(result)
    assert sorted(each.name for each in directory.iterdir()) == ["lab.yaml", "logs", "record.jsonl"]
    assert "key.alarm" not in (directory / "record.jsonl").read_text()
    assert kept(run(project, failing, "--lab-keep=never")) == []


def test_what_fails_inside_of_a_lab_is_told_at_the_line_of_the_test(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@PAIR
async def test_a_program_that_is_not_there(lab):
    await lab.run("telepot")

@PAIR
async def test_a_run_that_nobody_looks_at(lab):
    running = asyncio.ensure_future(lab.run("teleport", roles={"alice": "nobody"}))
    running.add_done_callback(lambda done: done.exception())
    await lab.events.wait_for("part.started", within=0.3)

@pytest.mark.lab("pair.yaml", overrides={"runtime": {"record": "off"}})
async def test_events_of_a_lab_without_a_record(lab):
    await lab.events.wait_for("part.started")
""",
    )
    result.assert_outcomes(failed=3)
    said = result.stdout.str()
    assert "unknown program 'telepot'; did you mean 'teleport'?" in said
    assert (
        "none at all has come instead; meanwhile 'run teleport' failed: role 'alice': unknown node 'nobody'"
        in said
    )
    assert "lab 'pair' keeps no record: 'record: off' stands in its file" in said
    assert "laboratory.py" not in said
    assert "lab_thread.py" not in said


def test_logs_of_tests_that_pass_are_kept_when_that_is_wanted(project: pytest.Pytester) -> None:
    result = run(project, "@PAIR\ndef test_passes(lab): pass\n", "--lab-keep=always")
    result.assert_outcomes(passed=1)
    (directory,) = kept(result)
    assert (directory / "logs" / "alice.log").is_file()


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ('"alice-bbo"', "unknown lab 'alice-bbo'; did you mean 'alice-bob'?"),
        ('"pair.yaml", sed=7', "unknown argument 'sed'; did you mean 'seed'?"),
        ('"pair.yaml", overrides={"links": {"alice-bob": {"length": "20"}}}', "length: '20' has no unit"),
        ('"nodes:\\n  alice: {memorys: 3}\\n"', "memorys"),
    ],
)
def test_a_lab_that_cannot_be_ends_the_test_with_what_is_wrong_and_no_traceback(
    project: pytest.Pytester, mark: str, message: str
) -> None:
    project.makepyfile(f"import pytest\n@pytest.mark.lab({mark})\ndef test_it(lab): pass\n")
    result = project.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    said = result.stdout.str()
    assert message in said
    assert "Traceback" not in said
    assert "serving.py" not in said


def test_a_test_without_a_mark_is_told_to_have_one(project: pytest.Pytester) -> None:
    result = run(project, "def test_it(lab): pass\n")
    result.assert_outcomes(errors=1)
    assert "test_it uses the fixture 'lab' and says no lab; mark it" in result.stdout.str()


def test_the_example_of_the_documentation_works(project: pytest.Pytester) -> None:
    text = (Path(__file__).parents[2] / "docs/testing.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    project.makepyfile(example)
    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_labs_are_parametrised(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@pytest.mark.parametrize("lab", ["pair.yaml", {"lab": "alice-bob", "seed": 7}], indirect=True)
def test_two_labs(lab): assert lab.name in ("pair", "alice-bob")

@pytest.mark.lab("alice-bob")
class TestMany:
    def test_one(self, lab): assert lab.name == "alice-bob"

@PAIR
@pytest.mark.parametrize("lab", [{"overrides": {"links": {"alice-bob": {"length": f"{n} km"}}}} for n in (5, 50)],
                         indirect=True)
async def test_two_lengths(lab):
    assert (await lab.link("alice-bob").state()).settings["length"] in ("5 km", "50 km")
""",
        "-v",
    )
    result.assert_outcomes(passed=5)


def test_a_shared_lab_is_the_same_one_mended_after_each_test(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
seen = []
async def pids(lab): return {each.name: each.pid for each in await lab.status()}

@PAIR
async def test_breaks_it(lab):
    seen.append(await pids(lab))
    await lab.link("alice-bob").down()
    await lab.eve.attach("alice-bob")
    await lab.node("alice").pause()
    await lab.partition(["bob"], ["alice"])

@PAIR
async def test_has_it_whole(lab):
    assert await pids(lab) == seen[0]
    assert lab.events.so_far("link.set") == []
    assert (await lab.link("alice-bob").state()).up
    assert await lab.eve.list() == []
    assert (await lab.run("teleport")).rounds == 1
    await lab.server.kill()

@PAIR
async def test_has_another_one(lab):
    assert await pids(lab) != seen[0]
    assert (await lab.run("teleport")).rounds == 1
""",
        shared="session",
    )
    result.assert_outcomes(passed=3)


def test_what_a_test_leaves_in_a_shared_lab_is_told_and_spares_the_next_one(project: pytest.Pytester) -> None:
    project.makepyfile(endless=ENDLESS)
    result = run(
        project,
        """
import contextlib, threading
seen = []

@PAIR
async def test_has_a_task_that_ends_with_it(lab):
    running = asyncio.ensure_future(lab.run("./endless.py", deadline=1e9))
    await lab.events.wait_for("part.started")
    seen.append((await lab.server.status()).pid)

@PAIR
async def test_leaves_a_run(lab):
    assert (await lab.server.status()).pid == seen[0]
    def work():
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(lab.run("./endless.py", deadline=1e9))
    threading.Thread(target=work, daemon=True).start()
    await lab.events.wait_for("part.started")

@PAIR
async def test_next(lab):
    assert (await lab.server.status()).pid != seen[0]
    assert (await lab.run("teleport")).rounds == 1
""",
        shared="module",
    )
    result.assert_outcomes(passed=3, errors=1)
    assert "ERROR at teardown of test_leaves_a_run" in result.stdout.str()
    assert "it shares with others: 'run ./endless.py' was not awaited to its end" in result.stdout.str()


def test_the_flake_budget_can_be_limited(project: pytest.Pytester) -> None:
    stating = "def test_it(stats):\n    for _ in range(3): stats.assert_rate(50, 100, expected=0.5)\n"
    within = run(project, stating, "--lab-flake-budget=3e-6")
    within.assert_outcomes(passed=1)
    assert within.ret == 0
    beyond = run(project, stating, "--lab-flake-budget=1e-6")
    assert beyond.ret == pytest.ExitCode.TESTS_FAILED
    assert (
        "3 statistical assertions, false-alarm probability 3.0e-06 in all, more than the 1.0e-06"
        in beyond.stdout.str()
    )
    assert run(project, stating, "--lab-flake-budget=2").ret == pytest.ExitCode.USAGE_ERROR


def test_two_workers_have_labs_of_their_own_and_report_to_one_budget(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@PAIR
@pytest.mark.parametrize("number", range(4))
async def test_it(lab, number, worker_id):
    lab.stats.assert_fidelity(await lab.run("teleport", rounds=30), at_least=0.9)
    assert number != 3, worker_id
""",
        "-n",
        "2",
    )
    result.assert_outcomes(passed=3, failed=1)
    assert (
        "flake budget: 4 statistical assertions, false-alarm probability 4.0e-06 in all"
        in result.stdout.str()
    )
    assert "lab pair: log of alice" in result.stdout.str()
    assert len(kept(result)) == 1


def test_what_a_lab_is_launched_as_can_be_said_for_all_tests(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "@PAIR\nasync def test_it(lab): assert (await lab.run('teleport')).rounds == 1\n"
    run(project, text, "--lab-launcher=process").assert_outcomes(passed=1)
    (project.path / "pair.yaml").write_text(PAIR.replace("embedded", "auto"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{project.path / 'no-engine.sock'}")
    result = run(project, text, "--lab-launcher=docker")
    result.assert_outcomes(errors=1)
    assert "no-engine.sock" in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    both = run(project, text, "--lab-launcher=docker", "--lab-url=pair")
    assert both.ret == pytest.ExitCode.USAGE_ERROR
    assert "leave --lab-launcher out" in both.stderr.str()


def test_a_lab_that_is_up_serves_the_tests_that_want_it(
    project: pytest.Pytester, bellwire: Bellwire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWIRE_HOME", str(bellwire.home))
    assert bellwire("up", project.path / "pair.yaml", "-d").code == 0
    text = """
@PAIR
async def test_runs_there(lab):
    assert (await lab.run("teleport", rounds=5)).rounds == 5
    await lab.link("alice-bob").down()
    await lab.events.wait_for("link.set", up=False)
    assert lab.node("alice").logs()
    with pytest.raises(Exception, match="nobody looks into the quantum world of lab 'pair'"):
        await lab.oracle.census()

@PAIR
async def test_has_it_whole(lab):
    assert (await lab.run("teleport")).rounds == 1

@pytest.mark.lab("alice-bob")
def test_wants_another(lab): pass

@pytest.mark.lab("pair.yaml", seed=7)
def test_wants_a_seed(lab): pass
"""
    try:
        for url in ("pair", str(bellwire.home / "labs" / "pair" / "control.sock")):
            result = run(project, text, f"--lab-url={url}", "-rs")
            result.assert_outcomes(passed=2, skipped=2)
            assert "wants lab 'alice-bob', and lab 'pair' is up" in result.stdout.str()
    finally:
        assert bellwire("down", "pair").code == 0
    gone = run(project, text, "--lab-url=pair")
    gone.assert_outcomes(errors=4)
    assert "no lab is up" in gone.stdout.str()


WAITS = """
import pytest
@pytest.mark.lab("pair.yaml")
async def test_waits(lab):
    await lab.run("teleport", rounds=3)
    print("begun", flush=True)
    await lab.events.wait_for("never.comes", within=600)
"""


class Started:
    """A run of pytest that is going on, in a home of its own."""

    def __init__(self, project: pytest.Pytester, bellwire: Bellwire, base: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-s", f"--basetemp={base}"],
            cwd=project.path,
            env=os.environ | {"BELLWIRE_HOME": str(bellwire.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said = ""

    def until(self, words: str) -> None:
        """Wait until it says something."""
        assert self.process.stdout is not None
        while words not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def end(self, number: signal.Signals) -> None:
        """Do what a terminal does on Ctrl-C, to the whole group; other signals go to one process. Wait for its end."""
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            os.kill(self.process.pid, number)
        assert self.process.stdout is not None
        with self.process.stdout:
            self.said += self.process.stdout.read()
        assert self.process.wait(30) != 0, self.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_a_run_nothing_of_its_labs_is_left(
    project: pytest.Pytester, bellwire: Bellwire, tmp_path: Path, number: signal.Signals
) -> None:
    """The fixture ``bellwire`` fails when a process lives on."""
    project.makepyfile(WAITS)
    run = Started(project, bellwire, tmp_path / "base")
    run.until("begun")
    assert len(bellwire.processes()) >= 5
    run.end(number)
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in run.said
        assert not list((tmp_path / "base").glob("lab-pair[0-9]*"))


def test_a_run_that_is_interrupted_while_a_lab_comes_up_leaves_nothing(
    project: pytest.Pytester, bellwire: Bellwire, tmp_path: Path
) -> None:
    """The lab waits for a broker that takes its connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        project.path.joinpath("pair.yaml").write_text(PAIR.replace("embedded", f"'{broker}'"))
        project.makepyfile(WAITS)
        run = Started(project, bellwire, tmp_path / "base")
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            run.end(signal.SIGINT)
    assert "KeyboardInterrupt" in run.said
    assert "begun" not in run.said
