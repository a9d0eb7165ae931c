"""``bellwire send``: a file from one node to another, under a key from the stores or made by QKD."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.finishing import finish
from deploy.cli.options import (
    ClockOption,
    DeadlineOption,
    JsonOption,
    LabOption,
    LauncherOption,
    RecordOption,
    RunningOption,
    SeedOption,
    TapOption,
)
from deploy.cli.qkd import summed
from deploy.cli.run import run_job
from deploy.cli.screen import emit_json, out
from deploy.cli.session import LabChoice
from deploy.errors import CheckFailed, NotFound, UsageError
from deploy.jobs import Job


def command(
    sender: Annotated[str, typer.Argument(metavar="FROM", help="The node that sends.")],
    receiver: Annotated[str, typer.Argument(metavar="TO", help="The node that receives.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to send.")],
    target: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where it arrives, replacing what is there; TO/NAME in this directory otherwise.",
        ),
    ] = None,
    pulses: Annotated[
        int,
        typer.Option(
            "--pulses", min=0, help="Photons spent on a key that must be made; 0: the link's block."
        ),
    ] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make a new key, even when there is one in store.")
    ] = False,
    lab: LabOption = None,
    running: RunningOption = None,
    seed: SeedOption = None,
    clock: ClockOption = None,
    launcher: LauncherOption = None,
    record: RecordOption = None,
    tap: TapOption = None,
    deadline: DeadlineOption = 30.0,
    json: JsonOption = False,
) -> None:
    """Send a file with AES-256-GCM over MQTT under a key from the stores of both nodes, and verify it on arrival.

    When there is no key in store, one is made by QKD over the link between them. Exit code 7 when it is refused; then
    nothing is sent.

    Example: bellwire send alice bob report.pdf --lab alice-bob --out /tmp/report.pdf
    """
    source = readable(file)
    with destination(target, receiver, source.name) as arrives:
        files = {"source": str(source), "destination": str(arrives)}
        parameters = files | {"pulses": str(pulses), "fresh": str(fresh).lower()}
        job = Job("send", {"alice": sender, "bob": receiver}, 1, parameters, deadline, tap)
        result = finish(run_job(job, LabChoice(lab, running, seed, clock, record, launcher)))
    returned = result.returned[0]["bob"]
    document = send_document(returned, arrives) | {"wall_s": result.wall}
    if json:
        emit_json("send", document)
    elif not document["aborted"]:
        out.print(f"[green]{source.name} arrived[/] at {arrives}", soft_wrap=True)
        out.print(
            f"  {document['size_bytes']} bytes, SHA-256 {document['sha256']}, verified by {receiver}",
            soft_wrap=True,
        )
        if document["key"] == "made":
            out.print(f"  under a key of {document['secret_bits']} secret bits, QBER {document['qber']:.3%}")
        else:
            out.print("  under a key from the stores of both nodes")
    if document["aborted"]:
        raise CheckFailed(f"the key was refused and nothing was sent: {document['reason']}")


def send_document(returned: dict[str, Any], arrives: Path) -> dict[str, Any]:
    """Return the JSON fields of a transfer: where the key is from, how it was made, and the file that arrived."""
    made = [returned["qkd"]] if returned["qkd"] else []
    transfer = returned["transfer"] or {"name": None, "size_bytes": 0, "sha256": None, "chunks": 0}
    where = {"key": "made" if made else "store", "out": str(arrives) if returned["transfer"] else None}
    return summed(made) | transfer | where


def readable(file: Path) -> Path:
    """Return the absolute path of a file that can be read; raise ``NotFound`` with the reason."""
    if file.exists() and not file.is_file():
        raise NotFound(f"{file} is not a file that could be sent")
    try:
        with file.open("rb"):
            return file.resolve()
    except OSError as error:
        raise NotFound(f"cannot read {file}: {error.strerror}") from error


@contextmanager
def destination(target: Path | None, receiver: str, name: str) -> Iterator[Path]:
    """Give the path at which the file arrives; a folder made for it goes again when nothing did."""
    arrives = (target or Path(receiver) / name).absolute()
    if arrives.exists() and not arrives.is_file():
        raise UsageError(f"{arrives} exists and is not a file; choose another --out")
    made = target is None and not arrives.parent.exists()
    try:
        if made:
            arrives.parent.mkdir()
    except OSError as error:
        raise NotFound(
            f"cannot make the folder {arrives.parent}: {error.strerror}; choose another --out"
        ) from error
    if not arrives.parent.is_dir():
        raise NotFound(f"there is no folder {arrives.parent}; make it first")
    try:
        yield arrives
    finally:
        if made:
            with suppress(OSError):
                arrives.parent.rmdir()
