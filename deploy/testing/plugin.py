"""The pytest plugin: labs for tests. See the section on testing in the README.

Loaded by every run of pytest where Bellwire is installed, so it imports nothing of Bellwire before a test wants a lab.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from deploy.testing.budget import FlakeBudget
from deploy.testing.session import BUDGET, KEPT, SHELVED, declare, declared, note_failure

if TYPE_CHECKING:
    from deploy.testing.lab import LabUnderTest
    from deploy.testing.shelf import Shelf
    from deploy.testing.statistics import Statistics

_MARK = (
    'lab(lab, seed=None, clock=None, scope="function", overrides=None): the lab that the fixture "lab" brings up: '
    "a lab file beside the test, the name of a ready lab, or a lab file's text"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say where labs come from and what stays of them."""
    group = parser.getgroup("bellwire", "labs of quantum nodes (Bellwire)")
    group.addoption(
        "--lab-launcher",
        choices=["process", "docker"],
        default=None,
        help="Start the parties of labs as processes or as containers; default: as the lab file says.",
    )
    group.addoption(
        "--lab-keep",
        choices=["failed", "always", "never"],
        default="failed",
        help="Whose logs and event record stay when the lab is down; default: those of tests that failed.",
    )
    group.addoption(
        "--lab-url",
        metavar="LAB",
        default=None,
        help="Test against a lab that is up: its name, or --lab-url=PATH (with =) of its control.sock or "
        "operator.json. Tests that want another are skipped.",
    )
    group.addoption(
        "--lab-flake-budget",
        metavar="P",
        type=_probability,
        default=None,
        help="Fail the run when its statistical assertions fail by chance with more than this probability in all.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and refuse options that cannot be meant."""
    config.addinivalue_line("markers", _MARK)
    config.stash[BUDGET] = FlakeBudget(config.getoption("lab_flake_budget"))
    config.stash[KEPT] = []
    if config.getoption("lab_launcher") and config.getoption("lab_url"):
        raise pytest.UsageError("--lab-url takes a lab that is up already; leave --lab-launcher out")


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LabUnderTest]:
    """The lab that the test is marked with, up: @pytest.mark.lab("metro.yaml"). Its methods are awaited.

    In a test that is no coroutine: asyncio.run(lab.run("teleport")).
    """
    from deploy.testing.serving import serve

    yield from serve(request)


@pytest.fixture
def stats(request: pytest.FixtureRequest) -> Statistics:
    """Statistical assertions with a declared false-alarm probability, for tests without a lab: see lab.stats."""
    from deploy.testing.statistics import Statistics

    return Statistics(declare(request.node))


@pytest.fixture(scope="module")
def _labs_of_the_module(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    yield from _shelf(request)


@pytest.fixture(scope="session")
def _labs_of_the_session(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    yield from _shelf(request)


def _shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    from deploy.testing.serving import new_shelf

    shelf = new_shelf(request.config)
    yield shelf
    shelf.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Tell with a test's report what it has declared and what was kept, and show the lab of one that failed.

    Plain values on the report itself reach the controller of xdist.
    """
    report: Any = yield
    if report.failed:
        note_failure(item)
        if (shelved := item.stash.get(SHELVED, None)) is not None:
            from deploy.testing.attachments import attachments

            report.sections.extend(attachments(shelved.lab))
    report.bellwire_declared = declared(item)
    kept = item.config.stash[KEPT]
    report.bellwire_kept = kept.copy()
    kept.clear()
    return report  # type: ignore[no-any-return]


class _Totals:
    """Adds up what reports tell, in the process that the user sees."""

    def __init__(self, config: pytest.Config) -> None:
        self._budget = config.stash[BUDGET]
        self._kept: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test has declared, and what was kept after it."""
        self._budget.declared += getattr(report, "bellwire_declared", [])
        self._kept += getattr(report, "bellwire_kept", [])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that may fail by chance more often than is allowed."""
        if self._budget.overdrawn and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the flake budget, and where logs and records are."""
        for kept in [*self._kept, *terminalreporter.config.stash[KEPT]]:
            terminalreporter.write_line(kept)
        if self._budget.declared:
            terminalreporter.write_line(str(self._budget), red=self._budget.overdrawn)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Add up in the process that the user sees: not in a worker of xdist."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_Totals(session.config), "bellwire-totals")


def _probability(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ValueError
    return value
