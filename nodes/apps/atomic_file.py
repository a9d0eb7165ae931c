"""A file that appears at its destination complete or not at all, whatever becomes of the process that writes
it.

On Linux the file has no name until it is complete (``O_TMPFILE``), so that even a killed process leaves
nothing. Elsewhere, and on file systems that cannot do that, it is written under a hidden name that is removed
on failure.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from types import TracebackType

_CANNOT = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}


class AtomicFile:
    """Write to a file that takes the place of ``destination`` on ``commit``. Use as a context manager.

    Leaving the context without a commit leaves no trace, and an existing ``destination`` as it was.
    Raises ``OSError`` when the folder or the disk does not allow it.
    """

    def __init__(self, destination: Path) -> None:
        self._destination = destination
        self._folder = os.open(destination.parent, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        self._hidden = ""
        try:
            self.descriptor = self._open()
        except OSError:
            os.close(self._folder)
            raise

    def __enter__(self) -> AtomicFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)
        if self._hidden:
            with suppress(OSError):
                os.unlink(self._hidden, dir_fd=self._folder)
        os.close(self._folder)

    def write(self, content: bytes) -> None:
        """Append ``content``."""
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(self.descriptor, remaining) :]

    def commit(self) -> None:
        """Let the file appear at its destination, atomically in place of what may be there.

        The content must have been flushed: call ``os.fsync(descriptor)`` first.
        """
        name = self._destination.name
        if not self._hidden:
            try:
                self._link(name)
            except FileExistsError:
                self._hidden = self._hidden_name()  # a link replaces nothing, a rename does
                self._link(self._hidden)
        if self._hidden:
            os.replace(self._hidden, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._hidden = ""
        os.fsync(self._folder)

    def _open(self) -> int:
        if hasattr(os, "O_TMPFILE"):
            try:
                return os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o666, dir_fd=self._folder)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
        self._hidden = self._hidden_name()
        return os.open(self._hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666, dir_fd=self._folder)

    def _hidden_name(self) -> str:
        return f".{self._destination.name[:200]}.{token_hex(8)}"

    def _link(self, name: str) -> None:
        # dst_dir_fd makes this linkat(2), which can follow the symbolic link to the nameless file
        os.link(f"/proc/self/fd/{self.descriptor}", name, dst_dir_fd=self._folder, follow_symlinks=True)
