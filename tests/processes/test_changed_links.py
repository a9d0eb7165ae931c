"""Links of a lab that is up are changed, tapped and cut, and what comes of it is what a lab file would give."""

from __future__ import annotations

import asyncio
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.errors import NotFound, RunUnsuccessful, UsageError
from deploy.figures import pair_figures
from deploy.jobs import Job
from deploy.plan import plan
from deploy.topology import Lab as LabFile
from deploy.topology import read

if TYPE_CHECKING:
    from deploy.laboratory import Laboratory
    from tests.processes.conftest import Lab

pytestmark = pytest.mark.processes

SIGMAS = 4.9
"""Standard deviations: a correct implementation fails a test once in 10^6."""
PAIRS = 300
TWO = "name: two\nruntime: {broker: embedded}\nseed: 5\nnodes: {a: , b: }\nlinks:\n"
PLAIN = "  - {endpoints: [a, b], length: 10 km, source: {rate: 100 Hz, fidelity: 0.97}}\n"
CLICKS = (
    "  - {endpoints: [a, b], length: 10 km, source: {scheme: double-click, attempt_rate: 100 kHz, "
    "multiplexed: true, emission: 0.2, visibility: 0.95}}\n"
)
CHANGES = {
    "worse pairs": (PLAIN, {"source.fidelity": "0.8"}, PLAIN.replace("0.97", "0.8")),
    "fewer pairs": (PLAIN, {"source.rate": "40 Hz"}, PLAIN.replace("100 Hz", "40 Hz")),
    "a longer fibre": (CLICKS, {"length": "25 km"}, CLICKS.replace("10 km", "25 km")),
    "a bad connector": (
        CLICKS,
        {"insertion_loss": "3 dB", "source.visibility": "80 %"},
        CLICKS.replace("10 km", "10 km, insertion_loss: 3 dB").replace("0.95", "0.8"),
    ),
}
ROW = (
    "name: row\nruntime: {broker: embedded}\nseed: 3\nnodes: {a: , b: , c: }\nlinks:\n"
    "  - {endpoints: [a, b], length: 10 km}\n  - {endpoints: [b, c], length: 10 km}\n"
    "  - {endpoints: [a, c], length: 30 km}\n"
)
BETWEEN = {"alice": "a", "bob": "b"}


def file_of(folder: Path, text: str) -> Path:
    """Write a lab file."""
    file = folder / "lab.yaml"
    file.write_text(text)
    return file


async def pairs(lab: Laboratory, count: int = PAIRS) -> tuple[float, float]:
    """Make pairs; return their mean interval, with what asking for each costs, and fidelity."""
    result = await lab.run(Job("entangle", BETWEEN, count))
    fidelity, tested = result.figures["fidelity_mean"], result.figures["tested"]
    assert fidelity is not None
    assert tested is not None  # these were made as well, and measured
    return result.duration / (count + tested), fidelity


@pytest.mark.parametrize("change", CHANGES)
async def test_pairs_are_those_of_a_lab_file_that_says_the_same(
    lab: Lab, tmp_path: Path, change: str
) -> None:
    before, changes, after = CHANGES[change]
    as_written: LabFile = read(TWO + after, tmp_path / "other.yaml")
    expected = pair_figures(as_written, as_written.links["a-b"])
    original = read(TWO + before, tmp_path / "first.yaml")
    first = pair_figures(original, original.links["a-b"])
    assert expected is not None
    assert first is not None
    async with lab(file_of(tmp_path, TWO + before)) as running:
        for figures in (expected, first):
            await (running.change_link("a-b", changes) if figures is expected else running.reset_link("a-b"))
            interval, fidelity = await pairs(running)
            assert fidelity == pytest.approx(figures.fidelity, abs=1e-9)
            asking = 1e-3  # the messages for one pair take less
            assert interval * figures.rate >= 1 - SIGMAS / sqrt(PAIRS)
            assert (interval - asking) * figures.rate <= 1 + SIGMAS / sqrt(PAIRS)


