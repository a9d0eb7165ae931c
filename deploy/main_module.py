"""Children that know nothing of the program which has started them.

``multiprocessing`` lets every child import the main module of its parent anew, to find there what it is to run. What
the processes of a lab run is in modules of their own. Were the command line, or a user's script, imported in each of
hundreds of them, each would take longer to start and more memory, and a script that does not guard its main part would
bring up a lab in each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def without_main() -> Iterator[None]:
    """Let the processes that are started inside the block not import the main module of this one."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
