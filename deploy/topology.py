"""The lab file: from a path, or a shipped lab's name, to a ``Lab`` or to all that is wrong with the file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from deploy.checks import check
from deploy.complaints import complaint
from deploy.errors import LabFileInvalid, LabNotFound, Problem
from deploy.lab import App, Lab, Link, Node, Runtime
from deploy.labfile import LabFile
from deploy.lookup import at, elements
from deploy.resolution import resolve
from deploy.source import parse
from deploy.wording import unknown

__all__ = ["App", "Lab", "Link", "Node", "Runtime", "find", "load", "shipped"]

MAX_BYTES: Final = 1 << 20
"""Size limit of a lab file: a lab of a thousand nodes has a tenth of it."""


def load(file: Path) -> Lab:
    """Read a lab file.

    Raise ``LabFileInvalid`` with every problem of the file, by position.
    """
    return read(_text(file), file)


def read(text: str, file: Path) -> Lab:
    """Read the text of a lab file; ``file`` is where it is from: relative paths in it begin there.

    Raise ``LabFileInvalid`` with every problem of the text, by position.
    """
    source = parse(str(file), text)
    if source.value is None:
        nothing = "there is nothing in it; write nodes: and below it the names of the nodes"
        raise LabFileInvalid([*source.blemishes, Problem(source.file, 1, 1, nothing)])
    complaints = list(check(source.value, file))
    written: LabFile | None = None
    try:
        written = LabFile.model_validate(source.value)
    except ValidationError as error:
        complaints += map(complaint, error.errors(include_url=False))
    placed = (source.problem(path, message, of_key=of_key) for path, message, of_key in complaints)
    problems = [*source.blemishes, *placed]
    if problems or written is None:
        raise LabFileInvalid(problems)
    return resolve(written, file, elements(at(source.value, "links")))


def find(name_or_path: str) -> Path:
    """Return the lab file that ``name_or_path`` means: a path, or the name of a lab that ships with Bellwire.

    Raise ``LabNotFound`` when it is neither.
    """
    path, labs = Path(name_or_path), shipped()
    if name_or_path in labs and not path.is_file():
        return labs[name_or_path]
    if not path.exists():
        raise LabNotFound(f"no such file, and {unknown('lab', name_or_path, labs)}")
    return path


def shipped() -> dict[str, Path]:
    """Return the lab files that ship with Bellwire, by the lab's name."""
    return {file.stem: file for file in sorted((Path(__file__).parent / "labs").glob("*.yaml"))}


def _text(path: Path) -> str:
    """Return the text of a file that is small enough and in UTF-8."""

    def refused(reason: str, *, line: int = 0, column: int = 0) -> LabFileInvalid:
        return LabFileInvalid([Problem(str(path), line, column, reason)])

    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise refused(f"cannot be read ({reason}); give the path of a lab file that you may read") from error
    if len(content) > MAX_BYTES:
        raise refused(f"larger than {MAX_BYTES} bytes; give the path of a lab file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise refused(
            "not text in UTF-8; save the file in that encoding", line=line, column=column
        ) from error
