"""``bellwire ls``: which labs are up, and which can be brought up by name."""

from __future__ import annotations

from dataclasses import asdict

from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, out, print_table
from deploy.registry import Registry
from deploy.topology import shipped


def command(json: JsonOption = False) -> None:
    """List the labs that are up, and the ready labs that come with Bellwire.

    Example: bellwire ls --json
    """
    registry = Registry()
    records = [directory.read() for directory in registry.running()]
    ended = registry.last_words()
    if json:
        running = [asdict(record) for record in records]
        emit_json("ls", {"running": running, "ended": ended, "ready": list(shipped())})
        return
    rows = [[r.name, ", ".join(r.nodes), r.clock, str(r.pid), r.started] for r in records]
    if rows:
        print_table("Labs that are up", ["lab", "nodes", "clock", "pid", "since"], rows)
    else:
        out.print("No lab is up.")
    for name, words in ended.items():
        out.print(f"{name} ended: {words}", markup=False, soft_wrap=True)
    out.print(f"Ready labs: {', '.join(shipped())}")
