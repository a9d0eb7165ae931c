"""The file of a lab's record: a header that the launcher has written, then one line per event.

A server that dies and goes on from its journal does again what the journal says and tells it again; the file says how
many events it has already, so none is in it twice and none is missing.
"""

from __future__ import annotations

import os
from pathlib import Path

from shared_state.errors import RecordFailed


class RecordFile:
    """A record that is open for writing. ``lines`` counts the events in it; the header is none.

    Each ``write`` hands its lines to the operating system, which outlives the process. Raises RecordFailed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            written = path.read_bytes()
            os.ftruncate(self._file, written.rfind(b"\n") + 1)  # half a line is what a death has left
        except OSError as error:
            raise self._failed(error) from error
        self.lines = max(0, written.count(b"\n") - 1)

    def write(self, lines: list[str]) -> None:
        """Add events."""
        remaining = "".join(f"{line}\n" for line in lines).encode()
        try:
            while remaining:
                remaining = remaining[os.write(self._file, remaining) :]
        except OSError as error:
            raise self._failed(error) from error
        self.lines += len(lines)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _failed(self, error: OSError) -> RecordFailed:
        return RecordFailed(
            f"the record {self._path} cannot be written: {error.strerror or error}. The lab goes on without it."
        )
