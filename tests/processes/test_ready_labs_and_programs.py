"""Every lab that ships comes up, and every program that ships runs; a test fails when one is missing here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.programs.choose import find_mosquitto
from deploy.jobs import Job
from deploy.topology import shipped
from nodes.runtime.programs import PROGRAMS
from tests.processes.conftest import MOSQUITTO

if TYPE_CHECKING:
    from tests.processes.conftest import Lab

pytestmark = pytest.mark.processes

JOBS = {
    "alice-bob": [Job("teleport", rounds=5), Job("qkd")],
    "alice-charlie-bob": [
        Job("teleport"),
        Job("swap"),
        Job("purify"),
        Job("superdense"),
        Job("ghz", {"centre": "charlie", "leaf1": "alice", "leaf2": "bob"}),
        Job("entangle"),
        Job("chsh", rounds=20),
        Job("witness", rounds=20),
        Job("tomography", rounds=20),
        Job("qkd"),
        Job("keys", rounds=2),
        Job("relay"),
        Job("tunnel", parameters={"seconds": "2"}),
        Job("send", parameters={"source": __file__}),
    ],
    "delft-thehague": [Job("entangle", {"alice": "delft", "bob": "thehague"}, rounds=5)],
    "innsbruck-230m": [Job("teleport", {"alice": "ion1", "bob": "ion2"}, rounds=5)],
    "boston-35km": [Job("entangle", {"alice": "first", "bob": "second"}, rounds=5)],
    "chain-3": [Job("entangle", rounds=2), Job("network-qkd", parameters={"pairs": "100"})],
    "chain-5": [Job("entangle", rounds=2)],
    "chain-9": [Job("entangle", rounds=2)],
    "chain-17": [Job("entangle", rounds=2)],
    "chain-33": [Job("entangle", rounds=2)],
    "delft3": [Job("entangle", {"alice": "alice", "bob": "charlie"}, rounds=2)],
    "oxford-2m": [Job("entangle", rounds=5)],
    "humphreys2": [Job("entangle", {"alice": "left", "bob": "right"}, rounds=5)],
    "hefei3": [Job("entangle", {"alice": "alice", "bob": "charlie"}, rounds=2)],
    "starlight9": [Job("entangle", {"alice": "nu", "bob": "argonne2"}, rounds=2)],
    "star": [Job("entangle", {"alice": "leaf1", "bob": "leaf4"}, rounds=2)],
    "star-8": [Job("entangle", {"alice": "leaf1", "bob": "leaf8"}, rounds=2)],
    "ring-6": [Job("entangle", {"alice": "n1", "bob": "n4"}, rounds=2)],
    "grid-3x3": [Job("entangle", {"alice": "n11", "bob": "n33"}, rounds=2)],
    "grid-10x10": [Job("entangle", {"alice": "n00", "bob": "n22"}, rounds=2)],
    "metro-decoy": [Job("qkd", {"alice": "sender", "bob": "receiver"}, parameters={"pulses": "1000000"})],
    "metro-megabit": [
        Job("qkd", {"alice": "sender", "bob": "receiver"}, parameters={"block": "300000"}),
    ],
    "tokyo": [
        Job("qkd", {"alice": "koganei", "bob": "koganei2"}),
        Job("qkd", {"alice": "otemachi", "bob": "hongo"}, parameters={"block": "20000"}),
    ],
    "swissquantum": [Job("qkd", {"alice": "unige", "bob": "cern"}, parameters={"block": "20000"})],
    "secoqc": [Job("qkd", {"alice": "siemens", "bob": "erdberg"}, parameters={"block": "20000"})],
    "uk": [Job("qkd", {"alice": "bristol", "bob": "bristol2"})],
    "beijing-shanghai": [Job("qkd", {"alice": "micius", "bob": "nanshan"}, parameters={"block": "20000"})],
    "field-systems": [Job("qkd", {"alice": "secoqc-a", "bob": "secoqc-b"}, parameters={"block": "20000"})],
}


def test_every_lab_and_every_program_is_tried() -> None:
    assert JOBS.keys() == shipped().keys()
    assert {job.app for jobs in JOBS.values() for job in jobs} == PROGRAMS.keys()
    assert {name for name, _ in ON_A_BROKER} == JOBS.keys()


BOTH_BROKERS = ("alice-bob", "alice-charlie-bob")
"""What people begin with. No lab depends on its broker, so the others come up on one of those that are there."""
BROKERS = ("embedded", "mosquitto") if find_mosquitto() else ("embedded", "embedded")
ON_A_BROKER = {(name, BROKERS[number % 2]) for number, name in enumerate(JOBS)}
ON_A_BROKER |= {(name, broker) for name in BOTH_BROKERS for broker in ("embedded", "mosquitto")}


@pytest.mark.parametrize(
    ("name", "broker"),
    [
        pytest.param(name, broker, marks=MOSQUITTO if broker == "mosquitto" else ())
        for name, broker in sorted(ON_A_BROKER)
    ],
    indirect=["broker"],
)
async def test_a_ready_lab_does_its_jobs(name: str, lab: Lab, broker: str, tmp_path: Path) -> None:
    async with lab(name, broker) as running:
        for job in JOBS[name]:
            if job.app == "send":
                where = {"destination": str(tmp_path / "arrived")}
                job = Job("send", parameters={**job.parameters, **where})
            result = await running.run(job)
            assert len(result.returned) == result.rounds == job.rounds
            assert result.duration > 0
