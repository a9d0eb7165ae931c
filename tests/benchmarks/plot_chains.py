"""Draw what a pair over a chain of real processes costs, by the length of the chain: time and memory.

    python -m tests.benchmarks.plot_chains docs/performance

The chains are like the lab ``chain-33``, brought up by the command. Times on the wall and memory are this machine's;
emulated time is the same everywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "bellwire"  # the same drawing has the same bytes
from matplotlib import pyplot as plt  # noqa: E402 - the backend comes first

SIZES = (3, 5, 9, 17, 33)
PAIRS = 200
RATE, DELAY, WINDOW = 10e3, 1e-4, 4
"""Pairs per second of each link, seconds that a message takes over it, and pairs that are under way."""
LAB = """
name: chain-{size}
defaults:
  memories: {{count: 16, t1: 10 s, t2: 1 s}}
  gates: {{two_fidelity: 0.995, readout_fidelity: 0.998}}
nodes: {{{nodes}}}
links:
{links}
"""
LINK = "  - {{endpoints: [{}, {}], length: 20 km, source: {{scheme: werner, rate: 10 kHz, fidelity: 0.98}}}}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a chain of ``size`` nodes costs: seconds per pair, megabytes of a node (on average) and of the server."""

    size: int
    emulated: float
    wall: float
    node: float
    server: float


def lab_file(size: int, folder: Path) -> Path:
    """Write the lab of a chain of so many nodes."""
    names = ["alice", *(f"r{number}" for number in range(1, size - 1)), "bob"]
    links = "\n".join(LINK.format(*ends) for ends in pairwise(names))
    file = folder / f"chain-{size}.yaml"
    file.write_text(LAB.format(size=size, nodes=", ".join(f"{name}: " for name in names), links=links))
    return file


def cost(size: int) -> Cost:
    """Bring a chain up, and let its ends have pairs: some first, so that all is loaded."""
    with tempfile.TemporaryDirectory(prefix="bw-") as name:
        home = Path(name)

        def bellwire(*arguments: object) -> Any:
            done = subprocess.run(
                [sys.executable, "-m", "deploy", *map(str, arguments)],
                env=os.environ | {"BELLWIRE_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            return json.loads(done.stdout) if "--json" in arguments else done.stdout

        bellwire("up", lab_file(size, home), "-d", "--clock", "virtual")
        try:
            terms = ("alice", "bob", "--tests", 0, "--window", WINDOW, "--json")
            bellwire("entangle", *terms, "-n", 10)
            result = bellwire("entangle", *terms, "-n", PAIRS)
            used = {
                process["name"]: resident(process["pid"]) for process in bellwire("ps", "--json")["processes"]
            }
        finally:
            bellwire("down")
        nodes = [megabytes for name, megabytes in used.items() if name not in ("broker", "state")]
        return Cost(size, result["interval_mean_s"], result["wall_s"] / PAIRS, fmean(nodes), used["state"])


def resident(pid: int) -> float:
    """Return the memory that a process has in use, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6


def draw(costs: list[Cost], file: Path) -> None:
    """Draw both, side by side."""
    sizes = [each.size for each in costs]
    figure, (times, memory) = plt.subplots(1, 2, figsize=(10, 4.5))
    times.plot(sizes, [each.emulated * 1e3 for each in costs], "o-", label="emulated")
    times.plot(sizes, [each.wall * 1e3 for each in costs], "s-", label="on the wall")
    alone = [sum(1 / k for k in range(1, size)) / RATE * 1e3 for size in sizes]
    times.plot(sizes, alone, "k--", label="longest of n waits for a link, emulated")
    news = [2 * (size - 1) * DELAY / WINDOW * 1e3 for size in sizes]
    times.plot(sizes, news, "k:", label="news there and back, four at a time, emulated")
    times.set(
        xlabel="nodes in the chain",
        ylabel="milliseconds",
        xscale="log",
        yscale="log",
        title="Time per pair from end to end, four under way",
    )
    times.set_ylim(top=max(each.wall for each in costs) * 1e3 * 30)  # room for the legend
    memory.plot(sizes, [each.node for each in costs], "o-", label="a node")
    memory.plot(sizes, [each.server for each in costs], "s-", label="shared-state server")
    memory.set(xlabel="nodes in the chain", ylabel="megabytes", xscale="log", title="Memory of a process")
    memory.set_ylim(bottom=0)
    for axes in (times, memory):
        axes.set_xticks(sizes, labels=[str(size) for size in sizes], minor=False)
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    measured = []
    for number in SIZES:
        measured.append(cost(number))
        sys.stdout.write(f"{measured[-1]}\n")
    draw(measured, target / "chains.svg")
