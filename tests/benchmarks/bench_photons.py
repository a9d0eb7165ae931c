"""What a metropolitan link costs: core-seconds for an emulated second of Nature, of its clients, and of sifting.

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
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
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
from tests.benchmarks.replayed_light import recorded, sifted_again

PULSES: Final = PulseConfig(
    pulse_rate=1e8,
    intensities=(0.5, 0.15, 0.0),
    intensity_probabilities=(0.8, 0.1, 0.1),
    basis_probability=0.9,
    misalignment=0.01,
    detectors=DetectorConfig(0.25, 100.0 / 1e8),
)
TRAIN: Final = 3_200_000
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
    steps: dict[str, float] = {}
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
            word = task.decode()
            steps[word] = steps.get(word, 0.0) + time.process_time() - began
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

    def told() -> Counter[str]:
        control.send(None)
        steps = Counter({"nature": control.recv()})
        for end in ends.values():
            end.send_bytes(b"tell")
            steps.update(end.recv())
        return steps

    clicks = _train(ends)  # warms everything up
    before, clicks = told(), 0
    for _ in range(trains):
        clicks += _train(ends)
    spent = told()
    spent.subtract(before)
    for end in ends.values():
        end.send_bytes(b"end")
    nature.join()
    return Cost(dict(spent), clicks)


def _train(ends: dict[str, Connection]) -> int:
    """Let a train be sent, measured and recalled; return how many clicks it brought."""
    for name, task in (("alice", b"send"), ("bob", b"measure")):
        ends[name].send_bytes(task)
        announced = ends[name].recv_bytes()
    ends["alice"].send_bytes(announced)
    ends["alice"].recv_bytes()
    return len(announced) // 4


async def sifting(emulated: float) -> Cost:
    """Sift recorded light at both ends, messages encoded and decoded; return what the two cost together."""
    pulses = round(emulated * PULSES.pulse_rate)
    light = await recorded(config(50e-9, 0.01), LINK, pulses)
    clicks = sum(len(seen.indices) for seen in light.seen)
    began = time.process_time()
    mine, his = await sifted_again(light, len(PULSES.intensities), pulses)
    spent = time.process_time() - began
    if mine.tallies != his.tallies:
        raise RuntimeError("the two ends have counted differently")
    return Cost({"both ends": spent}, clicks)


def _write(what: str, cost: Cost, emulated: float) -> None:
    spent = ", ".join(f"{step} {seconds / emulated:.3f}" for step, seconds in cost.steps.items())
    sys.stdout.write(f"{what}, {cost.clicks / emulated / 1e6:.2f} M clicks/s: {spent}\n")


def main() -> None:
    """Write a line for each kind of detector, and one for sifting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="emulated seconds")
    trains = max(1, round(parser.parse_args().seconds * PULSES.pulse_rate / TRAIN))
    emulated = trains * TRAIN / PULSES.pulse_rate
    sys.stdout.write("core-seconds per emulated second:\n")
    for dead_time, afterpulse in product((0.0, 50e-9), (0.0, 0.01)):
        what = f"dead time {dead_time * 1e9:.0f} ns, after-pulses {afterpulse:.0%}"
        _write(what, measure(trains, config(dead_time, afterpulse)), emulated)
    with tempfile.TemporaryDirectory() as directory:
        kept = config(50e-9, 0.01, str(Path(directory) / "record"))
        _write("the same, recorded", measure(trains, kept), emulated)
    _write("sifting", asyncio.run(sifting(emulated)), emulated)


if __name__ == "__main__":
    main()
