"""A lab in use for a long time, broken and healed all the while: does anything leak, is every promise kept?

    python -m tests.benchmarks.soak --for 30m --launcher process --seed 7
    python -m tests.benchmarks.soak --for 3m --json > soak.json

Runs (teleportation and entanglement over repeaters and a router, BB84 over a fibre) and keys for two applications, from
links that make them continuously, go on beside chaos: cuts, worse links, eavesdroppers, partitions, nodes that are
stopped or killed, each of them healed. Two quiet moments are compared, one after a while of use before the chaos, one
after it when all is healed: processes, descriptors, qubits. In between the memory of every process is fitted by a
line. Whatever has leaked, every promise that was broken and every process that printed anything but events (it has
failed, or warns) is said, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from deploy.chaos import Step, Taken, schedule, unleash
from deploy.cli.finishing import finish
from deploy.errors import DeployError, ValueInvalid
from deploy.key_access import KeyAccess
from deploy.lab import LauncherName
from deploy.laboratory import Laboratory
from deploy.logbook import printed
from deploy.plan import plan
from deploy.recording import RECORD, begin, header_of
from deploy.registry import Registry
from deploy.topology import load
from deploy.units import Dimension
from shared_state.heap import keep_small
from tests.benchmarks.footprints import descendants, parent
from tests.benchmarks.soaking.sampling import Sample, sample
from tests.benchmarks.soaking.slopes import Slope
from tests.benchmarks.soaking.traffic import JOBS, Traffic
from tests.benchmarks.soaking.verdict import grown, growth, left

LAB: Final = Path(__file__).parent / "soaking" / "lab.yaml"
DURATION: Final = Dimension("a duration", "30m", "m", {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0})
LONGEST: Final = 24 * 3600.0
EVERY: Final = 15.0
"""Seconds between two samples; every fourth is told."""
SETTLING: Final = 40.0
"""Wall seconds in which a lab has to come to rest, and to work again, when it is left alone."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was found: all ``samples``, how fast processes grow, and what was wrong, in words."""

    faults: int
    failed_steps: list[str]
    done: dict[str, int]
    failed: dict[str, int]
    samples: list[Sample]
    slopes: dict[tuple[str, int], Slope]
    wrong: list[str]


