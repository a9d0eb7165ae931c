"""What can go wrong in the laboratory, as an exception and as the exit code of the command.

::

    DeployError                 1   root of all errors of this package
    ├── LabFileInvalid          3   the lab file is wrong; carries every problem with its position
    ├── LabNotFound             4   neither a file nor the name of a shipped lab
    ├── ValueInvalid            3   one value of a lab file is wrong; becomes a problem of LabFileInvalid
    ├── UsageError              2   the command was asked for something that cannot be meant
    ├── NotFound                4   no such lab is running, no such node, link, tap or file
    ├── ProcessDied             5   a process of the lab ended; carries its last log lines
    ├── LabFailed               1   the lab did not come up, or fell
    │   └── EngineUnusable      1   because no engine of containers does what is asked of it
    ├── RunUnsuccessful         1   a run ended without a result
    │   ├── DeadlineExceeded    6   because something awaited in it did not come in time
    │   ├── NoWay               4   because no links lead where it wanted pairs
    │   ├── NotConnected        4   because a node that somebody else runs is not there
    │   └── ResourceLimit       9   because it asked for more memories or entangled qubits than there are
    ├── RecordInvalid           3   a file is no record, or of something that cannot be run again
    ├── RecordIncomplete        1   not everything that happened could be written down
    ├── CheckFailed             7   what was to hold does not: a key was refused, physics disagrees
    ├── ControlUnreachable      8   the lab's control plane does not answer, or not to this user
    └── Reported                -   what a running lab reported, with its exit code
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DeployError(Exception):
    """Root of this package's errors. ``exit_code`` is the command's when the error reaches the user."""

    exit_code: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a lab file.

    ``line`` and ``column`` count from 1; both are 0 when the file as a whole is meant. ``message`` says what
    is wrong, then, after a semicolon, what to write instead.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """Write the problem as ``file:line:column: message``, the form that editors turn into a link."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class LabFileInvalid(DeployError):
    """The lab file cannot be used. ``problems`` lists all that is wrong in it, by position."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class LabNotFound(DeployError):
    """Neither a file nor a shipped lab goes by the name that was given."""

    exit_code = 4


class ValueInvalid(DeployError, ValueError):
    """A text is not the value it should be: ``what`` is wrong with it, and what to write ``instead``."""

    exit_code = 3

    def __init__(self, what: str, instead: str) -> None:
        self.what = what
        self.instead = instead
        super().__init__(f"{what}; write {instead}")


class UsageError(DeployError):
    """The command was asked for something that cannot be meant."""

    exit_code = 2


class NotFound(DeployError):
    """No such lab is running, or it has no such node, link or tap."""

    exit_code = 4


class ProcessDied(DeployError):
    """A process of the lab ended by itself. ``name`` is the process, ``how`` it ended, ``lines`` its last log lines."""

    exit_code = 5

    def __init__(self, name: str, how: str, lines: Sequence[str]) -> None:
        self.name = name
        self.how = how
        self.lines = tuple(lines)
        story = "".join(f"\n    {line}" for line in self.lines)
        super().__init__(f"process '{name}' {how}" + (f"; its log ends with:{story}" if story else ""))


class LabFailed(DeployError):
    """The lab did not come up, or fell."""


class EngineUnusable(LabFailed):
    """There is no engine of containers, or it cannot do what is asked of it."""


class RunUnsuccessful(DeployError):
    """A run ended without a result."""


class DeadlineExceeded(RunUnsuccessful):
    """A run ended because something awaited in it did not come in time."""

    exit_code = 6


class NoWay(RunUnsuccessful):
    """A run wanted pairs with a node to which no links that store pairs lead."""

    exit_code = 4


class NotConnected(RunUnsuccessful):
    """A run needs a node that somebody else runs, and that is not connected."""

    exit_code = 4


class ResourceLimit(RunUnsuccessful):
    """A run ended because it asked for more memories, entangled qubits or requests than the lab allows."""

    exit_code = 9


class RecordInvalid(DeployError):
    """A file is no record of a run, or of one that cannot be run again."""

    exit_code = 3


class RecordIncomplete(DeployError):
    """Not everything that happened in a lab could be written down."""


class CheckFailed(DeployError):
    """What was to hold does not."""

    exit_code = 7


class ControlUnreachable(DeployError):
    """The lab's control plane does not answer, or not to this user."""

    exit_code = 8


class Reported(DeployError):
    """What a running lab reported through its control plane; ``exit_code`` is that of the error there."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
