"""The fixture ``lab``: from a test's mark to a lab that is up, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BrokerError
from deploy.errors import DeployError
from deploy.testing.errors import Leaked, MarkInvalid, NotOfThisLab
from deploy.testing.lab import LabUnderTest
from deploy.testing.leaks import leaks
from deploy.testing.mark import Wanted, wanted
from deploy.testing.own_lab import OwnLab
from deploy.testing.planned import planned
from deploy.testing.running_lab import RunningLab
from deploy.testing.session import KEPT, SHELVED, declare, failed
from deploy.testing.shelf import Shelf, Shelved
from deploy.testing.standing import StandingLab
from nodes.errors import NodeError
from shared_state.errors import SharedStateError

SHELVES = {"module": "_labs_of_the_module", "session": "_labs_of_the_session"}
"""The fixtures that keep shared labs, by scope."""


def new_shelf(config: pytest.Config) -> Shelf:
    """Return an empty shelf that keeps what the options say."""
    return Shelf(config.getoption("lab_keep"), config.stash[KEPT].append)


def serve(request: pytest.FixtureRequest) -> Iterator[LabUnderTest]:
    """Give a test the lab that it wants; afterwards take it down, or make sure that the next test can use it."""
    item: pytest.Item = request.node
    with _told_plainly():
        want = _wanted_by(request)
        url: str | None = request.config.getoption("lab_url")
        shelf, shared = _shelf_for(request, want, url)
        try:
            shelved = shelf.take(*_source(request, want, url, shelf))
            if isinstance(shelved.lab, RunningLab):
                shelved.lab.check(want)
        except NotOfThisLab as reason:
            pytest.skip(f"the test {reason}")
        lab = LabUnderTest(shelved.lab, want.folder, declare(item))
    item.stash[SHELVED] = shelved
    try:
        yield lab
    finally:
        if failed(item):
            shelved.failed.add(item.nodeid)
        if shared:
            with _told_plainly():
                _hand_back(shelved, lab, item.nodeid)
        else:
            shelf.clear()


def _wanted_by(request: pytest.FixtureRequest) -> Wanted:
    """Read the test's mark, and over it the parameter of the fixture, which is a lab or a dict of arguments."""
    mark, parameter = request.node.get_closest_marker("lab"), getattr(request, "param", None)
    arguments: tuple[object, ...] = mark.args if mark else ()
    keywords: dict[str, Any] = dict(mark.kwargs) if mark else {}
    if isinstance(parameter, Mapping):
        if "lab" in parameter:
            arguments = ()
        keywords |= parameter
    elif parameter is not None:
        arguments = (parameter,)
        keywords.pop("lab", None)
    if not arguments and "lab" not in keywords:
        raise MarkInvalid(
            f"{request.node.name} uses the fixture 'lab' and says no lab; mark it: "
            '@pytest.mark.lab("metro.yaml"), or with the name of a ready lab'
        )
    return wanted(arguments, keywords, request.path.parent)


def _shelf_for(request: pytest.FixtureRequest, want: Wanted, url: str | None) -> tuple[Shelf, bool]:
    """Return the shelf of the scope, and whether others use it."""
    if url is None and want.scope == "function":
        return new_shelf(request.config), False
    shelf: Shelf = request.getfixturevalue(SHELVES["session" if url else want.scope])
    return shelf, True


def _source(
    request: pytest.FixtureRequest, want: Wanted, url: str | None, shelf: Shelf
) -> tuple[Wanted, Callable[[], StandingLab]]:
    """Return by what the lab is found on its shelf, and how it gets there."""
    directories: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    if url is not None:
        return Wanted(url, Path()), lambda: RunningLab(url, lambda: directories.mktemp("lab-elsewhere"))

    def bring_up() -> StandingLab:
        plan = planned(want, request.config.getoption("lab_launcher"))
        directory = directories.mktemp(f"lab-{plan.plan.lab}")
        try:
            return OwnLab(plan, directory)
        except BaseException:
            shelf.put_away(directory, [request.node.nodeid])
            raise

    return want, bring_up


def _hand_back(shelved: Shelved, lab: LabUnderTest, test: str) -> None:
    """Undo what a test has done to a shared lab. Raise ``Leaked`` for anything else that it has left."""
    if lab.doing.spoilt:
        shelved.lab.thread.call_off()
        shelved.spoilt = True
        return
    left: list[str] = []
    try:
        lab.doing.undo()
        left += leaks(shelved.lab)
    except (DeployError, NodeError, BrokerError, SharedStateError) as error:
        left.append(str(error))
    shelved.spoilt |= bool(left)
    if left:
        shelved.failed.add(test)
        raise Leaked(
            f"the test has left something in lab '{lab.name}', which it shares with others: {'; '.join(left)}. "
            "They get a new lab"
        )


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Let an error of Bellwire's end the test with what it says, and nothing of how Bellwire works inside."""
    try:
        yield
    except DeployError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
