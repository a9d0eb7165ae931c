"""The entry point of ``bellwire``. It imports next to nothing, for every child process imports it again."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from deploy.cli.app import app

    app()
