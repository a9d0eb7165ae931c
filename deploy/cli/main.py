"""The entry point of ``bellwire``. It imports next to nothing, for every child process imports it again."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from deploy.cli.app import app

        app()
    except KeyboardInterrupt:  # before a command has begun, or after it has ended
        sys.exit(130)
