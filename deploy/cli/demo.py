"""``bellwire demo``: the main job, explained as it goes."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.cli.finishing import finish
from deploy.cli.qkd import summed
from deploy.cli.screen import counting, figure, out, print_table
from deploy.errors import CheckFailed
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.registry import Registry
from deploy.topology import find, load
from nodes.runtime.run_request import RunResult

LAB = "alice-charlie-bob"
FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the summary: what was done, what came out, and what was to come out."""

    what: str
    result: str
    expected: str


class Demo:
    """The jobs of the demo, one method each, on one lab."""

    def __init__(self, lab: Laboratory, directory: Path) -> None:
        self._lab = lab
        self._directory = directory

    async def swap(self) -> list[Line]:
        """Entangle Alice and Bob, who share no source of pairs, through Charlie."""
        result = await self._do("Alice and Bob get entangled through Charlie's swap", Job("swap", rounds=100))
        fidelity = figure(result.figures["fidelity_mean"], result.figures["fidelity_stderr"])
        return [Line("100 pairs swapped by Charlie", f"fidelity {fidelity}", "> 0.5: entangled")]

    async def bell_test(self) -> list[Line]:
        """Show by measurements alone that no local hidden variables explain the pairs."""
        result = await self._do("They prove it with a Bell test", Job("chsh", rounds=1000))
        s = figure(result.figures["s"], result.figures["s_stderr"])
        return [Line("Bell test, 1,000 pairs", f"S = {s}", "> 2: no local hidden variables")]

    async def teleport(self) -> list[Line]:
        """Move unknown states from Alice to Bob."""
        result = await self._do("Alice teleports unknown qubits to Bob", Job("teleport", rounds=100))
        fidelity = figure(result.figures["fidelity_mean"], result.figures["fidelity_stderr"])
        return [Line("100 qubits teleported", f"fidelity {fidelity}", "> 2/3: quantum")]

    async def send(self) -> list[Line]:
        """Make a key and send a file under it."""
        source, target = self._directory / "letter.bin", self._directory / "arrived.bin"
        source.write_bytes(os.urandom(FILE_BYTES))
        job = Job("send", parameters={"source": str(source), "destination": str(target)})
        result = await self._do("They make a key with BB84 and send a file of 1 MiB under it", job)
        returned = result.returned[0]["bob"]
        qkd, transfer = summed([returned["qkd"]]), returned["transfer"]
        if transfer is None:
            raise CheckFailed(f"the key was refused without an eavesdropper: {qkd['reason']}")
        arrived = hashlib.sha256(target.read_bytes()).hexdigest()
        if not hashlib.sha256(source.read_bytes()).hexdigest() == arrived == transfer["sha256"]:
            raise CheckFailed("the file that arrived is not the file that was sent")
        return [
            Line(
                "BB84 over their fibre",
                f"QBER {qkd['qber']:.2%}, {qkd['secret_bits']} secret bits",
                "< 11 %: a key",
            ),
            Line("1 MiB, AES-256-GCM over MQTT", f"SHA-256 {arrived[:16]}… agrees", "the same at both ends"),
        ]

    async def eavesdrop(self) -> list[Line]:
        """Do the same with Eve on the fibre."""
        source, target = self._directory / "letter.bin", self._directory / "intercepted.bin"
        files = {"source": str(source), "destination": str(target)}
        job = Job("send", parameters=files | {"fresh": "true"}, tap="eve")
        result = await self._do("The same with Eve on the fibre", job)
        returned = result.returned[0]["bob"]
        qkd = summed([returned["qkd"]])
        if not qkd["aborted"] or target.exists():
            raise CheckFailed("Eve was on the fibre and the key was not refused")
        return [
            Line(
                "The same with Eve listening",
                f"QBER {qkd['qber']:.2%}, refused, no file sent",
                "25 %: Eve is seen",
            )
        ]

    async def _do(self, title: str, job: Job) -> RunResult:
        with counting(title, job.rounds) as step:
            result = await self._lab.run(job, step)
        out.print(f"[green]✓[/] {title} [dim]({result.wall:.1f} s)[/]")
        return result


def command() -> None:
    """Entangle, teleport, make a key, send a file, catch an eavesdropper: on real processes, in seconds.

    Example: bellwire demo
    """
    finish(_demo())


async def _demo() -> None:
    started = time.monotonic()
    planned = replace(plan(load(find(LAB)), default_mode="virtual"), broker="embedded")
    lines: list[Line] = []
    with Registry().scratch() as directory, tempfile.TemporaryDirectory() as files:
        async with Laboratory(planned, directory) as laboratory:
            processes = laboratory.status()
            out.print(
                f"[green]✓[/] Lab [bold]{LAB}[/]: {len(processes)} processes "
                f"[dim]({time.monotonic() - started:.1f} s)[/]"
            )
            for process in processes:
                out.print(
                    f"    {process.name:8} pid {process.pid}"
                    + (f", port {process.port}" if process.port else "")
                )
            demo = Demo(laboratory, Path(files))
            for job in (demo.swap, demo.bell_test, demo.teleport, demo.send, demo.eavesdrop):
                lines += await job()
    _summary(lines, time.monotonic() - started)


def _summary(lines: list[Line], seconds: float) -> None:
    rows = [[line.what, line.result, line.expected] for line in lines]
    out.print(f"[green]✓[/] Done in {seconds:.1f} s")
    print_table("", ["what", "result", "to be expected"], rows)
    out.print(
        "Next: bellwire run teleport --lab alice-bob --rounds 100; and write a protocol: nodes/README.md"
    )
