"""The measurements of ``bellwire bench``: whole runs on real processes, referee and reports included."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from deploy.floors import EchoPart, echo_rate
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.registry import Registry
from deploy.supervisor import Supervisor
from deploy.topology import find, load
from nodes.runtime.lag import LagFigures

LAB, PAIR = "alice-charlie-bob", "alice-bob"
_NEIGHBOURS: Final = {"alice": "alice", "bob": "charlie"}
_PROGRAMS: Final = Path(__file__).parent / "bench_programs"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A rate per wall second. The first two are the floors: a TCP echo and an MQTT round trip."""

    key: str
    what: str
    rate: float


async def real_time_lag(rounds: int, broker: str) -> dict[str, LagFigures]:
    """Measure how far the nodes of a lab with one link of 1 ms lag behind its clock, in real time at scale 1."""
    lab = load(find(PAIR))
    ((name, link),) = lab.links.items()
    fibre = replace(link.devices.fibre, length=link.devices.fibre.velocity * 1e-3)
    lab = replace(lab, links={name: replace(link, devices=replace(link.devices, fibre=fibre))})
    planned = replace(plan(lab, mode="real-time"), broker=broker)
    with Registry().scratch() as directory:
        async with Laboratory(planned, directory) as laboratory:
            await laboratory.run(Job("teleport", rounds=rounds))
            return {status.name: status.lag for status in laboratory.status() if status.lag is not None}


async def measure(rounds: int, broker: str) -> list[Measurement]:
    """Measure everything once, on one lab, one after the other."""
    planned = replace(plan(load(find(LAB)), default_mode="virtual"), broker=broker)
    with Registry().scratch() as directory:
        async with Laboratory(planned, directory) as lab, Supervisor(directory / "logs") as beside:
            echo = beside.start("echo", EchoPart())
            await beside.started(echo)
            floors = [
                Measurement(
                    "echo_hz", "TCP echo of 64 bytes, one at a time", await echo_rate(echo.port, 5 * rounds)
                ),
                Measurement(
                    "mqtt_hz", "MQTT round trip at QoS 1, one at a time", await lab.mqtt_rate(rounds)
                ),
            ]
            runs = [
                Measurement(key, what, rounds / (await lab.run(Job(app, roles, rounds))).wall)
                for key, what, app, roles in (
                    ("pairs_hz", "heralded pairs, judged", "entangle", _NEIGHBOURS),
                    ("teleportations_hz", "teleportations, judged", "teleport", _NEIGHBOURS),
                    ("swaps_hz", "swaps, judged", "swap", {}),
                )
            ]
            qkd = await lab.run(Job("qkd", parameters={"pulses": str(500 * rounds)}))
            sifted = qkd.returned[0]["alice"]["sifted_bits"] / qkd.wall
            runs.append(Measurement("sifted_bits_hz", "sifted bits, distilled to a key", sifted))
            return [*floors, *runs, *await _turns(lab, rounds)]


async def _turns(lab: Laboratory, each: int) -> list[Measurement]:
    """Measure how fast virtual time passes: two nodes take ``each`` turns, all of one kind."""
    measurements = []
    for key, what, program, parameter in (
        ("timer_turns_hz", "turns, each begun by a timer", "timers", "waits"),
        ("message_turns_hz", "turns, each begun by a message", "messages", "exchanges"),
    ):
        job = Job(str(_PROGRAMS / f"{program}.py"), _NEIGHBOURS, parameters={parameter: str(each)})
        measurements.append(Measurement(key, what, 2 * each / (await lab.run(job)).wall))
    return measurements
