"""How a node of one's own finds the document by which it joins a lab."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import nodes
from nodes.errors import JoinRefused
from nodes.runtime.config import Access, NodeConfig
from nodes.runtime.join_documents import FOLDER, VARIABLE, find, home
from nodes.runtime.keys_config import KeysConfig
from shared_state.document import write

SECRET = "5ec2e7" * 10 + "5ec2"


def config(name: str = "alice", lab: str = "hello") -> NodeConfig:
    """Describe a node that has nothing but its secrets."""
    access = Access("127.0.0.1", 1, SECRET)
    return NodeConfig(lab, name, access, access, {}, {}, {}, {}, KeysConfig("", SECRET, SECRET))


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of labs."""
    monkeypatch.setenv("BELLWIRE_HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


def leave(base: Path, lab: str, *names: str) -> None:
    """Leave documents as a lab does."""
    for name in names:
        file = base / "labs" / lab / FOLDER / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(write(config(name, lab)))


def test_the_only_lab_that_waits_for_a_node_is_found(base: Path) -> None:
    leave(base, "hello", "alice", "bob")
    leave(base, "other", "bob")
    assert find("alice") == config()
    assert find("alice", "hello") == config()
    assert find("bob", "other") == config("bob", "other")
    assert home() == base


def test_several_labs_that_wait_are_named(base: Path) -> None:
    leave(base, "hello", "bob")
    leave(base, "other", "bob")
    with pytest.raises(JoinRefused, match=r'hello, other; name one of them, lab="NAME"'):
        find("bob")


def test_a_document_is_named_by_the_caller_or_the_environment(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(base, "hello", "alice")
    file = base / "mine.json"
    file.write_text(write(config("bob", "far")))
    monkeypatch.setenv(VARIABLE, str(file))
    assert find("bob") == find(None) == find("bob", document=file) == config("bob", "far")
    assert find("alice", "hello") == config()
    with pytest.raises(JoinRefused, match="is that of node 'bob', not of 'alice'"):
        find("alice")


@pytest.mark.parametrize(
    ("name", "lab", "complaint"),
    [
        (None, None, "which node"),
        (
            "carol",
            None,
            r"no lab that is up waits for a node 'carol'; up are: hello, plain; .*external: true",
        ),
        ("carol", "hello", "waits for no node 'carol'; it waits for alice"),
        ("carol", "plain", r"write 'nodes: \{carol: \{external: true\}\}'"),
        ("alice", "gone", r"no lab 'gone' is up; up are: hello, plain; start it with 'bellwire up gone -d'"),
    ],
)
def test_who_is_not_found_is_told_what_there_is(
    base: Path, name: str | None, lab: str | None, complaint: str
) -> None:
    leave(base, "hello", "alice")
    (base / "labs" / "plain").mkdir(parents=True)
    with pytest.raises(JoinRefused, match=complaint):
        find(name, lab)


def test_a_home_that_others_can_write_to_is_not_trusted(base: Path) -> None:
    leave(base, "hello", "alice")
    base.chmod(0o770)
    with pytest.raises(JoinRefused, match="does not belong to this user alone"):
        find("alice")


@pytest.mark.parametrize("text", ["", "{", '{"lab": "hello"}', f'{{"broker": "{SECRET}"}}'])
def test_what_is_no_document_is_refused_and_not_shown(base: Path, text: str) -> None:
    file = base / "mine.json"
    file.write_text(text)
    with pytest.raises(JoinRefused, match="is no document to join by") as refused:
        find("alice", document=file)
    assert SECRET not in str(refused.value)
    with pytest.raises(JoinRefused, match="there is no document to join by"):
        find("alice", document=base / "nowhere.json")


def test_nothing_of_a_configuration_that_is_secret_is_shown() -> None:
    assert SECRET not in repr(config())


async def test_a_lab_that_does_not_answer_is_told(base: Path) -> None:
    leave(base, "hello", "alice")
    with pytest.raises(JoinRefused, match="the lab 'hello' does not answer") as refused:
        await nodes.connect("alice").__aenter__()
    assert SECRET not in str(refused.value)


async def test_a_document_with_a_damaged_secret_is_refused_and_not_shown(base: Path) -> None:
    leave(base, "hello", "alice")
    file = base / "labs" / "hello" / FOLDER / "alice.json"
    file.write_text(file.read_text().replace(SECRET, f"no hexadecimal {SECRET}"))
    with pytest.raises(JoinRefused, match="is damaged") as refused:
        await nodes.connect("alice").__aenter__()
    assert SECRET not in str(refused.value)


async def test_a_place_for_keys_that_is_not_there_is_named(base: Path) -> None:
    keys = KeysConfig(str(base / "nowhere" / "alice.sqlite"), SECRET, SECRET)
    file = base / "mine.json"
    file.write_text(write(replace(config(), keys=keys)))
    with pytest.raises(JoinRefused, match=r"cannot be in .*nowhere.*: No such file or directory"):
        await nodes.connect("alice", document=file).__aenter__()


def test_nodes_has_nothing_else_to_give() -> None:
    with pytest.raises(AttributeError, match="no attribute 'disconnect'"):
        nodes.disconnect  # noqa: B018
