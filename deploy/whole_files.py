"""A small file that is there whole or not at all, and never has other rights than it is to have."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex


def write_whole(file: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write ``file`` in place of what may be there, with the rights ``mode`` less the umask.

    A reader meets the old content or the new. Raises ``OSError``, and leaves no trace then.
    """
    draft = file.with_name(f".{file.name}.{token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
