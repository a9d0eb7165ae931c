"""Files cross a lab of real processes whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deploy.errors import ProcessDied, RunUnsuccessful
from deploy.jobs import Job

if TYPE_CHECKING:
    from tests.processes.conftest import Lab, Program

pytestmark = pytest.mark.processes

SIZES = {"0 B": 0, "1 B": 1, "1 MiB": 1 << 20, "20 MB": 20_000_000}

# The program ``send`` with a receiver that is killed when it has written five chunks of the file.
BOB_DIES_WRITING = """
import os, signal
from nodes.apps import file_transfer, secure_file
from nodes.apps.atomic_file import AtomicFile
from nodes.ports import Clock, Coin, Peer, QuantumLink, SharedSecret
from nodes.shared_keys import SharedKeys

class Fatal(AtomicFile):
    chunks = 0
    def write(self, content: bytes) -> None:
        super().write(content)
        Fatal.chunks += 1
        if Fatal.chunks == 5:
            os.kill(os.getpid(), signal.SIGKILL)

async def alice(
    bob: Peer, bob_link: QuantumLink, bob_secret: SharedSecret, bob_keys: SharedKeys, coin: Coin, clock: Clock,
    source: str = "",
) -> None:
    await secure_file.alice(bob, bob_link, bob_secret, bob_keys, coin, clock, source)

async def bob(
    alice: Peer, alice_link: QuantumLink, alice_secret: SharedSecret, alice_keys: SharedKeys, coin: Coin, clock: Clock,
    destination: str = "",
) -> None:
    file_transfer.AtomicFile = Fatal
    await secure_file.bob(alice, alice_link, alice_secret, alice_keys, coin, clock, destination)
"""


def send(source: Path, target: Path, program: str = "send", tap: str | None = None) -> Job:
    """Send ``source`` from Alice to Bob, who writes it to ``target``."""
    return Job(program, parameters={"source": str(source), "destination": str(target)}, tap=tap)


def same(first: Path, second: Path) -> bool:
    """Tell whether two files have the same content."""
    return first.read_bytes() == second.read_bytes()


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """A file of 3 MB to send, with a folder ``bob`` beside it for it to arrive in."""
    (tmp_path / "bob").mkdir()
    file = tmp_path / "letter"
    file.write_bytes(bytes(3_000_000))
    return file


async def test_files_of_all_sizes_arrive_as_they_were_sent(lab: Lab, broker: str, tmp_path: Path) -> None:
    async with lab("alice-bob", broker) as running:
        for name, size in SIZES.items():
            source, target = tmp_path / f"sent {name}", tmp_path / f"arrived {name}"
            content = np.random.default_rng(size).bytes(size)
            source.write_bytes(content)
            result = await running.run(send(source, target))
            transfer = result.returned[0]["bob"]["transfer"]
            assert transfer["size_bytes"] == size
            assert transfer["sha256"] == hashlib.sha256(content).hexdigest()
            assert target.read_bytes() == content


async def test_a_file_in_the_way_is_replaced_when_the_new_one_is_complete(
    lab: Lab, letter: Path, tmp_path: Path
) -> None:
    target = tmp_path / "bob" / "letter"
    target.write_bytes(b"an older letter")
    async with lab("alice-bob") as running:
        await running.run(send(letter, target))
    assert same(target, letter)


async def test_a_receiver_that_is_killed_leaves_no_part_of_the_file(
    lab: Lab, broker: str, program: Program, letter: Path, tmp_path: Path
) -> None:
    async with lab("alice-bob", broker) as running:
        with pytest.raises(ProcessDied, match="process 'bob' was ended by signal 9"):
            await running.run(send(letter, tmp_path / "bob" / "letter", program(BOB_DIES_WRITING)))
        assert list((tmp_path / "bob").iterdir()) == []


async def test_a_transfer_that_cannot_begin_says_where_and_why_and_the_lab_works_on(
    lab: Lab, letter: Path, tmp_path: Path
) -> None:
    arrives = tmp_path / "bob" / "letter"
    async with lab("alice-bob") as running:
        with pytest.raises(RunUnsuccessful, match=r"at node 'bob': there is no folder .*nowhere; make it"):
            await running.run(send(letter, tmp_path / "nowhere" / "letter"))
        with pytest.raises(RunUnsuccessful, match=r"at node '(alice|bob)'.*(gone|No such file)"):
            await running.run(send(tmp_path / "gone", arrives))
        with pytest.raises(RunUnsuccessful, match=r"at node '(alice|bob)'.*"):
            await running.run(send(tmp_path, arrives))
        assert list((tmp_path / "bob").iterdir()) == []
        await running.run(send(letter, arrives))
    assert same(arrives, letter)


async def test_nothing_is_sent_while_eve_listens(lab: Lab, broker: str, letter: Path, tmp_path: Path) -> None:
    arrives = tmp_path / "bob" / "letter"
    async with lab("alice-charlie-bob", broker) as running:
        result = await running.run(send(letter, arrives, tap="eve"))
        for party in ("alice", "bob"):
            returned = result.returned[0][party]
            assert returned["qkd"]["aborted"]
            assert returned["transfer"] is None
        assert list((tmp_path / "bob").iterdir()) == []
        await running.run(send(letter, arrives))  # the tap is off again
    assert same(arrives, letter)