class Soak:
    """A lab that is up, soaked for ``duration`` seconds; told line by line."""

    def __init__(self, laboratory: Laboratory, duration: float) -> None:
        self._laboratory = laboratory
        self._duration = duration
        self._traffic = Traffic(laboratory, KeyAccess(laboratory.directory, laboratory.plan.lab))
        self._began = monotonic()
        self._samples: list[Sample] = []
        self._failed_steps: list[str] = []
        self._wrong: list[str] = []

    async def through(self, steps: list[Step]) -> Soaked:
        """Use the lab, then use it while it is broken and healed, then see whether it is as it was before."""
        calm = min(60.0, self._duration / 4)
        await self._use_for(calm)
        before = await self._quiet()
        chaos = asyncio.create_task(unleash(self._laboratory, steps, self._note))
        try:
            await self._use_for(self._duration)
            await chaos
        finally:
            chaos.cancel()
            await asyncio.wait([chaos])
        await self._works_again()
        after = await self._quiet()
        self._wrong += left(before, after)
        slopes = growth(self._samples, calm + max(calm, self._duration / 6))
        tally = self._traffic.tally
        return Soaked(
            len(steps) // 2,
            self._failed_steps,
            dict(tally.done),
            {f"{kind}: {cause}": count for (kind, cause), count in sorted(tally.failed.items())},
            self._samples,
            slopes,
            [*tally.broken, *self._wrong, *grown(slopes)],
        )

    def _note(self, taken: Taken) -> None:
        if taken.error:
            step = taken.step
            self._failed_steps.append(f"{step.at:.1f} s: {step.what} {step.arguments}: {taken.error}")

    async def _use_for(self, seconds: float) -> None:
        """Let traffic flow for so long, and take samples."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._traffic.flow(over))
            until = monotonic() + seconds
            while (rest := until - monotonic()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(EVERY, rest)):
                        raise await self._laboratory.failed()
                self._samples.append(await sample(self._laboratory, self._began))
                if len(self._samples) % 4 == 0:
                    _say(told(self._samples[-1], self._traffic))
            over.set()

    async def _quiet(self) -> Sample:
        """Look at the lab when nobody uses it and it has come to rest; after a while, whether it has or not."""
        until = monotonic() + SETTLING
        while (found := await sample(self._laboratory, self._began)).qubits and monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # there is no event for it
        _say(f"quiet: {told(found, self._traffic)}")
        return found

    async def _works_again(self) -> None:
        """See that everything is healed: links and nodes as the lab file says, runs and keys as if nothing had been."""
        laboratory = self._laboratory
        self._wrong += [f"link '{link.name}' is down" for link in await laboratory.links() if not link.up]
        self._wrong += [
            f"link '{link.name}' has changed" for link in await laboratory.links() if link.changed
        ]
        self._wrong += [f"eavesdropper '{eve.name}' is still there" for eve in await laboratory.eves()]
        self._wrong += [
            f"process '{status.name}' {status.state}"
            for status in laboratory.status()
            if status.state not in ("ready", "running")
        ]
        works: dict[str, Callable[[], Awaitable[bool]]] = {
            **{kind: partial(self._traffic.run, kind) for kind in JOBS},
            "keys": self._traffic.fetch_keys,
        }
        for kind, once in works.items():
            until = monotonic() + SETTLING
            while not (worked := await once()) and monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(0.5)  # keys are made when they are made
            if not worked:
                self._wrong.append(f"{kind} does not work though all is healed")


def told(found: Sample, traffic: Traffic) -> str:
    """Write a sample as a line."""
    done = " ".join(f"{kind}={count}" for kind, count in sorted(traffic.tally.done.items()))
    return (
        f"{found.at:7.0f} s  processes {len(found.processes)}  descriptors "
        f"{sum(process.descriptors for process in found.processes)}  qubits {found.qubits}  "
        f"memory {sum(process.memory for process in found.processes) / 1e6:.0f} MB  journal {found.journal / 1e6:.1f} "
        f"MB  record {found.record / 1e6:.1f} MB  {done}  failed {sum(traffic.tally.failed.values())}"
    )


async def soak(launcher: LauncherName, duration: float, seed: int, intensity: float, image: str) -> Soaked:
    """Bring the lab up, soak it, take it down, and see what is left of it."""
    lab = load(LAB)
    planned = replace(
        plan(lab, default_mode="real-time", default_journal=True, launcher=launcher), image=image
    )
    steps = schedule(planned, seed, duration, intensity)
    with Registry().scratch() as directory:
        begin(directory / RECORD, header_of(lab, planned))
        async with Laboratory(planned, directory, record=directory / RECORD) as laboratory:
            _say(f"the lab is up: {', '.join(planned.nodes)}")
            soaked = await Soak(laboratory, duration).through(steps)
        complaints = [*soaked.wrong, *complained(directory / "logs")]
        return replace(soaked, wrong=[*complaints, *left_over(launcher, directory)])


def complained(logs: Path) -> list[str]:
    """Say which processes have written anything but events: one that fails does, and one that warns."""
    said = {log.stem: list(printed(log)) for log in sorted(logs.iterdir())}
    return [f"process '{name}' printed: {' | '.join(lines[-12:])}" for name, lines in said.items() if lines]


def left_over(launcher: LauncherName, directory: Path) -> list[str]:
    """Say what is there of a lab that is down."""
    own = os.getpid()
    found = [
        f"process {pid} lives on: {command}"
        for pid in descendants(own)
        if "multiprocessing" not in (command := _command_line(pid)) or parent(pid) != own
    ]
    if launcher == "docker":
        from deploy.containers.engine import connect
        from deploy.containers.lab_engine import DIRECTORY_LABEL

        client, of_lab = connect(), {"label": f"{DIRECTORY_LABEL}={directory}"}
        found += [f"container {each['Id']} is left" for each in client.containers(all=True, filters=of_lab)]
        found += [f"network {each['Name']} is left" for each in client.networks(filters=of_lab)]
        client.close()
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "ended meanwhile"


def report(soaked: Soaked) -> str:
    """Write everything that was found."""
    grows = [
        f"  {name:24} {found.per_hour / 1e6:8.2f} ± {found.error / 1e6:.2f} MB/h  over {found.span_s:.0f} s; thirds: "
        + " ".join(f"{third / 1e6:.1f}" for third in found.thirds)
        for (name, _), found in sorted(soaked.slopes.items())
    ]
    return "\n".join(
        [
            f"{soaked.faults} faults, {len(soaked.failed_steps)} steps that could not be taken",
            *(f"  {step}" for step in soaked.failed_steps),
            f"done: {soaked.done}",
            f"failed: {soaked.failed}",
            "growth of each process' own memory:",
            *grows,
            *(f"WRONG: {wrong}" for wrong in soaked.wrong),
            "something leaked or a promise was broken"
            if soaked.wrong
            else "nothing leaked, all promises were kept",
        ]
    )


def document(soaked: Soaked) -> dict[str, Any]:
    """Return the same as one JSON document."""
    return asdict(soaked) | {
        "schema": "bellwire.soak/1",
        "slopes": [
            {"process": name, "pid": pid, **asdict(found)} for (name, pid), found in soaked.slopes.items()
        ],
    }


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _duration(text: str) -> float:
    try:
        seconds = DURATION.parse(text)
    except ValueInvalid as error:
        raise argparse.ArgumentTypeError(f"{error.what}; write {error.instead}") from error
    if not 1 <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is no time to soak; write 1s to {LONGEST / 3600:g}h")
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Soak a lab; exit with 1 when something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--for", dest="duration", type=_duration, default=1800.0, metavar="TIME")
    parser.add_argument("--launcher", choices=["process", "docker"], default="process")
    parser.add_argument("--seed", type=int, default=7, help="of the faults, not of the lab")
    parser.add_argument("--intensity", type=float, default=0.1, help="faults per second")
    parser.add_argument("--image", default="", help="of containers; default this version's")
    parser.add_argument("--json", action="store_true", help="all samples, too, on standard output")
    asked = parser.parse_args(arguments)
    keep_small()
    try:
        soaked = finish(soak(asked.launcher, asked.duration, asked.seed, asked.intensity, asked.image))
    except DeployError as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    _say(report(soaked))
    if asked.json:
        sys.stdout.write(json.dumps(document(soaked), indent=2) + "\n")
    sys.exit(bool(soaked.wrong))


if __name__ == "__main__":
    main()
