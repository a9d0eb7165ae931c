"""Draw how the cost of an operation grows with its cluster, and that it does not grow with the lab.

    python -m tests.benchmarks.plot_growth docs/performance

The figures are this machine's; the lines of pure memory traffic beside them were measured in the same run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import matplotlib as mpl
import numpy as np

from shared_state.engine import gates
from shared_state.engine.bases import eigenstate
from shared_state.engine.channels import dephasing
from shared_state.engine.joint_state import JointState

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "bellwire"  # the same drawing has the same bytes
from matplotlib import pyplot as plt  # noqa: E402 - the backend comes first
from matplotlib.figure import Figure  # noqa: E402

SIZES = range(1, 12)
LIVE = (10, 100, 1000, 10_000, 100_000)
GENERAL = np.kron(gates.H, gates.rx(0.3)) @ gates.CNOT


def fastest(work: Callable[[], object], seconds: float = 0.3) -> float:
    """Return the seconds of the fastest of many tries: the others were disturbed."""
    work()  # the first time loads and compiles
    best, until = float("inf"), perf_counter() + seconds
    while perf_counter() < until:
        began = perf_counter()
        work()
        best = min(best, perf_counter() - began)
    return best


def cluster(n: int) -> JointState:
    """Return one cluster of the qubits 0 ... n-1, all in |+>."""
    state = JointState()
    psi = np.ones(2**n) / np.sqrt(2**n)
    state.add(np.outer(psi, psi), range(n))
    return state


def growth_with_cluster(folder: Path) -> None:
    """Draw the cost of each kind of operation over the size of its cluster."""
    costs: dict[str, list[float]] = {
        "one pass over the array": [],
        "Z": [],
        "H": [],
        "dephasing of one qubit": [],
    }
    pairwise: dict[str, list[float]] = {"CNOT": [], "two-qubit unitary": []}
    channel = dephasing(0.1)
    for n in SIZES:
        state = cluster(n)

        def done(
            operation: Callable[..., None], what: object, at: list[int], state: JointState = state
        ) -> None:
            operation(what, at)
            state.work_off()

        rho = np.ones((2**n, 2**n), dtype=np.complex128)
        other = np.empty_like(rho)
        costs["one pass over the array"].append(fastest(partial(np.multiply, rho, 0.5, out=other)))
        costs["Z"].append(fastest(partial(done, state.apply, gates.Z, [0])))
        costs["H"].append(fastest(partial(done, state.apply, gates.H, [0])))
        costs["dephasing of one qubit"].append(fastest(partial(done, state.apply_channel, channel, [0])))
        if n > 1:
            pairwise["CNOT"].append(fastest(partial(done, state.apply, gates.CNOT, [0, n - 1])))
            pairwise["two-qubit unitary"].append(fastest(partial(done, state.apply, GENERAL, [0, n - 1])))
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, values in costs.items():
        axes.plot(list(SIZES), np.array(values) * 1e6, "k--" if "pass" in name else "o-", label=name)
    for name, values in pairwise.items():
        axes.plot(list(SIZES)[1:], np.array(values) * 1e6, "s-", label=name)
    axes.set(
        xlabel="qubits in the cluster",
        ylabel="microseconds",
        yscale="log",
        title="Cost by size of the cluster",
    )
    _save(figure, folder / "cluster.svg")


def growth_with_lab(folder: Path) -> None:
    """Draw the cost of operations on one pair over the number of pairs beside it."""
    zero = np.outer(eigenstate("Z", 0), eigenstate("Z", 0))
    costs: dict[str, list[float]] = {"one-qubit gate on a pair": [], "qubit made and measured": []}
    state = JointState()
    psi = np.array([1, 0, 0, 1]) / np.sqrt(2)
    made = 0
    for live in LIVE:
        while made < live:
            state.add(np.outer(psi, psi), [2 * made, 2 * made + 1])
            made += 1

        def qubit() -> None:
            state.add(zero, [-1])
            state.measure(-1, "X", 0.5)

        costs["one-qubit gate on a pair"].append(fastest(lambda: state.apply(gates.H, [0])))
        costs["qubit made and measured"].append(fastest(qubit))
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, values in costs.items():
        axes.plot(LIVE, np.array(values) * 1e6, "o-", label=name)
    axes.set(xlabel="live pairs", ylabel="microseconds", xscale="log", title="Cost by size of the lab")
    axes.set_ylim(bottom=0)
    _save(figure, folder / "lab.svg")


def _save(figure: Figure, file: Path) -> None:
    axes = figure.axes[0]
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    growth_with_cluster(target)
    growth_with_lab(target)