async def test_messages_go_the_ways_of_a_lab_file_that_says_the_same(lab: Lab, tmp_path: Path) -> None:
    """Also where the shortest way is another one by that."""
    longer = ROW.replace("[b, c], length: 10 km", "[b, c], length: 90 km, classical: {loss: 5 %}")
    expected = plan(read(longer, tmp_path / "other.yaml"))
    async with lab(file_of(tmp_path, ROW)) as running:
        await running.change_link("b-c", {"length": "90 km", "classical.loss": "5 %"})
        for node in "abc":
            assert running._interventions.channels(node)[0] == expected.nodes[node].channels
        await running.reset_link("b-c")
        for node in "abc":
            assert running._interventions.channels(node)[0] == running.plan.nodes[node].channels


async def test_a_change_leaves_the_rest_and_a_reset_takes_all_of_it_back(lab: Lab, tmp_path: Path) -> None:
    async with lab(file_of(tmp_path, TWO + PLAIN)) as running:
        before = await running.link("a-b")
        await running.change_link("a-b", {"classical.loss": "5 %"})
        await running.change_link("a-b", {"length": "40 km", "source.fidelity": "0.9"})
        await running.set_link("a-b", False)
        changed = await running.link("a-b")
        assert changed.settings == {
            "endpoints": ["a", "b"],
            "length": "40 km",
            "source": {"rate": "100 Hz", "fidelity": "0.9"},
            "classical": {"loss": "5 %"},
        }
        assert (changed.up, changed.changed) == (False, ("length", "classical.loss", "source.fidelity"))
        await running.reset_link("a-b")
        assert await running.links() == [before]
        assert before.up
        with pytest.raises(NotFound, match="unknown link 'a-bb'; did you mean 'a-b'"):
            await running.change_link("a-bb", {"length": "1 km"})
        with pytest.raises(UsageError, match="did you mean 'length'"):
            await running.change_link("a-b", {"lenght": "1 km"})
        assert await running.links() == [before]


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 1.0])
async def test_the_error_rate_is_a_quarter_of_what_eve_intercepts(
    lab: Lab, tmp_path: Path, fraction: float
) -> None:
    link = "  - {endpoints: [a, b], length: 10 km, qkd: {protocol: bb84, pulse_rate: 10 MHz}}\n"
    async with lab(file_of(tmp_path, TWO + link)) as running:
        name = await running.attach_eve("a-b", fraction=fraction, at="4 km")
        assert name == "eve"
        spied = await running.run(Job("qkd", BETWEEN, parameters={"pulses": "100000"}))
        qber, sifted = spied.figures["qber"], spied.figures["sifted_bits"]
        assert qber is not None
        assert sifted is not None
        sample = sifted / 10  # at least so many bits were compared
        expected = fraction / 4
        assert abs(qber - expected) <= SIGMAS * sqrt(expected * (1 - expected) / sample)
        (eve,) = await running.eves()
        assert (eve.name, eve.link, eve.fraction, eve.at, eve.enabled) == ("eve", "a-b", fraction, 4e3, True)
        assert eve.report["kept"] == eve.report["resent"] > 0
        await running.detach_eve("eve")
        assert await running.eves() == []
        alone = await running.run(Job("qkd", BETWEEN, parameters={"pulses": "20000"}))
        assert alone.figures["qber"] == 0


async def test_eve_on_pairs_is_seen_in_their_fidelity(lab: Lab, tmp_path: Path) -> None:
    async with lab(file_of(tmp_path, TWO + PLAIN.replace("0.97", "1"))) as running:
        await running.attach_eve("a-b", fraction=0.4)
        assert (await pairs(running, 20))[1] == pytest.approx((1 + 0.8 + 0.6 + 0.8) / 4, abs=1e-9)
        await running.detach_eve("eve")
        assert (await pairs(running, 20))[1] == pytest.approx(1.0, abs=1e-9)


