"""The measurements of ``bellwire bench``: whole runs on real processes, referee and reports included."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deploy.floors import EchoPart, echo_rate
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.registry import Registry
from deploy.topology import find, load
from nodes.runtime.lag import LagFigures

LAB, PAIR = "alice-charlie-bob", "alice-bob"


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
    neighbours = {"alice": "alice", "bob": "charlie"}
    with Registry().scratch() as directory:
        async with Laboratory(planned, directory) as lab:
            echo = lab.supervisor.start("echo", EchoPart())
            await lab.supervisor.started(echo)
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
                    ("pairs_hz", "heralded pairs, judged", "entangle", neighbours),
                    ("teleportations_hz", "teleportations, judged", "teleport", neighbours),
                    ("swaps_hz", "swaps, judged", "swap", {}),
                )
            ]
            qkd = await lab.run(Job("bb84", parameters={"pulses": str(500 * rounds)}))
            sifted = qkd.returned[0]["alice"]["sifted_bits"] / qkd.wall
            return [*floors, *runs, Measurement("sifted_bits_hz", "sifted bits, distilled to a key", sifted)]
