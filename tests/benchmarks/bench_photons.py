"""What a metropolitan link costs: core-seconds for an emulated second of Nature and of either end, in processes.

    python -m tests.benchmarks.bench_photons --seconds 2

A transmitter of 100 MHz with two decoys sends over 20 km to detectors of 25 %, with and without dead time and
after-pulses: some four million clicks in an emulated second. The server's clock runs by itself, and nobody waits for
it: what is measured is the time of the processors, process by process.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing.connection import Connection
from typing import Final

import numpy as np

from shared_state.client import NodeClient
from shared_state.config import (
    ClockConfig,
    DetectorConfig,
    FibreConfig,
    LinkDevices,
    NodeDevices,
    PulseConfig,
    ServerConfig,
    WorldConfig,
)
from shared_state.server import serve

PULSES: Final = PulseConfig(
    pulse_rate=1e8,
    intensities=(0.5, 0.15, 0.0),
    intensity_probabilities=(0.8, 0.1, 0.1),
    basis_probability=0.9,
    misalignment=0.01,
    detectors=DetectorConfig(0.25, 100.0 / 1e8),
)
TRAIN: Final = 5_000_000
LAB, RUN, LINK = "bench", "run", "metro"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of processor time by step, and the clicks that they were spent on."""

    steps: dict[str, float]
    clicks: int = 0


def config(dead_time: float, afterpulse: float, record: str = "") -> ServerConfig:
    """Return the server's configuration for detectors with this dead time and probability of after-pulses."""
    detectors = replace(PULSES.detectors, dead_time=dead_time, afterpulse_probability=afterpulse)
    link = LinkDevices(("alice", "bob"), FibreConfig(20e3, 0.2), pulses=replace(PULSES, detectors=detectors))
    nodes = {name: NodeDevices() for name in link.endpoints}
    world = WorldConfig(nodes, {LINK: link}, seed=1, clock=ClockConfig("real-time"))
    return ServerConfig(LAB, world, {name: name for name in nodes}, "oracle", record=record)


def be_nature(pipe: Connection, server_config: ServerConfig) -> None:
    """Serve, and tell twice how much processor time that has taken."""

    async def run() -> None:
        async with await serve(server_config) as server:
            pipe.send(server.port)
            for _ in range(2):
                await asyncio.to_thread(pipe.recv)
                pipe.send(time.process_time())

    asyncio.run(run())


def be_party(name: str, pipe: Connection, port: int) -> None:
    """Do as told: send a train, measure one, or recall what the other end has announced."""
    asyncio.run(_party(name, pipe, port))


async def _party(name: str, pipe: Connection, port: int) -> None:
    steps: Counter[str] = Counter()
    train, told = None, b""
    async with await NodeClient.connect("127.0.0.1", port, lab=LAB, name=name, token=name) as client:
        while (task := await asyncio.to_thread(pipe.recv_bytes)) != b"end":
            if task == b"tell":
                pipe.send(steps)
                continue
            began, told = time.process_time(), b"done"
            if task == b"send":
                train = await client.emit_train(client.now(), RUN, LINK, TRAIN)
            elif task == b"measure":
                seen = await client.measure_train(client.now(), RUN, LINK, TRAIN)
                told = seen.indices.astype(np.uint32).tobytes()
            elif train is not None:
                await client.recall(RUN, train, np.frombuffer(task, dtype=np.uint32).astype(np.int64))
                task = b"recall"
            steps[task.decode()] += time.process_time() - began
            pipe.send_bytes(told)


def measure(trains: int, server_config: ServerConfig) -> Cost:
    """Run a server and both ends for so many trains, after one that warms them up; return what the trains cost."""
    spawn = multiprocessing.get_context("spawn")
    control, pipe = spawn.Pipe()
    nature = spawn.Process(target=be_nature, args=(pipe, server_config), daemon=True)
    nature.start()
    port = control.recv()
    ends = {}
    for name in ("alice", "bob"):
        ends[name], its = spawn.Pipe()
        spawn.Process(target=be_party, args=(name, its, port), daemon=True).start()
    steps: Counter[str] = Counter()
    clicks = 0
    for number in range(trains + 1):
        for name, task in (("alice", b"send"), ("bob", b"measure")):
            ends[name].send_bytes(task)
            announced = ends[name].recv_bytes()
        ends["alice"].send_bytes(announced)
        ends["alice"].recv_bytes()
        if number == 0:
            control.send(None)
            steps["nature"] = -control.recv()
            for end in ends.values():
                end.send_bytes(b"tell")
                steps.subtract(end.recv())
        else:
            clicks += len(announced) // 4
    control.send(None)
    steps["nature"] += control.recv()
    for end in ends.values():
        end.send_bytes(b"tell")
        steps.update(end.recv())
        end.send_bytes(b"end")
    nature.join()
    return Cost(dict(steps), clicks)


def main() -> None:
    """Write a line for each kind of detector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="emulated seconds")
    seconds = parser.parse_args().seconds
    trains = max(1, round(seconds * PULSES.pulse_rate / TRAIN))
    emulated = trains * TRAIN / PULSES.pulse_rate
    for dead_time, afterpulse in product((0.0, 50e-9), (0.0, 0.01)):
        cost = measure(trains, config(dead_time, afterpulse))
        spent = ", ".join(f"{step} {seconds / emulated:.3f}" for step, seconds in cost.steps.items())
        sys.stdout.write(
            f"dead time {dead_time * 1e9:.0f} ns, after-pulses {afterpulse:.0%}: "
            f"{cost.clicks / emulated / 1e6:.2f} M clicks/s; core-seconds per emulated second: {spent}\n"
        )


if __name__ == "__main__":
    main()
