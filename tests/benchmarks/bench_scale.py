"""What a large lab costs: seconds until all nodes are ready, memory per node, messages per second over the whole lab.

    python -m tests.benchmarks.bench_scale --nodes 200 --containers 10 50
    python -m tests.benchmarks.bench_scale --launcher process --nodes 200 --json

Each lab is a grid in real time: its nodes are processes, or containers of ``--image``. What a message costs is seen
with all nodes at it at once, each playing balls with a neighbour: control hands out the parts, reports come back, and
the clock runs from the first order to the last report. Beside that stand what it cannot beat, measured in the same
lab while it idles: a bare TCP echo, one at a time, and a round trip through the lab's own broker at QoS 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Final

from rich.console import Console
from rich.table import Table

from deploy.errors import DeployError
from deploy.floors import EchoPart, echo_rate
from deploy.jobs import Job
from deploy.lab import LauncherName
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.premises import BROKER, STATE
from deploy.registry import Registry
from deploy.supervisor import Supervisor
from tests.benchmarks.footprints import Footprint, footprint, mean, parent
from tests.benchmarks.grids import grid, pairs

VOLLEY: Final = str(Path(__file__).parent / "programs" / "volley.py")
DEADLINE: Final = 300.0
"""Wall seconds for a single wait of a node: a machine with few cores takes its time over hundreds of them."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What was measured on a lab of so many ``nodes``.

    ``ready_s`` is from the decision to bring it up until every node has said that it is ready, ``down_s`` until the
    last process has gone. ``node`` is the mean memory of a node. ``beside`` is that of what the engine runs for each
    container, zero for processes. ``pair_s`` is a run of one pair between neighbours over the network, for which every
    node of the lab gets an order and confirms its end; ``messages_hz`` counts each message once.
    """

    launcher: LauncherName
    nodes: int
    ready_s: float
    down_s: float
    node: Footprint
    state: Footprint
    broker: Footprint
    beside: Footprint
    pair_s: float
    messages_hz: float
    echo_hz: float
    mqtt_hz: float


async def measure(launcher: LauncherName, nodes: int, exchanges: int, image: str) -> Scale:
    """Bring one lab up, measure it, and take it down."""
    with Registry().scratch() as directory, tempfile.TemporaryDirectory() as folder:
        planned = replace(
            plan(grid(nodes, Path(folder)), default_mode="real-time", launcher=launcher), image=image
        )
        began = monotonic()
        laboratory = Laboratory(planned, directory)
        async with laboratory:
            ready = monotonic() - began
            pids = {child.name: child.pid for child in laboratory.premises.children.values()}
            parties = [pid for name, pid in pids.items() if name not in (BROKER, STATE)]
            engine = [parent(pid) for pid in parties] if launcher == "docker" else []
            echo, mqtt = await floors(laboratory, directory)
            pair = await seconds(lambda: one_pair(laboratory, nodes))
            volley = await seconds(lambda: messages(laboratory, nodes, exchanges))
            found = mean(map(footprint, parties))
            servers = footprint(pids[STATE]), footprint(pids[BROKER])
            beside = mean(map(footprint, engine)) if engine else Footprint(0.0, 0.0, 0.0)
            leaving = monotonic()
        sent = 2 * exchanges * len(pairs(nodes))
        return Scale(
            launcher, nodes, ready, monotonic() - leaving, found, *servers, beside, pair, sent / volley, echo, mqtt
        )  # fmt: skip


async def floors(laboratory: Laboratory, directory: Path, rounds: int = 1000) -> tuple[float, float]:
    """Measure bare round trips per second: to an echo process, and to the lab's broker and back."""
    async with Supervisor(directory / "logs") as beside:
        echo = beside.start("echo", EchoPart())
        await beside.started(echo)
        return await echo_rate(echo.port, 5 * rounds), await laboratory.mqtt_rate(rounds)


async def one_pair(laboratory: Laboratory, nodes: int) -> None:
    """Let two neighbours have a pair."""
    alice, bob = pairs(nodes)[0]
    await laboratory.run(Job("entangle", {"alice": alice, "bob": bob}, 1, deadline=DEADLINE))


async def messages(laboratory: Laboratory, nodes: int, exchanges: int) -> None:
    """Let every node play balls with a neighbour."""
    parameters = {"exchanges": str(exchanges)}
    jobs = [
        Job(VOLLEY, {"alice": alice, "bob": bob}, parameters=parameters, deadline=DEADLINE)
        for alice, bob in pairs(nodes)
    ]
    await asyncio.gather(*map(laboratory.run, jobs))


async def seconds(work: Callable[[], Awaitable[None]]) -> float:
    """Return how long something takes."""
    began = monotonic()
    await work()
    return monotonic() - began


def table(scales: Sequence[Scale]) -> Table:
    """Lay the figures out, a lab to a column."""
    shown = Table("what", *(f"{each.nodes} {_unit(each)}" for each in scales))
    rows: list[tuple[str, Callable[[Scale], str]]] = [
        ("until all are ready", lambda each: f"{each.ready_s:.2f} s"),
        ("until all are gone", lambda each: f"{each.down_s:.2f} s"),
        ("memory of a node (PSS, USS, RSS)", lambda each: _megabytes(each.node)),
        ("beside it, of the engine", lambda each: _megabytes(each.beside) if each.beside.rss else "none"),
        ("memory of the shared-state server", lambda each: _megabytes(each.state)),
        ("memory of the broker's process", lambda each: _megabytes(each.broker)),
        ("a run that concerns every node", lambda each: f"{each.pair_s:.2f} s"),
        ("messages over the whole lab", lambda each: f"{each.messages_hz:,.0f} /s"),
        ("floor: MQTT round trips, one at a time", lambda each: f"{each.mqtt_hz:,.0f} /s"),
        ("floor: TCP echoes, one at a time", lambda each: f"{each.echo_hz:,.0f} /s"),
    ]
    for what, told in rows:
        shown.add_row(what, *map(told, scales))
    return shown


def _unit(scale: Scale) -> str:
    return "containers" if scale.launcher == "docker" else "processes"


def _megabytes(each: Footprint) -> str:
    return f"{each.pss / 1e6:.1f}, {each.uss / 1e6:.1f}, {each.rss / 1e6:.1f} MB"


def _count(text: str) -> int:
    count = int(text)
    if not 2 <= count <= 1000:
        raise argparse.ArgumentTypeError(f"{count} nodes are no lab to measure; write 2 to 1000")
    return count


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all labs that are asked for, and print a table, or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=_count, nargs="+", default=[200], help="sizes of labs of processes")
    parser.add_argument(
        "--containers", type=_count, nargs="+", default=[10, 50], help="of labs of containers"
    )
    parser.add_argument("--launcher", choices=["process", "docker"], help="only these; default both")
    parser.add_argument("--exchanges", type=int, default=100, help="balls to and fro between two nodes")
    parser.add_argument("--image", default="", help="of the containers; default this version's")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    sizes: dict[LauncherName, list[int]] = {"process": asked.nodes, "docker": asked.containers}
    labs = [(name, n) for name in sizes for n in sizes[name] if asked.launcher in (None, name)]
    try:
        scales = [asyncio.run(measure(name, nodes, asked.exchanges, asked.image)) for name, nodes in labs]
    except DeployError as error:
        sys.exit(f"{parser.prog}: {error}")
    if asked.json:
        document = {"schema": "bellwire.bench-scale/1", "labs": [asdict(each) for each in scales]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        Console(width=110).print(table(scales))


if __name__ == "__main__":
    main()