async def test_eves_are_named_apart_and_those_of_the_lab_file_stay(lab: Lab) -> None:
    async with lab("alice-charlie-bob") as running:
        assert await running.attach_eve("alice-charlie", strategy="photon-number-splitting") == "eve-2"
        assert await running.attach_eve("alice-bob") == "eve-3"
        await running.detach_eve("eve-2")
        assert await running.attach_eve("alice-bob") == "eve-2"
        assert await running.attach_eve("eve") == "eve"
        assert [(eve.name, eve.enabled) for eve in await running.eves()] == [
            ("eve", True),
            ("eve-3", True),
            ("eve-2", True),
        ]
        await running.detach_eve("eve")
        assert [eve.enabled for eve in await running.eves() if eve.name == "eve"] == [False]
        with pytest.raises(UsageError, match="'eve' sits 11 km from the first end of link 'alice-bob'"):
            await running.change_link("alice-bob", {"length": "5 km"})
        for link, arguments, error, says in (
            ("alice-bbo", {}, NotFound, "did you mean 'alice-bob'"),
            ("alice-bob", {"strategy": "intercept"}, UsageError, "did you mean 'intercept-resend'"),
            ("alice-bob", {"fraction": 1.5}, UsageError, "a fraction of 1.5; write one from 0 to 1"),
            ("alice-bob", {"fraction": float("nan")}, UsageError, "a fraction of nan"),
            ("alice-bob", {"at": "23 km"}, UsageError, "beyond the end of link 'alice-bob'; write 22 km"),
            ("alice-bob", {"at": "23"}, UsageError, "at: '23' has no unit"),
        ):
            with pytest.raises(error) as refused:
                await running.attach_eve(link, **arguments)
            assert says in str(refused.value)
        with pytest.raises(NotFound, match="unknown eavesdropper 'eve-9'"):
            await running.detach_eve("eve-9")


async def test_a_link_flaps_in_emulated_time_and_is_up_afterwards(lab: Lab, tmp_path: Path) -> None:
    async with lab(file_of(tmp_path, TWO + PLAIN)) as running:
        begun = await running.now()
        await running.flap_link("a-b", down=3.0, up=2.0, times=4)
        assert await running.now() - begun == pytest.approx(4 * 3.0 + 3 * 2.0)
        assert (await running.link("a-b")).up
        await running.pass_time(1000.0)
        assert await running.now() - begun == pytest.approx(1018.0)
        for down, up, times in ((-1.0, 1.0, 1), (1.0, float("nan"), 1), (1.0, 1.0, 0), (1e9, 1.0, 1)):
            with pytest.raises(UsageError):
                await running.flap_link("a-b", down, up, times)
        with pytest.raises(NotFound):
            await running.flap_link("a-c", 1.0, 1.0, 1)


async def test_requests_go_around_links_that_flap(lab: Lab, tmp_path: Path) -> None:
    async with asyncio.timeout(60), lab(file_of(tmp_path, ROW)) as running, asyncio.TaskGroup() as group:
        flapping = group.create_task(running.flap_link("a-c", down=0.002, up=0.002, times=5))
        result = await running.run(Job("entangle", {"alice": "a", "bob": "c"}, 200))
        assert result.figures["fidelity_mean"] == pytest.approx(1.0)
        await flapping
        census = await running.census()
        assert (census.qubits, census.reserved, census.waiting) == (0, 0, 0)


async def test_a_flapping_link_that_is_left_alone_is_up(lab: Lab, tmp_path: Path) -> None:
    text = (TWO + PLAIN).replace("{broker: embedded}", "{broker: embedded, clock: {mode: real-time}}")
    async with lab(file_of(tmp_path, text)) as running:
        flapping = asyncio.ensure_future(running.flap_link("a-b", down=30.0, up=30.0, times=2))
        async with asyncio.timeout(10):
            while (await running.link("a-b")).up:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
        with pytest.raises(RunUnsuccessful, match="link 'a-b' is down"):
            await running.run(Job("entangle", BETWEEN, 3))
        flapping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flapping
        assert (await running.link("a-b")).up
        await running.run(Job("entangle", BETWEEN, 3))
